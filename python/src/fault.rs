//! Which fault an exception is.

use crate::describe;
use crate::invoke::Raised;
use crate::names;
use crate::tool::PyTool;
use plugward_core::call::{Fault, Interruption, Ticket};
use plugward_core::deadline::Watchdog;
use pyo3::exceptions::{PyBaseException, PyMemoryError, PySystemExit, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyType};
use std::time::{Duration, Instant};

/// How much too early an event loop's timer may fire: its clock is coarser than ours.
const EARLY: Duration = Duration::from_millis(2);

/// A fault with the exception that it comes from.
pub(crate) struct Trouble {
    /// What the core is told.
    pub fault: Fault,
    /// What the host may look at.
    pub exception: Option<Py<PyBaseException>>,
    /// Whether the exception is the host's own (Ctrl-C while it waited) and must reach it.
    pub of_host: bool,
    /// The exception's message, where it is one of the exception's own objects.
    pub text: Option<Py<PyString>>,
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            exception: None,
            of_host: false,
            text: None,
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
    /// About when the call began; it saves a look at the clock.
    began: Option<Instant>,
}

impl Limit {
    /// Of one call.
    pub(crate) fn of(ticket: &Ticket) -> Self {
        let at = ticket.deadline();
        let length = ticket.limit().unwrap_or_default();
        let began = at.and_then(|at| at.checked_sub(length));
        Self { at, length, began }
    }

    /// Of a call that has none.
    pub(crate) fn none() -> Self {
        Self {
            at: None,
            length: Duration::ZERO,
            began: None,
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
pub(crate) fn classify(raised: Raised<'_>, tool: &PyTool, limit: Limit, dog: &Watchdog) -> Trouble {
    let (fault, text) = fault(&raised, tool, limit, dog);
    let exception = Some(raised.exception.unbind());
    Trouble {
        fault,
        exception,
        of_host: false,
        text,
    }
}

fn fault(
    raised: &Raised<'_>,
    tool: &PyTool,
    limit: Limit,
    dog: &Watchdog,
) -> (Fault, Option<Py<PyString>>) {
    let exception = &raised.exception;
    let kind = describe::Kind::of(exception);
    if raised.placeless && tool.is_function && exception.is_exact_instance_of::<PyTypeError>() {
        // The arguments do not fit the signature: not one line of the plugin was run.
        return (
            Fault::RefusedInput {
                message: describe::message(exception, dog),
            },
            None,
        );
    }
    if !kind.is_ordinary
        && let Some(special) = special(exception, tool, limit, dog)
    {
        return (special, None);
    }
    let said = describe::said(exception, dog);
    if kind.name == "PanicException" {
        return (Fault::Panicked { message: said.text }, None);
    }
    let traceback = text(exception, tool, limit, dog);
    #[cfg(target_os = "linux")]
    if let Some(error) = crate::denial::of(exception) {
        let fault = plugward_core::worker::spoken(error, kind.name, said.text, traceback);
        return (fault, None);
    }
    (
        Fault::Raised {
            kind: kind.name,
            message: said.text,
            traceback,
        },
        said.object,
    )
}

/// The exceptions that mean more than that something failed.
fn special(
    exception: &Bound<'_, PyBaseException>,
    tool: &PyTool,
    limit: Limit,
    dog: &Watchdog,
) -> Option<Fault> {
    let py = exception.py();
    let is = |class: PyResult<&Bound<'_, PyType>>| class.is_ok_and(|class| is_a(exception, class));
    if is(names::invalid_input(py)) {
        return Some(Fault::RefusedInput {
            message: describe::message(exception, dog),
        });
    }
    if is(names::call_cancelled(py)) {
        return Some(Fault::Cancelled);
    }
    if is(names::deadline_exceeded(py)) {
        // Without a deadline of its own it is the caller's: the outer call is being stopped.
        return Some(match limit.at() {
            Some(at) if Instant::now() + EARLY >= at => limit.passed(Interruption::Stopped),
            _ => Fault::Cancelled,
        });
    }
    if is_a(exception, &py.get_type::<PySystemExit>()) {
        let traceback = text(exception, tool, limit, dog);
        return Some(Fault::Exited {
            status: exit_status(exception),
            traceback,
        });
    }
    if is_a(exception, &py.get_type::<PyMemoryError>()) {
        let said = describe::message(exception, dog);
        let message = if said.is_empty() {
            "the plugin ran out of memory".into()
        } else {
            said
        };
        return Some(Fault::Memory { message });
    }
    None
}

/// Whether the class is a real base; the exception's own `__class__` is not asked.
fn is_a(exception: &Bound<'_, PyBaseException>, class: &Bound<'_, PyType>) -> bool {
    crate::raw::is_subtype(exception.as_any(), class)
}

fn text(
    exception: &Bound<'_, PyBaseException>,
    tool: &PyTool,
    limit: Limit,
    dog: &Watchdog,
) -> Option<String> {
    let now = limit.began.unwrap_or_else(Instant::now);
    tool.budget
        .take(now)
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
