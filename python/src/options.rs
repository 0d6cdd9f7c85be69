//! What the runtime's constructor takes.

use crate::error::exception;
use plugward_core::RuntimeOptions;
use plugward_core::error::{Code, Error};
use pyo3::prelude::*;
use std::time::Duration;

/// A number of seconds, or an error that names it.
pub(crate) fn seconds(py: Python<'_>, name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| {
        let text = format!("{name} must be a number of seconds, not {value}");
        exception(py, &Error::new(Code::RuntimeOption).with_message(text))
    })
}

/// The core's options.
pub(crate) fn options(
    py: Python<'_>,
    audit: Option<&Bound<'_, PyAny>>,
    lock_timeout: f64,
    load_timeout: f64,
    default_deadline_ms: Option<f64>,
    log_queue: usize,
    drain_timeout: f64,
) -> PyResult<RuntimeOptions> {
    if audit.is_some() {
        let error = Error::new(Code::RuntimeOption)
            .with_message("audit: this build has no audit log")
            .with_remedy("leave audit out; faults and restarts are in the log and in health");
        return Err(exception(py, &error));
    }
    let deadline = default_deadline_ms
        .map(|ms| seconds(py, "default_deadline_ms", ms / 1e3))
        .transpose()?;
    Ok(RuntimeOptions {
        lock_timeout: seconds(py, "lock_timeout", lock_timeout)?,
        load_timeout: seconds(py, "load_timeout", load_timeout)?,
        drain_timeout: seconds(py, "drain_timeout", drain_timeout)?,
        default_deadline: deadline,
        log_queue,
        ..RuntimeOptions::default()
    })
}
