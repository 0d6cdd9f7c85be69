//! How a runtime is set up.

use crate::error::{Code, Error, Result};
use std::path::PathBuf;
use std::time::Duration;

/// How a runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// How long a writer waits for a registry lock. Default 1 s.
    pub lock_timeout: Duration,
    /// How long import, construction and validation of one plugin may take. Default 60 s.
    pub load_timeout: Duration,
    /// Deadline of calls where neither call, tool nor plugin names one. Default none.
    pub default_deadline: Option<Duration>,
    /// The worker program of native plugins. Default: where PLUGWARD_WORKER points, else
    /// `plugward-worker` beside the executable.
    pub worker: Option<PathBuf>,
    /// Log records that may wait for the host's sink. Default 1024.
    pub log_queue: usize,
    /// How long a reload or a stop waits for the calls under way. Default 30 s.
    pub drain_timeout: Duration,
    /// How long `close` waits for the log sink. Default 500 ms.
    pub close_patience: Duration,
}

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(1),
            load_timeout: Duration::from_secs(60),
            default_deadline: None,
            worker: None,
            log_queue: 1024,
            drain_timeout: Duration::from_secs(30),
            close_patience: Duration::from_millis(500),
        }
    }
}

impl RuntimeOptions {
    pub(super) fn check(&self) -> Result<()> {
        let bad = |what: &str| Err(Error::new(Code::RuntimeOption).with_message(what));
        if self.lock_timeout.is_zero() {
            return bad("lock_timeout must be more than 0");
        }
        if self.load_timeout.is_zero() {
            return bad("load_timeout must be more than 0");
        }
        if self.default_deadline.is_some_and(|d| d.is_zero()) {
            return bad("default_deadline must be more than 0; leave it out for no deadline");
        }
        if !(1..=1 << 20).contains(&self.log_queue) {
            return bad("log_queue must be in 1..=1048576");
        }
        Ok(())
    }
}
