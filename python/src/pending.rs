//! A call that an event loop waits for: no thread is held while it waits.

use crate::call::{self, Request};
use crate::fault::{Limit, Trouble, classify};
use crate::interrupt::Why;
use crate::invoke::Raised;
use crate::meeting::Meeting;
use crate::outcome::Outcome;
use crate::runtime::Runtime;
use crate::steps::Steps;
use crate::thread::{Away, Threads};
use crate::tool::PyTool;
use plugward_core::call::{Entry, Fault, Interruption, Ticket};
use plugward_core::runtime::unless_replaced;
use plugward_core::sync::Mutex;
use pyo3::exceptions::{PyBaseException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::time::Instant;

/// How an awaited call begins.
#[derive(IntoPyObject)]
pub(crate) enum Begun {
    /// It is over.
    Over(Py<Outcome>),
    /// It is under way.
    Pending(Py<PendingCall>),
    /// The plugin is full; so many may wait.
    Full(u32),
    /// It runs outside this interpreter; whether it can be awaited without a thread.
    Elsewhere((bool,)),
}

/// What asking for admission came to.
#[allow(
    clippy::large_enum_variant,
    reason = "the ticket is the common case and moves at once"
)]
enum Asked {
    Admitted(Ticket),
    Full(u32),
    Elsewhere(bool),
}

/// An admitted call.
#[pyclass(frozen, module = "plugward._native")]
pub(crate) struct PendingCall {
    runtime: Py<Runtime>,
    plugin: Py<PyString>,
    tool: Py<PyString>,
    kwargs: Py<PyDict>,
    limit: Limit,
    open: Mutex<Open>,
}

/// What is gone once the call has ended.
struct Open {
    ticket: Option<Ticket>,
    away: Option<std::sync::Arc<Away>>,
}

impl PendingCall {
    pub(crate) fn begin<'py>(
        runtime: &Bound<'py, Runtime>,
        ask: &Request<'_, 'py>,
    ) -> PyResult<Begun> {
        let py = runtime.py();
        let over = |outcome| Py::new(py, outcome).map(Begun::Over);
        let refused = |error| over(Outcome::refused(ask.plugin, ask.tool, error));
        let asked = unless_replaced(|| {
            let (target, limit) = call::found(runtime.get(), ask)?;
            if PyTool::of(target.tool()).is_none() {
                return Ok(Asked::Elsewhere(target.generation().executor.can_begin()));
            }
            let queue = target.generation().queue;
            match target.enter(limit) {
                Entry::Refused(error) => Err(error),
                Entry::Full(_) => Ok(Asked::Full(queue)),
                Entry::Admitted(ticket) => Ok(Asked::Admitted(ticket)),
            }
        });
        match asked {
            Err(error) => refused(error),
            Ok(Asked::Elsewhere(threadless)) => Ok(Begun::Elsewhere((threadless,))),
            Ok(Asked::Full(queue)) => Ok(Begun::Full(queue)),
            Ok(Asked::Admitted(ticket)) => Self::admitted(runtime, ask, ticket)
                .and_then(|p| Py::new(py, p))
                .map(Begun::Pending),
        }
    }

    fn admitted<'py>(
        runtime: &Bound<'py, Runtime>,
        ask: &Request<'_, 'py>,
        ticket: Ticket,
    ) -> PyResult<Self> {
        let kwargs = match PyTool::of(ticket.target().tool()) {
            Some(tool) => call::arguments(ask, tool)?,
            None => PyDict::new(runtime.py()),
        };
        Ok(Self {
            runtime: runtime.clone().unbind(),
            plugin: ask.plugin.clone().unbind(),
            tool: ask.tool.clone().unbind(),
            kwargs: kwargs.unbind(),
            limit: Limit::of(&ticket),
            open: Mutex::new(Open {
                ticket: Some(ticket),
                away: None,
            }),
        })
    }

    fn end(&self, py: Python<'_>, answer: crate::fault::Answer) -> PyResult<Option<Outcome>> {
        let taken = {
            let mut open = self.open.lock();
            open.away = None;
            open.ticket.take()
        };
        let Some(ticket) = taken else { return Ok(None) };
        call::settle(py, self.plugin.bind(py), self.tool.bind(py), ticket, answer)
            .or_host(py)
            .map(Some)
    }

    fn with_tool<R>(&self, body: impl FnOnce(&Ticket, &PyTool) -> PyResult<R>) -> PyResult<R> {
        let open = self.open.lock();
        let ended = || PyRuntimeError::new_err("the call has ended");
        let ticket = open.ticket.as_ref().ok_or_else(ended)?;
        let tool = PyTool::of(ticket.target().tool()).ok_or_else(ended)?;
        body(ticket, tool)
    }
}

#[pymethods]
impl PendingCall {
    /// Whether the tool answers a coroutine.
    #[getter]
    fn is_async(&self) -> PyResult<bool> {
        self.with_tool(|_, tool| Ok(tool.is_async))
    }

    /// Seconds until the deadline; `None` without one.
    fn seconds_left(&self) -> Option<f64> {
        self.limit
            .at()
            .map(|at| at.saturating_duration_since(Instant::now()).as_secs_f64())
    }

    /// The coroutine's steps, each under the deadline: code that blocks the loop is interrupted.
    fn steps(slf: &Bound<'_, Self>) -> PyResult<Steps> {
        let (py, this) = (slf.py(), slf.get());
        this.with_tool(|ticket, tool| {
            Ok(Steps::new(
                this.runtime.clone_ref(py),
                tool.handler.clone_ref(py),
                this.kwargs.clone_ref(py),
                ticket,
            ))
        })
    }

    /// Runs a plain function on a pool thread; `notify` is called there when `poll` has news.
    fn start(&self, py: Python<'_>, notify: Py<PyAny>) -> PyResult<()> {
        let runtime = self.runtime.get();
        let (away, job) = self.with_tool(|ticket, tool| {
            let threads = match ticket.target().generation().pool {
                Some(_) => Threads::Plugin(ticket.target().clone()),
                None => Threads::Runtime(runtime.lent()),
            };
            let away = Away::new(runtime, ticket, threads, Meeting::with_notify(notify));
            let job = away.job(runtime, py, ticket, tool, self.kwargs.bind(py))?;
            Ok((std::sync::Arc::new(away), job))
        })?;
        self.open.lock().away = Some(std::sync::Arc::clone(&away));
        let submitted = py.detach(|| away.submit(job).map_err(|t| t.fault));
        match submitted {
            Ok(()) => Ok(()),
            Err(fault) => Err(PyRuntimeError::new_err(format!("{fault:?}"))),
        }
    }

    /// Handles reports, and answers the outcome once it is there.
    #[pyo3(signature = (callback=None))]
    fn poll(
        &self,
        py: Python<'_>,
        callback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Outcome>> {
        let away = self.open.lock().away.clone();
        match away.and_then(|away| away.poll(py, callback)) {
            Some(answer) => self.end(py, answer),
            None => Ok(None),
        }
    }

    /// The coroutine has ended: with a result, or with an exception.
    fn finish(
        &self,
        py: Python<'_>,
        ok: bool,
        value: Bound<'_, PyAny>,
    ) -> PyResult<Option<Outcome>> {
        if ok {
            return self.end(py, Ok(value.unbind()));
        }
        // Describing an exception may run its code: not under the lock.
        let target = self.open.lock().ticket.as_ref().map(|t| t.target().clone());
        let Some(tool) = target.as_ref().and_then(|t| PyTool::of(t.tool())) else {
            return Ok(None);
        };
        let exception = value.cast_into::<PyBaseException>()?;
        let raised = Raised {
            exception,
            placeless: false,
        };
        let dog = self.runtime.get().core().watchdog();
        let trouble = classify(raised, tool, self.limit, dog);
        self.end(py, Err(trouble))
    }

    /// The deadline has passed. `stopped` says whether the coroutine has ended.
    fn expire(&self, py: Python<'_>, stopped: bool) -> PyResult<Option<Outcome>> {
        let away = self.open.lock().away.clone();
        let fault = match away {
            Some(away) => match away.leave(py) {
                Some(fault) => fault,
                None => return self.poll(py, None),
            },
            None if stopped => self.limit.passed(Interruption::Stopped),
            None => self.limit.passed(Interruption::Abandoned),
        };
        self.end(py, Err(fault.into()))
    }

    /// Nobody waits any more.
    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        let away = self.open.lock().away.clone();
        if let Some(away) = away {
            away.give_up(py, Why::Cancelled);
        }
        self.end(py, Err(Trouble::from(Fault::Cancelled)))
            .map(|_| ())
    }
}
