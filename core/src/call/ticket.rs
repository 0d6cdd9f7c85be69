//! Admission, and the guard that a call under way holds.

use super::{CallOptions, Effect, Ended, Fault};
use crate::error::{Code, Error, Result};
use crate::lifecycle::{EnterRefused, Status};
use crate::metrics;
use crate::registry::{Bell, Generation, Left, Plugin, Tool, Turn};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A tool that was found, not yet entered.
#[derive(Clone)]
pub struct Target {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) tool: usize,
}

/// What asking for admission leads to.
#[allow(
    clippy::large_enum_variant,
    reason = "the ticket is the common case and moves at once"
)]
pub enum Entry {
    /// Come in.
    Admitted(Ticket),
    /// The plugin is full; [`Waiting::wait`] queues, and may block.
    Full(Waiting),
    /// No.
    Refused(Error),
}

/// A caller that may queue.
pub struct Waiting {
    target: Target,
    limit: Option<Duration>,
    since: Instant,
}

impl Target {
    /// The plugin.
    #[must_use]
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// The generation that was found.
    #[must_use]
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// The tool.
    #[must_use]
    pub fn tool(&self) -> &Tool {
        &self.generation.tools[self.tool]
    }

    /// The deadline that a call with `options` has.
    #[must_use]
    pub fn deadline(&self, options: &CallOptions) -> Option<Duration> {
        options
            .deadline
            .or(self.tool().deadline)
            .or(self.generation.deadline)
    }

    /// What a caller is told who keeps a queue of its own: it is full, or no turn came in time.
    #[must_use]
    pub fn no_turn(&self, timed_out: bool, limit: Option<Duration>) -> Error {
        let turn = match timed_out {
            true => Turn::TimedOut,
            false => Turn::QueueFull,
        };
        self.plugin.queue_refusal(self.tool(), turn, limit)
    }

    /// Asks for admission; never blocks.
    #[must_use]
    pub fn enter(self, deadline: Option<Duration>) -> Entry {
        self.enter_since(Instant::now(), deadline)
    }

    fn enter_since(mut self, since: Instant, limit: Option<Duration>) -> Entry {
        loop {
            let (number, most) = (self.generation.number, self.generation.limit);
            let entered = self.plugin.word.enter_generation(number, most);
            match entered {
                Err(EnterRefused::Stale(now)) if now.state.is_available() && self.follow() => {}
                // It has changed since: what is said of it must be true of one moment.
                Err(EnterRefused::State(seen) | EnterRefused::Stale(seen))
                    if !seen.state.is_available()
                        && self.plugin.awaited().is_none()
                        && self.plugin.word.load() != seen => {}
                other => return self.entry(other, since, limit),
            }
        }
    }

    /// Nothing has begun: the call goes to the generation that was put in the place of the one that
    /// was found. False where that one asks for other arguments, or runs elsewhere: whoever made
    /// the call looks it up again.
    fn follow(&mut self) -> bool {
        let (_, present) = self.plugin.present();
        let Some(present) = present.filter(|p| p.number != self.generation.number) else {
            return false;
        };
        let (old, id) = (self.tool(), &self.tool().spec.id);
        let Ok(at) = present.tool_index(&self.plugin.name, id) else {
            return false;
        };
        let new = &present.tools[at];
        let alike = new.spec.input_schema == old.spec.input_schema
            && new.handle.is_some() == old.handle.is_some()
            && present.isolation == self.generation.isolation;
        if alike {
            (self.generation, self.tool) = (present, at);
        }
        alike
    }

    fn entry(
        self,
        entered: std::result::Result<Status, EnterRefused>,
        since: Instant,
        limit: Option<Duration>,
    ) -> Entry {
        match entered {
            Ok(_) => Entry::Admitted(Ticket::new(self, since, limit)),
            // Refused in one step: to enter the wrong generation and leave it again would wake the
            // queue, from inside the queue's own lock.
            Err(EnterRefused::Stale(now)) if now.state.is_available() => {
                Entry::Refused(stale(&self.plugin.name))
            }
            Err(EnterRefused::Full(_)) => Entry::Full(Waiting {
                target: self,
                limit,
                since,
            }),
            // The next generation begins by itself.
            Err(EnterRefused::State(_) | EnterRefused::Stale(_))
                if self.plugin.awaited().is_some() =>
            {
                Entry::Full(Waiting {
                    target: self,
                    limit,
                    since,
                })
            }
            Err(EnterRefused::State(now) | EnterRefused::Stale(now)) => {
                Entry::Refused(self.plugin.refusal(now))
            }
        }
    }
}

impl Waiting {
    /// Queues without a thread; `bell` is rung when a turn may have come.
    ///
    /// # Errors
    /// [`Code::CallBusy`] when the queue is full.
    pub(crate) fn join(self, bell: &Weak<dyn Bell>) -> Result<Queued> {
        let target = &self.target;
        let plugin = &target.plugin;
        if !plugin.gate.join(target.generation.queue, bell) {
            let error = plugin.queue_refusal(target.tool(), Turn::QueueFull, self.limit);
            return Err(error);
        }
        Ok(Queued(self))
    }

    /// Waits for a turn until the deadline; blocks the calling thread.
    ///
    /// # Errors
    /// [`Code::CallBusy`] when the queue is full, [`Code::CallQueueTimeout`] at the deadline, or
    /// the plugin's state when it stopped being available.
    pub fn wait(self) -> Result<Ticket> {
        let Waiting {
            target,
            limit,
            since,
        } = self;
        let plugin = Arc::clone(&target.plugin);
        let until = limit.map(|l| since + l);
        let queue = target.generation.queue;
        let mut refused = None;
        let mut admitted = None;
        let turn = plugin.gate.wait(queue, until, || {
            match target.clone().enter_since(since, limit) {
                Entry::Admitted(ticket) => admitted = Some(ticket),
                Entry::Refused(error) if is_on_its_way(&error) => return false,
                Entry::Refused(error) => refused = Some(error),
                Entry::Full(_) => return false,
            }
            true
        });
        match (admitted, refused) {
            (Some(ticket), _) => Ok(ticket),
            (None, Some(error)) => Err(error),
            (None, None) => Err(plugin.queue_refusal(target.tool(), turn, limit)),
        }
    }
}

/// A place in a plugin's queue, held without a thread. Dropping it leaves the queue.
pub(crate) struct Queued(Waiting);

impl Queued {
    /// What it waits for.
    pub(crate) fn target(&self) -> &Target {
        &self.0.target
    }

    /// When it has waited long enough.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.0.limit.map(|l| self.0.since + l)
    }

    /// Asks again: `None` while there is no turn. At the deadline the answer is final.
    pub(crate) fn attempt(&self) -> Option<Result<Ticket>> {
        let Waiting {
            target,
            limit,
            since,
        } = &self.0;
        match target.clone().enter_since(*since, *limit) {
            Entry::Admitted(ticket) => Some(Ok(ticket)),
            Entry::Refused(error) if !is_on_its_way(&error) => Some(Err(error)),
            Entry::Full(_) | Entry::Refused(_)
                if self.until().is_some_and(|at| Instant::now() >= at) =>
            {
                let plugin = &target.plugin;
                Some(Err(plugin.queue_refusal(
                    target.tool(),
                    Turn::TimedOut,
                    *limit,
                )))
            }
            Entry::Full(_) | Entry::Refused(_) => None,
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.target.plugin.gate.leave();
    }
}

/// A call under way. Dropping it without [`Ticket::succeed`] or [`Ticket::fault`] counts as a panic.
pub struct Ticket {
    target: Target,
    call_id: u64,
    started: Instant,
    limit: Option<Duration>,
    open: bool,
}

impl Ticket {
    fn new(target: Target, started: Instant, limit: Option<Duration>) -> Self {
        Self {
            target,
            call_id: metrics::call_id(),
            started,
            limit,
            open: true,
        }
    }

    /// What is being called.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Unique in the process.
    #[must_use]
    pub fn call_id(&self) -> u64 {
        self.call_id
    }

    /// How long the call may take in all.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// When it must have ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.limit.map(|l| self.started + l)
    }

    /// Names plugin and generation in a deadline slot.
    #[must_use]
    pub fn subject(&self) -> u64 {
        u64::from(self.target.plugin.id) << 32 | u64::from(self.target.generation.number)
    }

    /// The plugin answered.
    ///
    /// # Errors
    /// [`Code::LifecycleStale`] when its generation has passed: the answer must be discarded.
    pub fn succeed(mut self) -> std::result::Result<Ended, (Ended, Error)> {
        self.open = false;
        let ended = self.ended(Effect::Completed);
        let Target {
            plugin, generation, ..
        } = &self.target;
        match plugin.leave(generation) {
            Left::Present(_) | Left::Replaced => {
                self.record(true, ended.elapsed);
                Ok(ended)
            }
            Left::Stale => {
                plugin
                    .stats
                    .late_results
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let error = stale(&plugin.name);
                plugin.stats.record_code(error.code());
                Err((ended, error))
            }
        }
    }

    /// The plugin did not answer as it should. Classifies, records, and ends the generation where
    /// the fault is final.
    #[must_use]
    pub fn fault(mut self, fault: &Fault) -> (Ended, Error) {
        self.open = false;
        self.close_with(fault)
    }

    /// The same for a fault that nobody else needs.
    #[must_use]
    pub fn fault_owned(mut self, fault: Fault) -> (Ended, Error) {
        self.open = false;
        let (ended, is_final) = self.counted(&fault);
        let (plugin, tool) = (&self.target.plugin.name, &self.target.tool().spec.id);
        let error = fault.into_error(plugin, tool);
        self.leave_with(ended, error, is_final)
    }

    fn close_with(&self, fault: &Fault) -> (Ended, Error) {
        let (ended, is_final) = self.counted(fault);
        let (plugin, tool) = (&self.target.plugin.name, &self.target.tool().spec.id);
        self.leave_with(ended, fault.to_error(plugin, tool), is_final)
    }

    fn counted(&self, fault: &Fault) -> (Ended, bool) {
        let ended = self.ended(fault.effect());
        if fault.counts() {
            self.record(false, ended.elapsed);
        }
        (ended, fault.is_final(self.target.generation.fails_on))
    }

    fn leave_with(&self, ended: Ended, error: Error, is_final: bool) -> (Ended, Error) {
        let Target {
            plugin, generation, ..
        } = &self.target;
        plugin.stats.record_code(error.code());
        let left = if is_final {
            plugin.leave_failed(generation, &error)
        } else {
            plugin.leave(generation)
        };
        plugin.report_fault(
            &error,
            self.target.tool(),
            self.call_id,
            is_final && matches!(left, Left::Present(_)),
            self.started + ended.elapsed,
        );
        (ended, error)
    }

    fn ended(&self, effect: Effect) -> Ended {
        Ended {
            elapsed: self.started.elapsed(),
            generation: self.target.generation.number,
            call_id: self.call_id,
            effect,
        }
    }

    fn record(&self, ok: bool, elapsed: Duration) {
        let ns = elapsed.as_nanos() as u64;
        let end = crate::deadline::to_ns(self.started) + ns;
        self.target.plugin.stats.record(ok, end, ns);
        self.target.tool().latency.record(ns);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.open {
            let fault = Fault::Panicked {
                message: "the call was dropped without a result".into(),
            };
            let _ = self.close_with(&fault);
        }
    }
}

/// Who is in the queue when the plugin fails and is restarted goes to the next generation: nothing of
/// its call has begun.
fn is_on_its_way(refusal: &Error) -> bool {
    matches!(
        refusal.code(),
        Code::SupervisorRestarting | Code::CallNotReady
    )
}

fn stale(plugin: &str) -> Error {
    Error::new(Code::LifecycleStale).with_message(format!(
        "{plugin} was restarted or unloaded while it was being called; the old answer is discarded"
    ))
}

/// For tests and doors that only look.
impl Target {
    /// The plugin's present moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.plugin.word.load()
    }
}
