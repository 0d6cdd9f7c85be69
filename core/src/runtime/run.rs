//! The JSON call path: any executor, inline or on a thread.

use super::Runtime;
use crate::call::{
    Args, Call, CallOptions, Ended, Entry, Fault, Interruption, Outcome, Reply, Target, Ticket,
    buffer_places, read_items,
};
use crate::deadline::Disarmed;
use crate::error::{Code, Error};
use crate::manifest::Isolation;
use crate::registry::Generation;
use crate::sandbox::{Handoff, Next, Stage};
use serde_json::Value;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How deep plugins may call one another on one thread.
const MAX_DEPTH: usize = 64;

thread_local! {
    /// Ids of the plugins whose code is under way on this thread.
    static STACK: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

pub(super) type Answer = Result<Reply, Fault>;
type Meeting = Handoff<Answer, Progress>;

/// A progress report on its way to the caller's thread. The plugin waits for the answer, so that
/// a callback's "stop" reaches it; a report that is dropped unanswered means "stop".
struct Progress {
    current: u64,
    total: u64,
    go_on: SyncSender<bool>,
}

fn report(meeting: &Meeting, current: u64, total: u64) -> bool {
    let (go_on, answer) = sync_channel(1);
    meeting
        .post(Progress {
            current,
            total,
            go_on,
        })
        .is_ok()
        && answer.recv().unwrap_or(false)
}

/// Marks a plugin's code as under way on this thread; dropping it takes the mark back.
#[must_use]
pub struct Inside(());

impl Inside {
    /// Enters `plugin`.
    ///
    /// # Errors
    /// [`Code::CallNested`] where plugins call one another too deeply.
    pub fn enter(plugin: u32) -> Result<Self, Error> {
        STACK.with_borrow_mut(|stack| {
            if stack.len() >= MAX_DEPTH {
                return Err(Error::new(Code::CallNested));
            }
            stack.push(plugin);
            Ok(Self(()))
        })
    }

    /// Whether `plugin`'s code is under way on this thread.
    #[must_use]
    pub fn is_within(plugin: u32) -> bool {
        STACK.with_borrow(|stack| stack.contains(&plugin))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = STACK.try_with(|stack| stack.borrow_mut().pop());
    }
}

impl Runtime {
    /// Calls a tool. Never panics, never blocks beyond the deadline where the isolation is
    /// `thread`; whatever happens is in the outcome.
    #[must_use]
    pub fn call(&self, plugin: &str, tool: &str, args: Args, options: &CallOptions) -> Outcome {
        let (result, ended) = match self.admitted(plugin, tool, &args, options) {
            Ok(ticket) => self.execute(ticket, args, options),
            Err(error) => (Err(error), Ended::NOT_STARTED),
        };
        Outcome {
            plugin: plugin.to_owned(),
            tool: tool.to_owned(),
            result,
            ended,
        }
    }

    /// Steps 1 to 4 of a call: found, validated, admitted.
    fn admitted(
        &self,
        plugin: &str,
        tool: &str,
        args: &Args,
        options: &CallOptions,
    ) -> Result<Ticket, Error> {
        unless_replaced(|| {
            let (target, deadline) = self.checked(plugin, tool, args, options)?;
            match target.enter(deadline) {
                Entry::Admitted(ticket) => Ok(ticket),
                Entry::Refused(error) => Err(error),
                Entry::Full(waiting) => waiting.wait(),
            }
        })
    }

    /// Steps 1 to 3 of a call: found and validated; with its deadline.
    pub(super) fn checked(
        &self,
        plugin: &str,
        tool: &str,
        args: &Args,
        options: &CallOptions,
    ) -> Result<(Target, Option<Duration>), Error> {
        let target = self.find(plugin, tool)?;
        let beside = match args.tensors.is_empty() {
            true => Vec::new(),
            false => buffer_places(args.value()),
        };
        target
            .tool()
            .check_input_except(args.value(), &beside)
            .inspect_err(|e| target.plugin().stats.record_code(e.code()))?;
        let deadline = target.deadline(options).or(self.default_deadline());
        Ok((target, deadline))
    }

    /// Validates input before the plugin is entered; a refusal is counted, not held against it.
    ///
    /// # Errors
    /// [`Code::CallInvalidInput`].
    pub fn checked_input(&self, target: &Target, args: &Value) -> Result<(), Error> {
        target
            .tool()
            .check_input(args)
            .inspect_err(|e| target.plugin().stats.record_code(e.code()))
    }

    fn execute(
        &self,
        ticket: Ticket,
        args: Args,
        options: &CallOptions,
    ) -> (Result<Reply, Error>, Ended) {
        let generation = Arc::clone(ticket.target().generation());
        let answer = match (&generation.pool, generation.isolation) {
            (Some(_), Isolation::Thread) => on_thread(&generation, &ticket, args.owned(), options),
            (_, Isolation::Process) => in_worker(&ticket, &args, options),
            _ => self.on_caller(&ticket, &args, options),
        };
        settle(ticket, answer)
    }

    fn on_caller(&self, ticket: &Ticket, args: &Args, options: &CallOptions) -> Answer {
        let deadline = ticket.deadline();
        let guard = deadline.map(|d| self.watchdog().guard(d, ticket.subject(), || 0));
        let past = || deadline.is_some_and(|d| Instant::now() >= d);
        let report = |n, of| options.progress.as_ref().is_none_or(|p| p(n, of)) && !past();
        let answer = enter_plugin(
            ticket.target(),
            args,
            ticket.call_id(),
            deadline,
            &past,
            &report,
        );
        match guard.map(crate::deadline::Guard::disarm) {
            // The thread that watches the clock may be later than the plugin was.
            None | Some(Disarmed::InTime) => unless_stopped(answer, ticket.limit(), past()),
            Some(Disarmed::Expired | Disarmed::Delivered) => {
                let how = match answer {
                    Err(Fault::Cancelled) => Interruption::Stopped,
                    _ => Interruption::ReturnedLate,
                };
                Err(Fault::Deadline {
                    limit: ticket.limit().unwrap_or_default(),
                    how,
                })
            }
        }
    }
}

/// How often one call follows a plugin that is replaced again and again.
const LOOKS: usize = 16;

/// Looks a call up again where its plugin was replaced between look-up and admission: nothing has
/// begun, so nobody need hear of it.
///
/// # Errors
/// Those of `admit`.
pub fn unless_replaced<T>(mut admit: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..LOOKS {
        match admit() {
            Err(error) if error.code() == Code::LifecycleStale => {}
            other => return other,
        }
    }
    admit()
}

/// The executor itself waits for its worker, at most until the deadline.
fn in_worker(ticket: &Ticket, args: &Args, options: &CallOptions) -> Answer {
    let deadline = ticket.deadline();
    let past = || deadline.is_some_and(|d| Instant::now() >= d);
    let report = |n, of| options.progress.as_ref().is_none_or(|p| p(n, of));
    let (target, id) = (ticket.target(), ticket.call_id());
    let limit = ticket.limit().unwrap_or_default();
    match enter_plugin(target, args, id, deadline, &past, &report) {
        Err(Fault::Deadline { how, .. }) => Err(Fault::Deadline { limit, how }),
        answer => unless_stopped(answer, Some(limit), past()),
    }
}

/// A plugin that stops because its deadline is past says what it says when its caller has left.
pub(super) fn unless_stopped(answer: Answer, limit: Option<Duration>, past: bool) -> Answer {
    match answer {
        Err(Fault::Cancelled) if past => Err(Fault::Deadline {
            limit: limit.unwrap_or_default(),
            how: Interruption::Stopped,
        }),
        answer => answer,
    }
}

/// Runs the plugin's code; a panic becomes a fault.
fn enter_plugin(
    target: &Target,
    args: &Args,
    call_id: u64,
    deadline: Option<Instant>,
    should_stop: &(dyn Fn() -> bool + Sync),
    progress: &(dyn Fn(u64, u64) -> bool + Sync),
) -> Answer {
    let _inside = Inside::enter(target.plugin().id).map_err(Fault::NotStarted)?;
    let plugin = target.plugin().name.as_str();
    let call = Call {
        plugin,
        tool: target.tool(),
        args,
        deadline,
        call_id,
        should_stop,
        progress,
        reporter: None,
    };
    let run = AssertUnwindSafe(|| target.generation().executor.call(&call));
    catch_unwind(run).unwrap_or_else(|panic| {
        Err(Fault::Panicked {
            message: panic_text(&*panic),
        })
    })
}

/// What a panic said.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "a panic without a message".to_owned(),
    }
}

/// Answers `Cancelled` when the job is dropped before it began: the plugin was stopped.
struct Queued(Arc<Meeting>);

impl Drop for Queued {
    fn drop(&mut self) {
        if self.0.begin() {
            let _ = self.0.finish(Err(Fault::Cancelled));
        }
    }
}

fn on_thread(
    generation: &Arc<Generation>,
    ticket: &Ticket,
    args: Args,
    options: &CallOptions,
) -> Answer {
    let Some(pool) = &generation.pool else {
        return Err(Fault::Cancelled);
    };
    let meeting = Arc::new(Meeting::default());
    let queued = Queued(Arc::clone(&meeting));
    let (target, call_id, deadline) =
        (ticket.target().clone(), ticket.call_id(), ticket.deadline());
    let limit = ticket.limit().unwrap_or_default();
    pool.submit(Box::new(move || {
        let meeting = &queued.0;
        if meeting.begin() {
            let stop = || meeting.is_abandoned() || deadline.is_some_and(|d| Instant::now() >= d);
            let report = |n, of| report(meeting, n, of);
            let answer = enter_plugin(&target, &args, call_id, deadline, &stop, &report);
            // A caller that is slow to wake must not take for good what came too late.
            let late = deadline.is_some_and(|d| Instant::now() >= d);
            let answer = match answer {
                Ok(_) if late => Err(Fault::Deadline {
                    limit,
                    how: Interruption::ReturnedLate,
                }),
                answer => unless_stopped(answer, Some(limit), late),
            };
            if meeting.finish(answer).is_err() {
                came_back_late(&target);
            }
        }
    }))
    .map_err(Fault::Error)?;
    wait(&meeting, generation, ticket, options)
}

/// An abandoned thread returned: its answer is discarded and counted.
fn came_back_late(target: &Target) {
    target
        .plugin()
        .stats
        .late_results
        .fetch_add(1, Ordering::Relaxed);
    if let Some(pool) = &target.generation().pool {
        pool.returned_one();
    }
}

fn wait(
    meeting: &Meeting,
    generation: &Generation,
    ticket: &Ticket,
    options: &CallOptions,
) -> Answer {
    let limit = ticket.limit().unwrap_or_default();
    loop {
        let past = || ticket.deadline().is_some_and(|d| Instant::now() >= d);
        match meeting.next(ticket.deadline()) {
            Next::Done(answer) => return answer,
            Next::Message(Progress {
                current,
                total,
                go_on,
            }) if !past() => {
                let answer = options.progress.as_ref().is_none_or(|p| p(current, total));
                let _ = go_on.try_send(answer);
            }
            // A flood of reports must not carry the caller past its deadline; a report that is
            // dropped tells the plugin to stop.
            Next::Message(_) | Next::Deadline => match meeting.abandon() {
                Stage::Done => {}
                Stage::Queued | Stage::Abandoned => return Err(Fault::QueueTimeout { limit }),
                Stage::Running => {
                    give_up(generation);
                    return Err(Fault::Deadline {
                        limit,
                        how: Interruption::Abandoned,
                    });
                }
            },
        }
    }
}

fn give_up(generation: &Generation) {
    if let Some(pool) = &generation.pool {
        pool.abandon_one();
    }
}

/// Steps 6 and 7 of a call: the result is validated, the ticket closed.
pub(super) fn settle(ticket: Ticket, answer: Answer) -> (Result<Reply, Error>, Ended) {
    let checked = answer.and_then(|reply| {
        let beside = match reply.tensors.is_empty() {
            true => Vec::new(),
            false => buffer_places(&reply.value),
        };
        ticket
            .target()
            .tool()
            .check_output_except(&reply.value, &beside)
            .map_err(Fault::Error)?;
        match error_field(ticket.target().generation(), &reply.value) {
            Some(text) => Err(Fault::Error(
                Error::new(Code::CallErrorField).with_message(text),
            )),
            None => Ok(reply),
        }
    });
    match checked {
        Ok(reply) => match ticket.succeed() {
            Ok(ended) => (Ok(reply), ended),
            Err((ended, error)) => (Err(error), ended),
        },
        Err(fault) => {
            let (ended, error) = ticket.fault(&fault);
            (Err(error), ended)
        }
    }
}

fn error_field(generation: &Generation, result: &Value) -> Option<String> {
    let field = generation.error_field.as_deref()?;
    let named =
        |(key, value): (&Value, &Value)| (key.as_str() == Some(field)).then(|| value.clone());
    let found = match result.as_object().and_then(read_items) {
        Some(pairs) => pairs.into_iter().find_map(named)?,
        None => result.get(field)?.clone(),
    };
    match found {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}
