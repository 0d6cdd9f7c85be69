//! State, generation and in-flight count in one atomic word.
//!
//! Layout: bits 0..8 state, 8..32 generation, 32..64 in-flight calls. Every change is one
//! compare-and-swap, so a reader sees one moment and a refused change leaves nothing behind.
//! The model in `core/tests/loom_word.rs` explores the interleavings.

use super::{Event, State, next};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

const GENERATION_BITS: u32 = 24;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// One moment of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// Its life's number, from 1.
    pub generation: u32,
    /// Calls of this generation that have begun and not ended.
    pub in_flight: u32,
}

impl Status {
    const fn pack(self) -> u64 {
        self.state as u64
            | ((self.generation as u64 & GENERATION_MASK) << 8)
            | ((self.in_flight as u64) << 32)
    }

    const fn unpack(word: u64) -> Self {
        let state = match word & 0xff {
            0 => State::Loaded,
            1 => State::Initialized,
            2 => State::Running,
            3 => State::Failed,
            _ => State::Unavailable,
        };
        Self {
            state,
            generation: ((word >> 8) & GENERATION_MASK) as u32,
            in_flight: (word >> 32) as u32,
        }
    }
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnterRefused {
    /// The state does not admit calls.
    State(Status),
    /// As many calls as allowed are under way.
    Full(Status),
    /// Another generation has begun.
    Stale(Status),
}

/// How a call left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It belonged to the current generation; this is the status after it.
    Left(Status),
    /// It belonged to an earlier generation; nothing was changed.
    Stale(Status),
}

/// The atomic word; see the module's text.
#[derive(Debug)]
pub struct StateWord(AtomicU64);

impl Default for StateWord {
    fn default() -> Self {
        Self::new()
    }
}

impl StateWord {
    /// LOADED, generation 1, nothing in flight.
    #[must_use]
    pub fn new() -> Self {
        let first = Status {
            state: State::Loaded,
            generation: 1,
            in_flight: 0,
        };
        Self(AtomicU64::new(first.pack()))
    }

    /// The present moment.
    #[must_use]
    pub fn load(&self) -> Status {
        Status::unpack(self.0.load(Ordering::Acquire))
    }

    /// Swaps `change(status)` in; a `None` refuses and leaves the word as it is.
    fn update(&self, change: impl Fn(Status) -> Option<Status>) -> Result<Status, Status> {
        // Sequentially consistent: a caller that finds the plugin full announces itself and then
        // looks again; a call that ends changes the word and then looks for announcements.
        let mut seen = self.0.load(Ordering::SeqCst);
        loop {
            let status = Status::unpack(seen);
            let Some(to) = change(status) else {
                return Err(status);
            };
            match self
                .0
                .compare_exchange_weak(seen, to.pack(), Ordering::SeqCst, Ordering::SeqCst)
            {
                Ok(_) => return Ok(to),
                Err(now) => seen = now,
            }
        }
    }

    /// Admits one call, at most `limit` at once. Returns the status after it.
    ///
    /// # Errors
    /// [`EnterRefused`] with the status that was seen.
    pub fn enter(&self, limit: u32) -> Result<Status, EnterRefused> {
        self.admit(None, limit)
    }

    /// The same, if `generation` is the present one.
    ///
    /// # Errors
    /// [`EnterRefused`] with the status that was seen.
    pub fn enter_generation(&self, generation: u32, limit: u32) -> Result<Status, EnterRefused> {
        self.admit(Some(generation), limit)
    }

    fn admit(&self, generation: Option<u32>, limit: u32) -> Result<Status, EnterRefused> {
        let is_stale = |s: &Status| generation.is_some_and(|wanted| wanted != s.generation);
        self.update(|s| {
            if is_stale(&s) {
                return None;
            }
            let state = match s.state {
                State::Running => State::Running,
                other => next(other, Event::CallBegan)?,
            };
            (s.in_flight < limit).then_some(Status {
                state,
                in_flight: s.in_flight + 1,
                ..s
            })
        })
        .map_err(|s| match s.state.is_available() {
            _ if is_stale(&s) => EnterRefused::Stale(s),
            true => EnterRefused::Full(s),
            false => EnterRefused::State(s),
        })
    }

    /// Ends one call of `generation`; with `fault`, the state becomes FAILED in the same step.
    pub fn exit(&self, generation: u32, fault: bool) -> Exit {
        let changed = self.update(|s| {
            if s.generation != generation || s.in_flight == 0 {
                return None;
            }
            let in_flight = s.in_flight - 1;
            let state = if fault && !s.state.is_final() {
                next(s.state, Event::Fault)?
            } else if in_flight == 0 && s.state == State::Running {
                next(s.state, Event::CallEnded)?
            } else {
                s.state
            };
            Some(Status {
                state,
                in_flight,
                ..s
            })
        });
        match changed {
            Ok(status) => Exit::Left(status),
            Err(status) => Exit::Stale(status),
        }
    }

    /// Applies an event that is not a call to `generation`.
    ///
    /// # Errors
    /// The status that was seen, where the table forbids the event or the generation has passed.
    pub fn apply(&self, generation: u32, event: Event) -> Result<Status, Status> {
        debug_assert!(!matches!(event, Event::CallBegan | Event::CallEnded));
        self.update(|s| {
            if s.generation != generation {
                return None;
            }
            let state = next(s.state, event)?;
            Some(match event {
                Event::Restart => Self::renewed(s),
                _ => Status { state, ..s },
            })
        })
    }

    /// Marks RUNNING or back without counting a call, for hosts that execute plugins themselves.
    ///
    /// # Errors
    /// The status that was seen, where the table forbids it.
    pub fn mark(&self, event: Event) -> Result<Status, Status> {
        self.update(|s| match (s.state, event) {
            (State::Running, Event::CallBegan) => Some(s),
            _ => Some(Status {
                state: next(s.state, event)?,
                ..s
            }),
        })
    }

    /// Begins the next generation, whatever the state. Calls in flight become stale.
    pub fn restart(&self) -> Status {
        match self.update(|s| Some(Self::renewed(s))) {
            Ok(status) | Err(status) => status,
        }
    }

    /// Begins the generation after `generation`, which was built beside it and is fit for calls: no
    /// caller finds the plugin not ready. Returns the status before; its calls are no longer
    /// counted here.
    ///
    /// # Errors
    /// The status that was seen, where `generation` has passed.
    pub fn hand_over(&self, generation: u32) -> Result<Status, Status> {
        let before = std::cell::Cell::new(self.load());
        self.update(|s| {
            before.set(s);
            let state = next(next(s.state, Event::Restart)?, Event::Ready)?;
            (s.generation == generation).then_some(Status {
                state,
                ..Self::renewed(s)
            })
        })
        .map(|_| before.get())
    }

    fn renewed(s: Status) -> Status {
        let following = (u64::from(s.generation) + 1) & GENERATION_MASK;
        Status {
            state: State::Loaded,
            generation: (following as u32).max(1),
            in_flight: 0,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn ready() -> StateWord {
        let word = StateWord::new();
        assert!(word.apply(1, Event::Ready).is_ok());
        word
    }

    #[test]
    fn calls_nest_and_the_last_one_ends_running() {
        let word = ready();
        word.enter(8).unwrap();
        assert_eq!(word.enter(8).unwrap().in_flight, 2);
        assert!(matches!(word.exit(1, false), Exit::Left(s) if s.state == State::Running));
        assert!(matches!(word.exit(1, false), Exit::Left(s) if s.state == State::Initialized));
    }

    #[test]
    fn a_fault_is_final_until_restart_and_old_results_are_stale() {
        let word = ready();
        word.enter(8).unwrap();
        word.enter(8).unwrap();
        assert!(matches!(word.exit(1, true), Exit::Left(s) if s.state == State::Failed));
        assert!(matches!(word.enter(8), Err(EnterRefused::State(_))));
        assert_eq!(
            word.apply(1, Event::Ready).unwrap_err().state,
            State::Failed
        );
        let status = word.restart();
        assert_eq!((status.generation, status.in_flight), (2, 0));
        assert!(matches!(word.exit(1, false), Exit::Stale(s) if s == status));
    }

    #[test]
    fn a_hand_over_is_one_step_and_its_calls_are_counted_anew() {
        let word = ready();
        word.enter(8).unwrap();
        assert_eq!(word.hand_over(7).unwrap_err().generation, 1);
        let before = word.hand_over(1).unwrap();
        assert_eq!((before.generation, before.in_flight), (1, 1));
        let now = word.load();
        assert_eq!(
            (now.state, now.generation, now.in_flight),
            (State::Initialized, 2, 0)
        );
        assert!(matches!(word.exit(1, true), Exit::Stale(s) if s == now));
        word.apply(2, Event::Fault).unwrap();
        assert_eq!(
            word.hand_over(2).unwrap().state,
            State::Failed,
            "also from a final state"
        );
    }

    #[test]
    fn the_limit_refuses_without_a_trace() {
        let word = ready();
        word.enter(1).unwrap();
        let before = word.load();
        assert_eq!(word.enter(1), Err(EnterRefused::Full(before)));
        assert_eq!(
            word.enter_generation(2, 9),
            Err(EnterRefused::Stale(before))
        );
        assert_eq!(word.load(), before);
    }

    #[test]
    fn the_generation_never_becomes_zero() {
        let word = StateWord(AtomicU64::new(
            Status {
                state: State::Failed,
                generation: GENERATION_MASK as u32,
                in_flight: 3,
            }
            .pack(),
        ));
        assert_eq!(word.restart().generation, 1);
    }
}
