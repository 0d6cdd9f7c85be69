//! What a manifest means where it is silent.

use crate::manifest::{Isolation, Kind, Manifest};
use std::time::Duration;

/// Deadline of a call where neither call, tool nor manifest names one; host callables have none.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);
/// Threads of a plugin at `thread` where the manifest names no concurrency.
const DEFAULT_THREADS: u32 = 8;

/// The most calls that one worker process runs at once: each has a thread and a lane of its own.
pub(crate) const MOST_IN_WORKER: u32 = 64;

impl Manifest {
    /// The isolation that calls get.
    ///
    /// Host callables are inline, or on threads when they have a deadline; everything else is on
    /// threads.
    #[must_use]
    pub fn effective_isolation(&self) -> Isolation {
        self.isolation
            .unwrap_or(match (self.kind, self.limits.deadline_ms) {
                (Kind::Host, None) => Isolation::Inline,
                _ => Isolation::Thread,
            })
    }

    /// The deadline that calls get.
    #[must_use]
    pub fn effective_deadline(&self) -> Option<Duration> {
        match self.limits.deadline_ms {
            Some(ms) => Some(Duration::from_millis(ms)),
            None if self.kind == Kind::Host => None,
            None => Some(DEFAULT_DEADLINE),
        }
    }

    /// How many calls run at once.
    #[must_use]
    pub fn effective_concurrency(&self) -> u32 {
        let isolation = self.effective_isolation();
        let most = self.limits.concurrency.unwrap_or(match isolation {
            Isolation::Inline => u32::MAX,
            _ => DEFAULT_THREADS,
        });
        match isolation {
            Isolation::Process => most.min(MOST_IN_WORKER),
            _ => most,
        }
    }
}
