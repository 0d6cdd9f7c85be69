//! The event loop of a coroutine tool that is called from plain code; see `plugward._async.OwnLoop`.

use crate::names;
use pyo3::prelude::*;

/// Made before its call may be interrupted, closed (when it is dropped) when that is no longer possible.
pub(crate) struct OwnLoop<'py>(Bound<'py, PyAny>);

impl<'py> OwnLoop<'py> {
    /// A loop for one call on this thread; one that runs here is set aside.
    pub(crate) fn open(py: Python<'py>) -> PyResult<Self> {
        names::own_loop(py)?.call0().map(Self)
    }

    /// `run(handler, kwargs, seconds, hold=None)`: runs a coroutine function to its end.
    pub(crate) fn run(&self) -> PyResult<Bound<'py, PyAny>> {
        self.0.getattr("run")
    }
}

impl Drop for OwnLoop<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.call_method0("close") {
            error.write_unraisable(self.0.py(), Some(&self.0));
        }
    }
}
