//! A call in a worker that no thread waits for.

use super::cancel::CANCEL_GRACE;
use super::link::{Link, news};
use crate::call::{Fault, Look, Reply, Underway};
use crate::worker::wire::{ANSWERED, DIED, Lane, NOTE};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// A call in a worker that no thread waits for.
pub(super) struct Running {
    link: Arc<Link>,
    number: u32,
    tool: String,
    told: u32,
    /// When nobody wanted its answer any more.
    cancelled: Option<Instant>,
    /// Its grace is over, and it waits for others in its process to end.
    overdue: bool,
}

impl Running {
    /// Takes over a call that [`Link::begin`] has written.
    pub(super) fn new(link: &Arc<Link>, number: u32, tool: &str) -> Self {
        let (link, tool) = (Arc::clone(link), tool.to_owned());
        Self {
            link,
            number,
            tool,
            told: 0,
            cancelled: None,
            overdue: false,
        }
    }

    fn lane(&self) -> &Lane {
        self.link.segment.lane(self.number)
    }

    /// Ends the process, if the call was cancelled and is past its grace, and nothing else runs there.
    fn unended(&mut self) -> Option<Fault> {
        let late = self.wakes_at().is_some_and(|at| Instant::now() >= at);
        if !late {
            return None;
        }
        self.overdue = true;
        let ends = self.link.overdue(self.number, &self.tool, true);
        ends.then(|| self.link.unended(&self.tool))
    }

    fn done(&self, answer: Result<Reply, Fault>) -> Look {
        Look::Done(self.link.ended(answer))
    }
}

impl Underway for Running {
    fn word(&self) -> &AtomicU32 {
        &self.lane().word
    }

    fn look(&mut self, progress: &(dyn Fn(u64, u64) -> bool + Sync)) -> Look {
        loop {
            let mut told = self.told;
            let lane = self.lane();
            let seen = lane.word.load(Ordering::Acquire);
            let go_on = news(lane, progress, &mut told);
            self.told = told;
            if !go_on {
                self.cancel();
            }
            let lane = self.lane();
            match seen {
                ANSWERED => return self.done(self.link.answered(self.number, lane)),
                // Its end is known already: nothing blocks.
                DIED if self.link.end_of(self.number).is_some() => {
                    return self.done(Err(self.link.crashed(self.number, lane)));
                }
                DIED => return Look::Dying,
                NOTE => {
                    if let Err(fault) = self.link.noted(self.number, lane) {
                        return self.done(Err(fault));
                    }
                }
                waiting => {
                    return match self.unended() {
                        Some(fault) => self.done(Err(fault)),
                        None => Look::Waiting(waiting),
                    };
                }
            }
        }
    }

    fn bury(&mut self) -> Fault {
        let fault = self.link.crashed(self.number, self.lane());
        let _ = self.link.ended(Err(fault.clone()));
        fault
    }

    fn cancel(&mut self) {
        if self.cancelled.is_none() {
            self.cancelled = Some(Instant::now());
            self.link.cancel(self.lane());
        }
    }

    fn wakes_at(&self) -> Option<Instant> {
        let since = self.cancelled.filter(|_| !self.overdue)?;
        Some(since + CANCEL_GRACE)
    }

    fn expire(&mut self) -> Fault {
        let fault = match self.cancelled {
            Some(_) => self.link.unended(&self.tool),
            None => self.link.overstayed(&self.tool),
        };
        let _ = self.link.ended(Err(fault.clone()));
        fault
    }
}
