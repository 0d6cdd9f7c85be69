//! Which fault an exception is.

use crate::describe;
use crate::names;
use crate::tool::PyTool;
use plugward_core::call::{Fault, Interruption, Ticket};
use plugward_core::deadline::Watchdog;
use pyo3::exceptions::{PyBaseException, PyMemoryError, PySystemExit, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};
use std::time::{Duration, Instant};

/// A fault with the exception that it comes from.
pub(crate) struct Trouble {
    /// What the core is told.
    pub fault: Fault,
    /// What the host may look at.
    pub exception: Option<Py<PyBaseException>>,
    /// Whether the exception is the host's own (Ctrl-C while it waited) and must reach it.
    pub of_host: bool,
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            exception: None,
            of_host: false,
        }
    }
}

/// What the plugin's code came to.
pub(crate) type Answer = Result<Py<PyAny>, Trouble>;

/// When a call must have ended, in the words of a fault.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    at: Option<Instant>,
    length: Duration,
}

impl Limit {
    /// Of one call.
    pub(crate) fn of(ticket: &Ticket) -> Self {
        Self {
            at: ticket.deadline(),
            length: ticket.limit().unwrap_or_default(),
        }
    }

    /// Of a call that has none.
    pub(crate) fn none() -> Self {
        Self {
            at: None,
            length: Duration::ZERO,
        }
    }

    /// When it is.
    pub(crate) fn at(self) -> Option<Instant> {
        self.at
    }

    /// The deadline's fault.
    pub(crate) fn passed(self, how: Interruption) -> Fault {
        Fault::Deadline {
            limit: self.length,
            how,
        }
    }

    /// The deadline passed before the call had its turn.
    pub(crate) fn no_turn(self) -> Fault {
        Fault::QueueTimeout { limit: self.length }
    }
}

/// Classifies what left the plugin; its deadline is known not to have been the cause, unless the
/// plugin was told so by its own event loop.
pub(crate) fn classify(
    py: Python<'_>,
    error: PyErr,
    tool: &PyTool,
    limit: Limit,
    dog: &Watchdog,
) -> Trouble {
    let unbound = error.traceback(py).is_none();
    let exception = error.into_value(py).into_bound(py);
    let fault = fault(&exception, unbound, tool, limit, dog);
    Trouble {
        fault,
        exception: Some(exception.unbind()),
        of_host: false,
    }
}

fn fault(
    exception: &Bound<'_, PyBaseException>,
    unbound: bool,
    tool: &PyTool,
    limit: Limit,
    dog: &Watchdog,
) -> Fault {
    let is = |class: PyResult<&Bound<'_, pyo3::types::PyType>>| {
        class.is_ok_and(|class| is_a(exception, class))
    };
    let py = exception.py();
    if unbound && tool.is_function && exception.is_exact_instance_of::<PyTypeError>() {
        // The arguments do not fit the signature: not one line of the plugin was run.
        return Fault::RefusedInput {
            message: describe::message(exception, dog),
        };
    }
    if is(names::invalid_input(py)) {
        return Fault::RefusedInput {
            message: describe::message(exception, dog),
        };
    }
    if is(names::deadline_exceeded(py)) {
        // Without a deadline of its own it is the caller's: the outer call is being stopped.
        return match limit.at() {
            Some(at) if Instant::now() >= at => limit.passed(Interruption::Stopped),
            _ => Fault::Cancelled,
        };
    }
    if is_a(exception, &py.get_type::<PySystemExit>()) {
        return Fault::Exited {
            status: exit_status(exception),
            traceback: text(exception, tool, dog),
        };
    }
    let message = describe::message(exception, dog);
    if is_a(exception, &py.get_type::<PyMemoryError>()) {
        let message = if message.is_empty() {
            "the plugin ran out of memory".into()
        } else {
            message
        };
        return Fault::Memory { message };
    }
    let kind = describe::type_name(&exception.get_type());
    if kind == "PanicException" {
        return Fault::Panicked { message };
    }
    Fault::Raised {
        kind,
        message,
        traceback: text(exception, tool, dog),
    }
}

/// Whether the class is a real base; the exception's own `__class__` is not asked.
fn is_a(exception: &Bound<'_, PyBaseException>, class: &Bound<'_, pyo3::types::PyType>) -> bool {
    crate::raw::is_subtype(exception.as_any(), class)
}

fn text(exception: &Bound<'_, PyBaseException>, tool: &PyTool, dog: &Watchdog) -> Option<String> {
    tool.budget
        .take()
        .then(|| describe::traceback(exception, dog))
        .flatten()
}

/// `SystemExit.code`, where it is one of the things that `sys.exit` takes.
fn exit_status(exception: &Bound<'_, PyBaseException>) -> String {
    let Some(code) = crate::describe::first_argument(exception) else {
        return "0".to_owned();
    };
    if code.is_none() {
        "0".to_owned()
    } else if let Ok(text) = code.cast_exact::<PyString>() {
        format!("1 ({})", describe::text(text))
    } else if code.is_exact_instance_of::<PyInt>() {
        code.str()
            .map_or_else(|_| "1".to_owned(), |s| describe::text(&s))
    } else {
        "1".to_owned()
    }
}
