//! Calls: admission, answers, and calls of plugins that are no JavaScript.

use crate::guard::{Thrown, guard};
use crate::leaving::Leaving;
use crate::runtime::NativeRuntime;
use crate::seats::Seats;
use crate::ticket::{Ended, Open};
use crate::words::millis;
use napi_derive::napi;
use plugward_core::call::{Args, CallOptions, Entry, Outcome, Target, Ticket as CoreTicket};
use plugward_core::manifest::Isolation;
use plugward_core::runtime::unless_replaced;
use plugward_core::{Code, Error, Result, Runtime as CoreRuntime};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `enter`: ask again with the arguments as JSON, the tool has a schema.
const NEEDS_ARGS: f64 = -1.0;
/// `enter`: the plugin is full, ask again with `enterLater`.
const FULL: f64 = -2.0;
/// `enter`: no; `takeError` says why.
const REFUSED: f64 = -3.0;

#[napi]
impl NativeRuntime {
    /// A number for a plugin's tool, good for the life of the runtime: `enter` is fast with it.
    #[napi]
    pub fn route(&mut self, plugin: String, tool: String) -> u32 {
        self.routes.push((plugin, tool));
        (self.routes.len() - 1) as u32
    }

    /// Asks for admission; never blocks. `deadline_ms` of 0 means the plugin's own. Answers the
    /// call's number, whose lowest bit says that the result is wanted as JSON, or one of the
    /// negative words.
    #[napi]
    pub fn enter(
        &mut self,
        route: u32,
        deadline_ms: f64,
        args: Option<String>,
    ) -> Result<f64, Thrown> {
        guard(|| {
            let unknown = || Error::new(Code::AbiArgument).with_message("no such route");
            let (plugin, tool) = self.routes.get(route as usize).ok_or_else(unknown)?;
            let asked = self.asked(plugin, tool, deadline_ms, args.as_deref());
            Ok(self.admit(asked))
        })
    }

    /// `enter` for a name that may be anything.
    #[napi]
    pub fn enter_named(
        &mut self,
        plugin: String,
        tool: String,
        deadline_ms: f64,
        args: Option<String>,
    ) -> Result<f64, Thrown> {
        guard(|| {
            let asked = self.asked(&plugin, &tool, deadline_ms, args.as_deref());
            Ok(self.admit(asked))
        })
    }

    /// Why the latest `enter` refused, as JSON.
    #[napi]
    pub fn take_error(&mut self) -> Option<String> {
        self.error.take()
    }

    /// The plugin answered. Nothing is answered when that was in order; see `facts`.
    #[napi]
    pub fn succeed(&mut self, call: f64, result: Option<String>) -> Result<Option<Ended>, Thrown> {
        guard(|| self.tickets.succeed(call, result, &mut self.facts))
    }

    /// The plugin did not answer as it should; `fault` is JSON.
    #[napi]
    pub fn fault(&mut self, call: f64, fault: String) -> Result<Ended, Thrown> {
        guard(|| self.tickets.fault(call, &fault))
    }

    /// The caller of an admitted call has left: its deadline is nobody's any more. JavaScript sees to
    /// its end, and says so as for any other call.
    #[napi]
    pub fn pardon(&self, call: f64) -> Result<(), Thrown> {
        guard(|| self.tickets.pardon(call))
    }

    /// As `enterNamed`, but waits for its turn on another thread; signals `done`, then `takeTicket`.
    #[napi]
    pub fn enter_later(
        &self,
        id: f64,
        plugin: String,
        tool: String,
        deadline_ms: f64,
    ) -> Result<(), Thrown> {
        let (core, seats, late) = (
            self.core.clone(),
            Arc::clone(&self.seats),
            Arc::clone(&self.late),
        );
        self.aside(id, move || {
            let ticket = core.enter(&plugin, &tool, &options(deadline_ms)?)?;
            late.lock().insert(id as u64, seated(&core, &seats, ticket));
            Ok("null".into())
        })
    }

    /// The call that `enterLater` waited for, as `enter` answers it.
    #[napi]
    pub fn take_ticket(&mut self, id: f64) -> Option<f64> {
        let open = self.late.lock().remove(&(id as u64))?;
        Some(self.tickets.keep(open, &mut self.facts))
    }

    /// Calls a plugin that does not run in this process's JavaScript; signals `done` with the
    /// outcome. With `may_leave` the caller may `leave`, and must `forget` the call at its end.
    #[napi]
    pub fn call(
        &mut self,
        id: f64,
        plugin: String,
        tool: String,
        args: String,
        deadline_ms: f64,
        may_leave: bool,
    ) -> Result<(), Thrown> {
        #[cfg(target_os = "linux")]
        let leaving = self.awaited(id, &plugin, &tool, &args, deadline_ms)?;
        #[cfg(not(target_os = "linux"))]
        let leaving = {
            let args = guard(|| Args::from_text(&args))?;
            Some(self.on_helper(id, plugin, tool, args, deadline_ms)?)
        };
        if let Some(leaving) = leaving.filter(|_| may_leave) {
            self.leaving.insert(id as u64, leaving);
        }
        Ok(())
    }

    /// A plugin in a worker process: no thread waits for it.
    #[cfg(target_os = "linux")]
    fn awaited(
        &self,
        id: f64,
        plugin: &str,
        tool: &str,
        args: &str,
        deadline_ms: f64,
    ) -> Result<Option<Leaving>, Thrown> {
        use plugward_core::runtime::Begun;
        let (now, later) = (Arc::clone(&self.signal), Arc::clone(&self.signal));
        let told = |outcome: &Outcome| outcome.to_value().to_string();
        let done = Box::new(move |outcome| later.send("done", id as u64, told(&outcome)));
        let begun = guard(|| {
            self.core.usable()?;
            let args = Args::from_text(args)?;
            let options = options(deadline_ms)?;
            Ok(self.core.start(plugin, tool, args, options, done))
        })?;
        match begun {
            Begun::Awaited(awaited) => Ok(Some(Leaving::Awaited(awaited))),
            Begun::Over(outcome) => {
                now.send("done", id as u64, told(&outcome));
                Ok(None)
            }
            Begun::Elsewhere(args, _) => self
                .on_helper(id, plugin.to_owned(), tool.to_owned(), args, deadline_ms)
                .map(Some),
        }
    }

    fn on_helper(
        &self,
        id: f64,
        plugin: String,
        tool: String,
        args: Args,
        deadline_ms: f64,
    ) -> Result<Leaving, Thrown> {
        let core = self.core.clone();
        let gone = Arc::new(AtomicBool::new(false));
        let leaving = Leaving::OnHelper(Arc::clone(&gone));
        self.aside(id, move || {
            if gone.load(Ordering::SeqCst) {
                return Err(Error::new(Code::CallCancelled));
            }
            let mut options = options(deadline_ms)?;
            options.progress = Some(Arc::new(move |_, _| !gone.load(Ordering::SeqCst)));
            let outcome = core.call(&plugin, &tool, args, &options);
            Ok(outcome.to_value().to_string())
        })?;
        Ok(leaving)
    }

    fn asked(
        &self,
        plugin: &str,
        tool: &str,
        deadline_ms: f64,
        args: Option<&str>,
    ) -> Result<Option<Entry>> {
        unless_replaced(|| match self.ask(plugin, tool, deadline_ms, args)? {
            Some(Entry::Refused(error)) => Err(error),
            asked => Ok(asked),
        })
    }

    fn ask(
        &self,
        plugin: &str,
        tool: &str,
        deadline_ms: f64,
        args: Option<&str>,
    ) -> Result<Option<Entry>> {
        let target: Target = self.core.find(plugin, tool)?;
        let options = options(deadline_ms)?;
        match (target.tool().checks_input(), args) {
            (true, None) => return Ok(None),
            (true, Some(text)) => {
                self.core
                    .checked_input(&target, Args::from_text(text)?.value())?;
            }
            (false, _) => {}
        }
        let deadline = target.deadline(&options).or(self.core.default_deadline());
        Ok(Some(target.enter(deadline)))
    }

    fn admit(&mut self, asked: Result<Option<Entry>>) -> f64 {
        let error = match asked {
            Ok(Some(Entry::Admitted(ticket))) => {
                let open = seated(&self.core, &self.seats, ticket);
                return self.tickets.keep(open, &mut self.facts);
            }
            Ok(None) => return NEEDS_ARGS,
            Ok(Some(Entry::Full(_))) => return FULL,
            Ok(Some(Entry::Refused(error))) | Err(error) => error,
        };
        self.error = Some(error.to_value().to_string());
        REFUSED
    }
}

/// Not a plugin's id: the core leaves the plugin's state to the door, which stops the worker first.
const NO_PLUGIN: u64 = u64::MAX;

fn seated(core: &CoreRuntime, seats: &Arc<Seats>, ticket: CoreTicket) -> Open {
    let inline = ticket.target().generation().isolation == Isolation::Inline;
    let subject = if inline { ticket.subject() } else { NO_PLUGIN };
    let sitting = ticket
        .deadline()
        .map(|due| seats.sit(core, due, subject, ticket.call_id()));
    (ticket, sitting)
}

fn options(deadline_ms: f64) -> Result<CallOptions> {
    let wanted = (deadline_ms != 0.0).then_some(deadline_ms);
    let deadline = wanted.map(|ms| millis(ms, "deadlineMs")).transpose()?;
    Ok(CallOptions {
        deadline,
        ..CallOptions::default()
    })
}
