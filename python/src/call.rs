//! The hot path: one call of a Python tool, on the caller's thread.
//!
//! Nothing is copied or converted: the handler gets the caller's own dict, the outcome holds the
//! handler's own result. What every call pays: the registry lookup, admission, the deadline slot,
//! two clock readings, counters, and one small Python object.

use crate::convert;
use crate::fault::{Answer, Limit, Trouble, classify};
use crate::interrupt;
use crate::invoke;
use crate::names;
use crate::outcome::Outcome;
use crate::own_loop::OwnLoop;
use crate::pack::{Way, pack};
use crate::runtime::Runtime;
use crate::thread;
use crate::tool::PyTool;
use plugward_core::call::{Args, CallOptions, Entry, Fault, Interruption, Target, Ticket};
use plugward_core::deadline::Disarmed;
use plugward_core::error::{Code, Error};
use plugward_core::manifest::{Isolation, Kind};
use plugward_core::runtime::{Inside, unless_replaced};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What the host asked for.
pub(crate) struct Request<'a, 'py> {
    /// The plugin.
    pub plugin: &'a Bound<'py, PyString>,
    /// Its tool.
    pub tool: &'a Bound<'py, PyString>,
    /// The arguments by name.
    pub args: Option<&'a Bound<'py, PyDict>>,
    /// The deadline in milliseconds.
    pub deadline_ms: Option<f64>,
    /// Called with what the tool reports.
    pub progress: Option<&'a Bound<'py, PyAny>>,
}

/// The argument that carries a callback.
pub(crate) const PROGRESS: &str = "progress_callback";

/// Makes the call; whatever happens is in the outcome.
pub(crate) fn call<'py>(runtime: &Runtime, py: Python<'py>, ask: &Request<'_, 'py>) -> Outcome {
    let made = catch_unwind(AssertUnwindSafe(|| {
        called(runtime, py, ask).unwrap_or_else(|e| Outcome::refused(ask.plugin, ask.tool, e))
    }));
    made.unwrap_or_else(|panic| {
        let text = plugward_core::runtime::panic_text(&*panic);
        let error = Error::new(Code::RuntimeInternal).with_cause(text);
        Outcome::refused(ask.plugin, ask.tool, error)
    })
}

fn called<'py>(
    runtime: &Runtime,
    py: Python<'py>,
    ask: &Request<'_, 'py>,
) -> Result<Outcome, Error> {
    // An error at admission is rare; one that means "look again" rarer.
    match once(runtime, py, ask) {
        Err(error) if error.code() == Code::LifecycleStale => {
            unless_replaced(|| once(runtime, py, ask))
        }
        other => other,
    }
}

fn once<'py>(runtime: &Runtime, py: Python<'py>, ask: &Request<'_, 'py>) -> Result<Outcome, Error> {
    let (target, limit) = found(runtime, ask)?;
    if PyTool::of(target.tool()).is_none() {
        return Ok(foreign(runtime, py, ask, limit));
    }
    admitted(py, target, limit).map(|ticket| run(runtime, py, ask, ticket))
}

fn admitted(py: Python<'_>, target: Target, limit: Option<Duration>) -> Result<Ticket, Error> {
    let nested = Inside::is_within(target.plugin().id);
    match target.enter(limit) {
        Entry::Admitted(ticket) => Ok(ticket),
        Entry::Refused(error) => Err(error),
        Entry::Full(_) if nested && limit.is_none() => Err(Error::new(Code::CallNested)
            .with_message("the plugin calls itself and its concurrency is used up by that call")),
        Entry::Full(waiting) => py.detach(|| waiting.wait()),
    }
}

/// Finds the tool and checks the input against its schema.
pub(crate) fn found(
    runtime: &Runtime,
    ask: &Request<'_, '_>,
) -> Result<(Target, Option<Duration>), Error> {
    let target = runtime.core().find(name(ask.plugin)?, name(ask.tool)?)?;
    if target.tool().checks_input() {
        check_input(&target, ask)?;
    }
    let options = CallOptions {
        deadline: deadline(ask.deadline_ms)?,
        progress: None,
    };
    let limit = target
        .deadline(&options)
        .or(runtime.core().default_deadline());
    Ok((target, limit))
}

fn name<'a>(text: &'a Bound<'_, PyString>) -> Result<&'a str, Error> {
    text.to_str().map_err(|_| {
        Error::new(Code::RegistryUnknownPlugin).with_message("the name is not valid Unicode")
    })
}

pub(crate) fn deadline(ms: Option<f64>) -> Result<Option<Duration>, Error> {
    let Some(ms) = ms else { return Ok(None) };
    let usable = ms > 0.0 && ms < 1e15;
    usable
        .then(|| Some(Duration::from_secs_f64(ms / 1e3)))
        .ok_or_else(|| {
            Error::new(Code::RuntimeOption)
                .with_message(format!("deadline_ms must be more than 0, not {ms}"))
        })
}

#[cold]
fn check_input(target: &Target, ask: &Request<'_, '_>) -> Result<(), Error> {
    let checked = match ask.args {
        None => target.tool().check_input(&serde_json::json!({})),
        Some(args) => {
            let found = convert::to_value(args.as_any());
            target
                .tool()
                .check_input_except(&found.value, &found.opaque)
        }
    };
    checked.inspect_err(|e| target.plugin().stats.record_code(e.code()))
}

fn run<'py>(runtime: &Runtime, py: Python<'py>, ask: &Request<'_, 'py>, ticket: Ticket) -> Outcome {
    let target = ticket.target();
    let Some(tool) = PyTool::of(target.tool()) else {
        let fault = Fault::Error(Error::new(Code::RuntimeInternal));
        return Outcome::bad(ask.plugin, ask.tool, ticket.fault(&fault), None);
    };
    let threaded = target.generation().isolation != Isolation::Inline;
    let plain = !threaded && !tool.is_async && ask.progress.is_none();
    let answer = if plain {
        inline(
            runtime,
            py,
            &ticket,
            tool,
            tool.handler.bind(py),
            None,
            ask.args,
        )
    } else {
        special(runtime, py, ask, &ticket, tool, threaded)
    };
    settle(py, ask.plugin, ask.tool, ticket, answer)
}

/// Runs the handler on this thread, under the deadline.
fn inline<'py>(
    runtime: &Runtime,
    py: Python<'py>,
    ticket: &Ticket,
    tool: &PyTool,
    callable: &Bound<'py, PyAny>,
    args: Option<&Bound<'py, pyo3::types::PyTuple>>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> Answer {
    let inside = Inside::enter(ticket.target().plugin().id).map_err(Fault::NotStarted)?;
    let dog = runtime.core().watchdog();
    let guard = ticket
        .deadline()
        .map(|at| dog.guard(at, ticket.subject(), interrupt::thread_ident));
    let result = invoke::call(callable, args.unwrap_or(names::no_args(py)), kwargs);
    let disarmed = guard.map_or(Disarmed::InTime, |guard| guard.disarm());
    if disarmed == Disarmed::Delivered {
        interrupt::take_back(py);
    }
    drop(inside);
    match (result, disarmed) {
        (Ok(value), Disarmed::InTime) => Ok(value.unbind()),
        (Err(raised), Disarmed::InTime) => Err(classify(raised, tool, Limit::of(ticket), dog)),
        (Err(raised), Disarmed::Delivered) => Err(Trouble {
            fault: Limit::of(ticket).passed(Interruption::Stopped),
            exception: Some(raised.exception.unbind()),
            of_host: false,
            text: None,
        }),
        _ => Err(Limit::of(ticket).passed(Interruption::ReturnedLate).into()),
    }
}

/// Everything but the plain case: another thread, a coroutine, a progress callback.
#[cold]
fn special<'py>(
    runtime: &Runtime,
    py: Python<'py>,
    ask: &Request<'_, 'py>,
    ticket: &Ticket,
    tool: &PyTool,
    threaded: bool,
) -> Answer {
    let kwargs = arguments(ask, tool).map_err(|e| internal(py, &e))?;
    if threaded {
        return thread::run(runtime, py, ticket, tool, kwargs);
    }
    if !tool.is_async {
        return inline(
            runtime,
            py,
            ticket,
            tool,
            tool.handler.bind(py),
            None,
            Some(&kwargs),
        );
    }
    let seconds = ticket.limit().map(|l| l.as_secs_f64());
    let args = (tool.handler.bind(py), &kwargs, seconds)
        .into_pyobject(py)
        .map_err(|e| internal(py, &e))?;
    let own = OwnLoop::open(py).map_err(|e| internal(py, &e))?;
    let run = own.run().map_err(|e| internal(py, &e))?;
    inline(runtime, py, ticket, tool, &run, Some(&args), None)
}

/// The arguments with the progress callback among them, in a dict of their own.
pub(crate) fn arguments<'py>(
    ask: &Request<'_, 'py>,
    tool: &PyTool,
) -> PyResult<Bound<'py, PyDict>> {
    let py = ask.plugin.py();
    let kwargs = ask
        .args
        .map_or_else(|| Ok(PyDict::new(py)), |args| args.copy())?;
    if let Some(progress) = ask.progress
        && tool.takes_progress
    {
        kwargs.set_item(PROGRESS, progress)?;
    }
    Ok(kwargs)
}

/// A mistake of this door.
pub(crate) fn internal(py: Python<'_>, error: &PyErr) -> Trouble {
    let text = describe_plain(py, error);
    Fault::Error(Error::new(Code::RuntimeInternal).with_cause(text)).into()
}

fn describe_plain(py: Python<'_>, error: &PyErr) -> String {
    crate::watchdog::with(|dog| Some(crate::describe::message(error.value(py), dog)))
        .unwrap_or_default()
}

/// Checks the result and closes the ticket.
pub(crate) fn settle<'py>(
    py: Python<'py>,
    plugin: &Bound<'py, PyString>,
    tool: &Bound<'py, PyString>,
    ticket: Ticket,
    answer: Answer,
) -> Outcome {
    let target = ticket.target();
    let looked_at = target.tool().checks_output() || target.generation().error_field.is_some();
    let answer = match answer {
        Ok(value) if looked_at => accepted(target, value.bind(py))
            .map(|()| value)
            .map_err(Into::into),
        other => other,
    };
    match answer {
        Ok(value) => match ticket.succeed() {
            Ok(ended) => Outcome::good(plugin, tool, value, ended),
            Err(stale) => Outcome::bad(plugin, tool, stale, None),
        },
        Err(Trouble {
            fault,
            exception,
            of_host,
            text,
        }) => Outcome::bad(plugin, tool, ticket.fault_owned(fault), exception).with(of_host, text),
    }
}

#[cold]
fn accepted(target: &Target, result: &Bound<'_, PyAny>) -> Result<(), Fault> {
    let found = convert::to_value(result);
    let checked = target
        .tool()
        .check_output_except(&found.value, &found.opaque);
    checked.map_err(Fault::Error)?;
    let Some(field) = target.generation().error_field.as_deref() else {
        return Ok(());
    };
    let text = match found.value.get(field) {
        None | Some(serde_json::Value::Null | serde_json::Value::Bool(false)) => return Ok(()),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    Err(Fault::Error(
        Error::new(Code::CallErrorField).with_message(text),
    ))
}

/// A plugin of another kind (native): the core runs it, on JSON values.
#[cold]
fn foreign<'py>(
    runtime: &Runtime,
    py: Python<'py>,
    ask: &Request<'_, 'py>,
    deadline: Option<Duration>,
) -> Outcome {
    let args = match foreign_args(runtime, ask) {
        Ok(args) => args,
        Err(error) => return Outcome::refused(ask.plugin, ask.tool, error),
    };
    let (plugin, tool) = (ask.plugin.to_string(), ask.tool.to_string());
    let options = CallOptions {
        deadline,
        progress: ask.progress.map(reporter),
    };
    let core = runtime.core().clone();
    let outcome = py.detach(move || core.call(&plugin, &tool, args, &options));
    Outcome::of(py, outcome).unwrap_or_else(|error| {
        let error = Error::new(Code::RuntimeInternal).with_cause(describe_plain(py, &error));
        Outcome::refused(ask.plugin, ask.tool, error)
    })
}

/// The arguments as they cross to where the plugin runs.
pub(crate) fn foreign_args(runtime: &Runtime, ask: &Request<'_, '_>) -> Result<Args, Error> {
    let Some(given) = ask.args else {
        return Ok(Args::default());
    };
    let target = runtime.core().find(name(ask.plugin)?, name(ask.tool)?)?;
    let way = match target.plugin().manifest().kind {
        Kind::Python => Way::ToPython,
        _ => Way::ToOthers,
    };
    let packed = pack(given.as_any(), way).map_err(|refusal| {
        Error::new(Code::CallInvalidInput).with_message(format!("{}: {refusal}", ask.tool))
    })?;
    Ok(Args::from(packed.value).with_tensors(packed.tensors))
}

type Reporter = std::sync::Arc<dyn Fn(u64, u64) -> bool + Send + Sync>;

/// A Python callback as the core calls it; one that raises asks the plugin to stop.
fn reporter(progress: &Bound<'_, PyAny>) -> Reporter {
    let progress = progress.clone().unbind();
    std::sync::Arc::new(move |current, total| {
        Python::attach(|py| progress.bind(py).call1((current, total)).is_ok())
    })
}
