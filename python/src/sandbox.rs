//! Runs one callable that is nobody's plugin, on the caller's thread; no exception leaves.

use crate::describe;
use crate::invoke;
use crate::watchdog;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::time::Instant;

/// Result, exception, message, type, milliseconds.
type Told = (
    Option<Py<PyAny>>,
    Option<Py<PyBaseException>>,
    Option<String>,
    Option<String>,
    f64,
);

/// `function(*args, **kwargs)` as `(result, exception, error, error_type, elapsed_ms)`.
#[pyfunction]
#[pyo3(signature = (function, args, kwargs=None))]
pub(crate) fn run_sandboxed<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> Told {
    let began = Instant::now();
    let result = invoke::call(function, args, kwargs);
    let elapsed_ms = began.elapsed().as_secs_f64() * 1e3;
    match result {
        Ok(value) => (Some(value.unbind()), None, None, None, elapsed_ms),
        Err(raised) => {
            let exception = raised.exception;
            let kind = describe::type_name(&exception.get_type());
            let message = watchdog::with(|dog| Some(describe::message(&exception, dog)));
            (
                None,
                Some(exception.unbind()),
                Some(message.unwrap_or_default()),
                Some(kind),
                elapsed_ms,
            )
        }
    }
}

/// The full traceback of an exception as text, whatever it is: bounded in time and size.
#[pyfunction]
pub(crate) fn describe_exception(exception: &Bound<'_, PyBaseException>) -> String {
    watchdog::with(|dog| describe::traceback(exception, dog)).unwrap_or_default()
}
