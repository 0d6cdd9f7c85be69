//! What the door keeps of one tool: what to call, and how.

use plugward_core::registry::Tool;
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The door's own half of a tool.
pub(crate) struct PyTool {
    /// Takes the arguments by name.
    pub handler: Py<PyAny>,
    /// Whether it answers a coroutine.
    pub is_async: bool,
    /// Whether it is a Python function: a `TypeError` without a traceback is then its signature's.
    pub is_function: bool,
    /// Whether it takes `progress_callback`.
    pub takes_progress: bool,
    /// It has a parameter of that name: it gets one also where nobody is known to have asked.
    pub names_progress: bool,
    /// How often this plugin's tracebacks were written lately.
    pub budget: Arc<Budget>,
}

impl PyTool {
    /// The door's half of `tool`.
    pub(crate) fn of(tool: &Tool) -> Option<&PyTool> {
        tool.handle.as_ref()?.downcast_ref()
    }
}

/// Bounds how many tracebacks a second a plugin costs; the core bounds the log lines likewise.
#[derive(Default)]
pub(crate) struct Budget(AtomicU64);

const PER_SECOND: u64 = 20;

impl Budget {
    /// Whether one more may be written.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let second = plugward_core::deadline::to_ns(now) / 1_000_000_000;
        let seen = self.0.load(Ordering::Relaxed);
        let count = if seen >> 24 == second {
            seen & 0xff_ffff
        } else {
            0
        };
        if count >= PER_SECOND {
            return false;
        }
        self.0.store(second << 24 | (count + 1), Ordering::Relaxed);
        true
    }
}
