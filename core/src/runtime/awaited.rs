//! Calls that are awaited without a thread each: begun here, seen to their end by the pump.

use super::pump::{Entry, Pump, Stage};
use super::{Runtime, unless_replaced};
use crate::call::{Args, CallOptions, Entry as Admission, Outcome};
use crate::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Told the outcome of an awaited call, on a thread of the runtime: it must not block.
pub type Done = Box<dyn FnOnce(Outcome) + Send>;

/// How an awaited call begins.
pub enum Begun {
    /// It is under way or waits for its turn; `done` will be told.
    Awaited(Awaited),
    /// It is over; `done` is not told.
    Over(Outcome),
    /// Its plugin does not run in a worker process, or this kernel cannot wait for several futexes:
    /// a thread must wait for it.
    Elsewhere(Args, Done),
}

/// An awaited call. Dropping it changes nothing.
pub struct Awaited {
    given_up: Arc<AtomicBool>,
    pump: Weak<Pump>,
}

impl Awaited {
    /// Nobody wants its outcome any more, and `done` may not be told. A call that waits for its turn
    /// is withdrawn; one that runs is told to stop and keeps its place until it ends. After a second,
    /// or at its deadline, it is ended by force, as soon as no other call runs in its worker; the
    /// plugin is not blamed and begins its next generation.
    pub fn cancel(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        if let Some(pump) = self.pump.upgrade() {
            pump.ring();
        }
    }
}

impl Runtime {
    /// Begins a call and returns at once; `options.progress` and `done` are told on a thread of the
    /// runtime. The arguments are copied for the worker before this returns, or once it is the
    /// call's turn.
    #[must_use]
    pub fn start(
        &self,
        plugin: &str,
        tool: &str,
        args: Args,
        options: CallOptions,
        done: Done,
    ) -> Begun {
        let asked = unless_replaced(|| {
            let (target, limit) = self.checked(plugin, tool, &args, &options)?;
            if !target.generation().executor.can_begin() {
                return Ok(None);
            }
            match target.enter(limit) {
                Admission::Refused(error) => Err(error),
                asked => Ok(Some(asked)),
            }
        });
        let begun = match asked {
            Ok(None) => return Begun::Elsewhere(args, done),
            Ok(Some(asked)) => self.take(asked, args, options, done),
            Err(error) => Err(error),
        };
        begun.unwrap_or_else(|error| Begun::Over(Outcome::refused(plugin, tool, error)))
    }

    fn take(
        &self,
        asked: Admission,
        args: Args,
        options: CallOptions,
        done: Done,
    ) -> Result<Begun, Error> {
        let pump = self.0.pump()?;
        let given_up = Arc::new(AtomicBool::new(false));
        let awaited = Awaited {
            given_up: Arc::clone(&given_up),
            pump: Arc::downgrade(&pump),
        };
        let stage = match asked {
            Admission::Refused(error) => return Err(error),
            Admission::Full(waiting) => Stage::Queued(waiting.join(&pump.bell())?, args),
            Admission::Admitted(ticket) => match Stage::run(ticket, &args) {
                Ok(stage) => stage,
                Err(over) => return Ok(Begun::Over(*over)),
            },
        };
        pump.put(Entry {
            given_up,
            progress: options.progress,
            done: Some(done),
            stage,
        })?;
        Ok(Begun::Awaited(awaited))
    }
}
