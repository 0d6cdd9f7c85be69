//! A call in a worker that no thread waits for.

use super::link::{Link, news};
use crate::call::{Fault, Look, Reply, Underway};
use crate::worker::wire::{ANSWERED, DIED, Lane, NOTE};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A call in a worker that no thread waits for.
pub(super) struct Running {
    link: Arc<Link>,
    number: u32,
    tool: String,
    told: u32,
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
        }
    }

    fn lane(&self) -> &Lane {
        self.link.segment.lane(self.number)
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
            if !news(lane, progress, &mut told) {
                lane.cancel.store(1, Ordering::Release);
            }
            self.told = told;
            let lane = self.lane();
            match seen {
                ANSWERED => return self.done(self.link.answered(self.number, lane)),
                // Reaped already: nothing blocks.
                DIED if self.link.child.try_reap().is_some() => {
                    return self.done(Err(self.link.crashed(lane)));
                }
                DIED => return Look::Dying,
                NOTE => {
                    if let Err(fault) = self.link.noted(lane) {
                        return self.done(Err(fault));
                    }
                }
                waiting => return Look::Waiting(waiting),
            }
        }
    }

    fn bury(&mut self) -> Fault {
        let fault = self.link.crashed(self.lane());
        let _ = self.link.ended(Err(fault.clone()));
        fault
    }

    fn cancel(&mut self) {
        self.lane().cancel.store(1, Ordering::Release);
    }

    fn expire(&mut self) -> Fault {
        let fault = self.link.overstayed(&self.tool);
        let _ = self.link.ended(Err(fault.clone()));
        fault
    }
}
