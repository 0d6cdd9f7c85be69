//! The end of the interpreter, announced by Python's `atexit`.
//!
//! From then on our own threads leave the interpreter alone: a thread that waits for it while it
//! is torn down is ended by `pthread_exit`, wherever it stands.

use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

static ENDING: AtomicBool = AtomicBool::new(false);

/// The interpreter is about to end.
#[pyfunction]
pub(crate) fn interpreter_ends() {
    ENDING.store(true, Ordering::Release);
}

/// Attaches a thread of ours, as long as there is an interpreter that goes on.
pub(crate) fn attach<R>(body: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    if ENDING.load(Ordering::Acquire) {
        return None;
    }
    Python::try_attach(body)
}
