//! The five states of a plugin and the one table that says how they follow one another.
//!
//! [`next`] is pure: it knows nothing of threads. [`StateWord`] applies it to one atomic word that
//! holds state, generation and in-flight count together, so that no reader can see a mix of two
//! moments. A lock around three fields was rejected: health would wait for it.

mod word;

pub use word::{EnterRefused, Exit, StateWord, Status};

use serde::Serialize;
use std::fmt;

/// The five states; their names are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum State {
    /// Registered; its dependencies are being checked, its code imported and constructed.
    Loaded = 0,
    /// Fit for calls, none under way.
    Initialized = 1,
    /// At least one call is under way.
    Running = 2,
    /// A fault ended this generation.
    Failed = 3,
    /// A dependency is missing and the plugin was never entered, or somebody stopped it.
    Unavailable = 4,
}

impl State {
    /// All states in their order.
    pub const ALL: [State; 5] = [
        State::Loaded,
        State::Initialized,
        State::Running,
        State::Failed,
        State::Unavailable,
    ];

    /// The name as users see it, `INITIALIZED`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Loaded => "LOADED",
            State::Initialized => "INITIALIZED",
            State::Running => "RUNNING",
            State::Failed => "FAILED",
            State::Unavailable => "UNAVAILABLE",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<State> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// Whether only a restart leads out of it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, State::Failed | State::Unavailable)
    }

    /// Whether calls are admitted.
    #[must_use]
    pub const fn is_available(self) -> bool {
        matches!(self, State::Initialized | State::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can happen to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Init and validation went well.
    Ready,
    /// The first of its concurrent calls begins.
    CallBegan,
    /// The last of its concurrent calls ended.
    CallEnded,
    /// An exception, panic, crash, deadline or memory excess.
    Fault,
    /// A dependency check found something missing.
    DependencyMissing,
    /// Somebody stops the plugin in good order.
    Stop,
    /// The next generation begins.
    Restart,
}

impl Event {
    /// All events.
    pub const ALL: [Event; 7] = [
        Event::Ready,
        Event::CallBegan,
        Event::CallEnded,
        Event::Fault,
        Event::DependencyMissing,
        Event::Stop,
        Event::Restart,
    ];
}

/// The transition table: the state that `event` leads to, or `None` where it is forbidden.
#[must_use]
pub const fn next(state: State, event: Event) -> Option<State> {
    match (state, event) {
        (_, Event::Restart) => Some(State::Loaded),
        (State::Loaded, Event::Ready) => Some(State::Initialized),
        (State::Loaded, Event::DependencyMissing) => Some(State::Unavailable),
        (State::Initialized, Event::CallBegan) => Some(State::Running),
        (State::Running, Event::CallEnded) => Some(State::Initialized),
        (State::Loaded | State::Initialized | State::Running, Event::Fault) => Some(State::Failed),
        (State::Loaded | State::Initialized | State::Running, Event::Stop) => {
            Some(State::Unavailable)
        }
        _ => None,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Every cell of the table, written out by hand: row = state, column = event in
    /// [`Event::ALL`] order.
    #[test]
    fn the_table_is_exactly_this() {
        use State::{Failed as F, Initialized as I, Loaded as L, Running as R, Unavailable as U};
        let expected = [
            (L, [Some(I), None, None, Some(F), Some(U), Some(U), Some(L)]),
            (I, [None, Some(R), None, Some(F), None, Some(U), Some(L)]),
            (R, [None, None, Some(I), Some(F), None, Some(U), Some(L)]),
            (F, [None, None, None, None, None, None, Some(L)]),
            (U, [None, None, None, None, None, None, Some(L)]),
        ];
        for (state, row) in expected {
            for (event, want) in Event::ALL.into_iter().zip(row) {
                assert_eq!(next(state, event), want, "{state} + {event:?}");
            }
        }
    }

    #[test]
    fn names_go_there_and_back() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.as_str()), Some(state));
        }
        assert_eq!(State::from_name("loaded"), None);
    }
}
