//! The core's errors as Python exceptions, for the host that misuses the API.

use crate::convert;
use crate::names;
use plugward_core::Error;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The exception that carries `error`: `plugward.PlugwardError`.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let made = (|| {
        let fields = PyDict::new(py);
        convert::error_into(error, &fields)?;
        names::plugward_error(py)?.call1((error.message(), fields))
    })();
    made.map_or_else(|wrong| wrong, PyErr::from_value)
}

/// A result whose error becomes an exception.
pub(crate) trait OrRaise<T> {
    /// The value, or the exception.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for plugward_core::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error))
    }
}
