//! States and events, and the state of plugins.

use crate::error::Error;
use crate::guard::guard;
use crate::ownership::{Out, Owned, Shared, Utf8};
use crate::runtime::Runtime;
use plugward_abi::Bytes;
use plugward_core::error::{Code, Error as CoreError, Result};
use plugward_core::lifecycle::{Event as CoreEvent, State as CoreState};

/// A plugin's state, one of `PLUGWARD_STATE_`.
pub type State = u32;
/// No state: an unknown plugin, a failed question.
pub const STATE_NONE: State = 0;
/// Registered; its dependencies are being checked, its code constructed.
pub const STATE_LOADED: State = 1;
/// Fit for calls, none under way.
pub const STATE_INITIALIZED: State = 2;
/// At least one call is under way.
pub const STATE_RUNNING: State = 3;
/// A fault ended this generation.
pub const STATE_FAILED: State = 4;
/// A dependency is missing and the plugin was never entered, or somebody stopped it.
pub const STATE_UNAVAILABLE: State = 5;

/// What can happen to a plugin, one of `PLUGWARD_EVENT_`.
pub type Event = u32;
/// Init and validation went well.
pub const EVENT_READY: Event = 1;
/// The first of its concurrent calls begins.
pub const EVENT_CALL_BEGAN: Event = 2;
/// The last of its concurrent calls ended.
pub const EVENT_CALL_ENDED: Event = 3;
/// An exception, crash, deadline or memory excess.
pub const EVENT_FAULT: Event = 4;
/// A dependency is missing.
pub const EVENT_DEPENDENCY_MISSING: Event = 5;
/// The next generation begins.
pub const EVENT_RESTART: Event = 6;

pub(crate) const fn number(state: CoreState) -> State {
    match state {
        CoreState::Loaded => STATE_LOADED,
        CoreState::Initialized => STATE_INITIALIZED,
        CoreState::Running => STATE_RUNNING,
        CoreState::Failed => STATE_FAILED,
        CoreState::Unavailable => STATE_UNAVAILABLE,
    }
}

fn event(number: Event) -> Result<CoreEvent> {
    Ok(match number {
        EVENT_READY => CoreEvent::Ready,
        EVENT_CALL_BEGAN => CoreEvent::CallBegan,
        EVENT_CALL_ENDED => CoreEvent::CallEnded,
        EVENT_FAULT => CoreEvent::Fault,
        EVENT_DEPENDENCY_MISSING => CoreEvent::DependencyMissing,
        EVENT_RESTART => CoreEvent::Restart,
        other => {
            let text = format!("event is {other}; use one of PLUGWARD_EVENT_");
            return Err(CoreError::new(Code::AbiArgument).with_message(text));
        }
    })
}

/// The name of a state, `"INITIALIZED"`; empty where there is no such state. Static.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_state_name(state: State) -> Bytes {
    guard("plugward_state_name", || {
        let found = CoreState::ALL.into_iter().find(|s| number(*s) == state);
        Ok(found.map_or(Bytes::EMPTY, |s| crate::ownership::lend(s.as_str())))
    })
}

/// State, generation and number of calls under way, of one moment. `generation` and `in_flight`
/// may be NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_plugin_state(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    state: Out<State>,
    generation: Out<u32>,
    in_flight: Out<u32>,
) -> Owned<Error> {
    guard("plugward_plugin_state", || {
        let generation = generation.optional("generation")?;
        let in_flight = in_flight.optional("in_flight")?;
        let state = state.open("state")?;
        let plugin = runtime
            .get("runtime")?
            .here()?
            .registry()
            .find(plugin.read("plugin")?)?;
        let status = plugin.status();
        state.set(number(status.state));
        if let Some(place) = generation {
            place.set(status.generation);
        }
        if let Some(place) = in_flight {
            place.set(status.in_flight);
        }
        Ok(())
    })
}

/// Says what happened to a plugin that the host executes itself. `reason` explains a fault or a
/// missing dependency. `state` gets the state after it, and may be NULL. PW-LIFE-001 where the
/// lifecycle does not allow the event; nothing is changed then.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_mark(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    event: Event,
    reason: Utf8,
    state: Out<State>,
) -> Owned<Error> {
    guard("plugward_mark", || {
        let place = state.optional("state")?;
        let runtime = runtime.get("runtime")?.here()?;
        let (plugin, reason) = (plugin.read("plugin")?, reason.read("reason")?);
        let after = runtime.mark(plugin, self::event(event)?, reason)?;
        if let Some(place) = place {
            place.set(number(after));
        }
        Ok(())
    })
}
