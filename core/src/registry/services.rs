//! What all plugins of one runtime share.

use super::Plugin;
use crate::error::{Code, Error, Result};
use crate::log::LogHub;
use crate::metrics::Histogram;
use crate::sync::{Mutex, MutexGuard};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long writers waited for locks.
#[derive(Default)]
pub struct LockWait {
    /// Waiting times.
    pub waits: Histogram,
    /// Waits that were given up.
    pub timeouts: AtomicU64,
}

/// What all plugins of one runtime share.
pub struct Services {
    /// Where log lines go.
    pub log: LogHub,
    /// How long a writer waits for a lock.
    pub lock_timeout: Duration,
    /// How long they waited.
    pub lock_wait: LockWait,
    /// Told of each generation that became FAILED.
    on_failed: OnceLock<Box<OnFailed>>,
}

/// Told of each generation that became FAILED; must not block.
pub(crate) type OnFailed = dyn Fn(&Plugin, u32) + Send + Sync;

impl Services {
    pub(crate) fn new(log: LogHub, lock_timeout: Duration) -> Self {
        Self {
            log,
            lock_timeout,
            lock_wait: LockWait::default(),
            on_failed: OnceLock::new(),
        }
    }

    /// Who is told of failures from now on; only the first is heard.
    pub(crate) fn on_failed(&self, tell: Box<OnFailed>) {
        let _ = self.on_failed.set(tell);
    }

    pub(crate) fn failed(&self, plugin: &Plugin, generation: u32) {
        if let Some(tell) = self.on_failed.get() {
            tell(plugin, generation);
        }
    }

    /// Takes `mutex` within the lock timeout; the wait is measured.
    pub(crate) fn lock<'a>(&self, mutex: &'a Mutex<()>, what: &str) -> Result<MutexGuard<'a, ()>> {
        let since = Instant::now();
        let guard = mutex.try_lock_for(self.lock_timeout);
        self.lock_wait
            .waits
            .record(since.elapsed().as_nanos() as u64);
        guard.ok_or_else(|| {
            self.lock_wait.timeouts.fetch_add(1, Ordering::Relaxed);
            Error::new(Code::RegistryBusy).with_message(format!(
                "{what} could not be changed within {}",
                crate::call::ms(self.lock_timeout)
            ))
        })
    }
}
