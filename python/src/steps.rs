//! The steps of a coroutine, each under the call's deadline.
//!
//! An event loop's own timers do not fire while a coroutine blocks the loop. The deadline slot is
//! therefore armed for the length of each step, and only then: an exception that is meant for this
//! coroutine can never reach another task.

use crate::interrupt;
use crate::invoke;
use crate::names;
use crate::runtime::Runtime;
use plugward_core::call::Ticket;
use plugward_core::deadline::Disarmed;
use plugward_core::runtime::Inside;
use plugward_core::sync::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::time::Instant;

/// An awaitable over a tool's coroutine.
#[pyclass(frozen, module = "plugward._native")]
pub(crate) struct Steps {
    runtime: Py<Runtime>,
    handler: Py<PyAny>,
    kwargs: Py<PyDict>,
    coroutine: Mutex<Option<Py<PyAny>>>,
    deadline: Option<Instant>,
    subject: u64,
    plugin: u32,
}

impl Steps {
    pub(crate) fn new(
        runtime: Py<Runtime>,
        handler: Py<PyAny>,
        kwargs: Py<PyDict>,
        ticket: &Ticket,
    ) -> Self {
        let (deadline, subject) = (ticket.deadline(), ticket.subject());
        let plugin = ticket.target().plugin().id;
        Self {
            runtime,
            handler,
            kwargs,
            coroutine: Mutex::new(None),
            deadline,
            subject,
            plugin,
        }
    }

    /// One step, under the deadline.
    fn guarded<'py>(
        &self,
        py: Python<'py>,
        step: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let inside = Inside::enter(self.plugin).map_err(|e| crate::error::exception(py, &e))?;
        let dog = self.runtime.get().core().watchdog();
        let guard = self
            .deadline
            .map(|at| dog.guard(at, self.subject, interrupt::thread_ident));
        let result = step();
        if guard.map(|guard| guard.disarm()) == Some(Disarmed::Delivered) {
            interrupt::take_back(py);
        }
        drop(inside);
        result
    }

    /// What the handler returns; arguments that do not fit its signature are the caller's mistake.
    fn called<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let made = invoke::call(
            self.handler.bind(py),
            names::no_args(py),
            Some(self.kwargs.bind(py)),
        );
        made.map_err(|raised| {
            if raised.placeless && raised.exception.is_exact_instance_of::<PyTypeError>() {
                let text = raised
                    .exception
                    .str()
                    .map(|s| s.to_string())
                    .unwrap_or_default();
                let refused = names::invalid_input(py).and_then(|class| class.call1((text,)));
                return refused.map_or_else(|error| error, PyErr::from_value);
            }
            raised.into()
        })
    }

    /// The iterator behind the awaitable that the handler returned.
    fn iterator<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(known) = self.coroutine.lock().as_ref() {
            return Ok(known.bind(py).clone());
        }
        let awaitable = self.called(py)?;
        let iterator = if awaitable.hasattr("send")? {
            awaitable
        } else if awaitable.hasattr("__await__")? {
            awaitable.call_method0("__await__")?
        } else {
            return Err(PyTypeError::new_err(
                "an async tool answered something that is no awaitable",
            ));
        };
        *self.coroutine.lock() = Some(iterator.clone().unbind());
        Ok(iterator)
    }
}

#[pymethods]
impl Steps {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.send(py, py.None().into_bound(py))
    }

    fn send<'py>(&self, py: Python<'py>, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.guarded(py, || {
            let iterator = self.iterator(py)?;
            match iterator.hasattr("send")? {
                true => iterator.call_method1("send", (value,)),
                false => iterator.call_method0("__next__"),
            }
        })
    }

    #[pyo3(signature = (*exception))]
    fn throw<'py>(
        &self,
        py: Python<'py>,
        exception: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let known = self.coroutine.lock().as_ref().map(|c| c.bind(py).clone());
        let Some(iterator) = known else {
            // It has not begun: the exception is its answer.
            return Err(PyErr::from_value(
                exception.get_item(exception.len().clamp(1, 2) - 1)?,
            ));
        };
        self.guarded(py, || iterator.call_method1("throw", exception))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Some(iterator) = self.coroutine.lock().take() else {
            return Ok(());
        };
        let iterator = iterator.into_bound(py);
        if !iterator.hasattr("close")? {
            return Ok(());
        }
        self.guarded(py, || iterator.call_method0("close"))
            .map(|_| ())
    }
}
