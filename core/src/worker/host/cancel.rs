//! Calls that nobody wants the answer of any more: they are told, and ended by force after a grace.

use super::child::Reason;
use super::link::{Link, Request};
use crate::call::Fault;
use crate::worker::wire::{ANSWERED, Lane, futex};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a cancelled call may take to end before it is ended by force.
pub(super) const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// Which lanes may take a call.
pub(super) struct Lanes {
    pub(super) free: Vec<u32>,
    /// Cancelled calls that are past their grace, while others run beside them.
    pub(super) stuck: Vec<Stuck>,
}

/// A cancelled call that would not end.
pub(super) struct Stuck {
    pub(super) number: u32,
    tool: String,
    /// Whether somebody takes its answer; else its lane is free once it is there.
    watched: bool,
}

impl Link {
    /// The caller wants no more of the call: it has a moment to end, and then is ended.
    pub(super) fn cancelled(&self, number: u32, lane: &Lane, request: &Request<'_>) -> Fault {
        self.cancel(lane);
        let grace = Instant::now() + CANCEL_GRACE;
        let late = request.deadline.filter(|at| *at <= grace);
        match self.wait(number, lane, &|_, _| true, Some(late.unwrap_or(grace))) {
            Ok(true) => match self.answered(number, lane) {
                Err(fault @ Fault::Crashed { .. }) => fault,
                _ => Fault::Cancelled,
            },
            Ok(false) if late.is_some() => self.unended(request.tool),
            Ok(false) if self.overdue(number, request.tool, false) => self.unended(request.tool),
            Ok(false) => Fault::Cancelled,
            Err(fault) => fault,
        }
    }

    /// Tells the worker that nobody wants the answer of the call on `lane`.
    pub(super) fn cancel(&self, lane: &Lane) {
        lane.cancel.store(1, Ordering::SeqCst);
        let cancels = &self.segment.header().cancels;
        cancels.fetch_add(1, Ordering::SeqCst);
        futex::wake(cancels);
    }

    /// The cancelled call on `number` is past its grace: the process ends as soon as there are only
    /// such calls in it. True when that is now.
    pub(super) fn overdue(&self, number: u32, tool: &str, watched: bool) -> bool {
        let mut lanes = self.lanes.lock();
        lanes.stuck.push(Stuck {
            number,
            tool: tool.to_owned(),
            watched,
        });
        self.end_stuck(&mut lanes)
    }

    /// With the lanes locked: whoever takes one later finds the process dead, and was never begun.
    pub(super) fn end_stuck(&self, lanes: &mut Lanes) -> bool {
        self.reclaim(lanes);
        let used = self.segment.shape().lanes as usize - lanes.free.len();
        let alone = used == lanes.stuck.len() && !lanes.stuck.iter().any(|s| self.has_answer(s));
        let Some(first) = lanes.stuck.first().filter(|_| alone) else {
            return false;
        };
        self.child.kill(Reason::Cancelled(first.tool.clone()));
        true
    }

    fn has_answer(&self, stuck: &Stuck) -> bool {
        self.segment.lane(stuck.number).word.load(Ordering::Acquire) == ANSWERED
    }

    /// Frees the lanes whose answers nobody takes.
    pub(super) fn reclaim(&self, lanes: &mut Lanes) {
        let over = |s: &mut Stuck| !s.watched && self.has_answer(s);
        for stuck in lanes.stuck.extract_if(.., over) {
            self.sides[stuck.number as usize].held.lock().clear();
            lanes.free.push(stuck.number);
        }
    }

    /// Ends the process of a cancelled call of `tool` that did not end.
    pub(super) fn unended(&self, tool: &str) -> Fault {
        self.child.kill(Reason::Cancelled(tool.to_owned()));
        Fault::Crashed {
            error: self.death(None),
            entered: true,
        }
    }
}
