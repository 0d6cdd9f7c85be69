//! What every call returns to Python.

use crate::buffers::{Beside, Unfit, unpack};
use crate::convert;
use crate::describe;
use crate::names;
use plugward_core::call::{Effect, Ended, Outcome as CoreOutcome};
use plugward_core::error::{Code, Error};
use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::cell::RefCell;

/// The error half: what is known, and the exception that it comes from.
pub(crate) struct Failure {
    error: Error,
    exception: Option<Py<PyBaseException>>,
    of_host: bool,
    text: Option<Py<PyString>>,
}

/// The answer to a call: a result or an error, never an exception.
///
/// Attributes are made when they are asked for, so that a call that nobody looks at costs nothing.
#[pyclass(frozen, module = "plugward")]
pub(crate) struct Outcome {
    /// The plugin that was called.
    #[pyo3(get)]
    plugin: Py<PyString>,
    /// The tool that was called.
    #[pyo3(get)]
    tool: Py<PyString>,
    ended: Ended,
    value: Option<Py<PyAny>>,
    failure: Option<Failure>,
}

impl Outcome {
    /// A result.
    #[inline]
    pub(crate) fn good(
        plugin: &Bound<'_, PyString>,
        tool: &Bound<'_, PyString>,
        value: Py<PyAny>,
        ended: Ended,
    ) -> Self {
        let (plugin, tool) = (plugin.clone().unbind(), tool.clone().unbind());
        Self {
            plugin,
            tool,
            ended,
            value: Some(value),
            failure: None,
        }
    }

    /// An error.
    pub(crate) fn bad(
        plugin: &Bound<'_, PyString>,
        tool: &Bound<'_, PyString>,
        (ended, error): (Ended, Error),
        exception: Option<Py<PyBaseException>>,
    ) -> Self {
        let (plugin, tool) = (plugin.clone().unbind(), tool.clone().unbind());
        let failure = Some(Failure {
            error,
            exception,
            of_host: false,
            text: None,
        });
        Self {
            plugin,
            tool,
            ended,
            value: None,
            failure,
        }
    }

    /// Says whether the exception is the host's own, and which object its message is.
    pub(crate) fn with(mut self, of_host: bool, text: Option<Py<PyString>>) -> Self {
        if let Some(failure) = &mut self.failure {
            failure.of_host = of_host;
            failure.text = text;
        }
        self
    }

    /// Itself, unless an exception of the host (Ctrl-C) ended the wait: that one is raised.
    pub(crate) fn or_host(self, py: Python<'_>) -> PyResult<Self> {
        match &self.failure {
            Some(failure) if failure.of_host => match &failure.exception {
                Some(raised) => Err(PyErr::from_value(raised.bind(py).clone().into_any())),
                None => Ok(self),
            },
            _ => Ok(self),
        }
    }

    /// A call that was not admitted.
    pub(crate) fn refused(
        plugin: &Bound<'_, PyString>,
        tool: &Bound<'_, PyString>,
        error: Error,
    ) -> Self {
        Self::bad(plugin, tool, (Ended::NOT_STARTED, error), None)
    }

    /// An outcome of the core's own path.
    pub(crate) fn of(py: Python<'_>, core: CoreOutcome) -> PyResult<Self> {
        let (plugin, tool) = (
            PyString::new(py, &core.plugin),
            PyString::new(py, &core.tool),
        );
        Ok(match core.result {
            Ok(reply) => {
                let arrays = RefCell::new(reply.tensors.into_iter().map(Some).collect());
                match unpack(py, &reply.value, Beside::Taken(&arrays)) {
                    Ok(value) => Self::good(&plugin, &tool, value.unbind(), core.ended),
                    Err(Unfit::Here(why)) => {
                        let error = Error::new(Code::CallUnserializable).with_message(why);
                        Self::bad(&plugin, &tool, (core.ended, error), None)
                    }
                    Err(Unfit::Wrong(error)) => return Err(error),
                }
            }
            Err(error) => Self::bad(&plugin, &tool, (core.ended, error), None),
        })
    }

    fn error_ref(&self) -> Option<&Error> {
        self.failure.as_ref().map(|f| &f.error)
    }
}

#[pymethods]
impl Outcome {
    /// Whether there is a result.
    #[getter]
    fn ok(&self) -> bool {
        self.failure.is_none()
    }

    /// The result; `None` where there is an error.
    #[getter]
    fn result(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.value.as_ref().map(|v| v.clone_ref(py))
    }

    /// What happened, in words: for a plugin's exception exactly `str(exception)`.
    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        let failure = self.failure.as_ref()?;
        Some(match &failure.text {
            Some(text) => text.bind(py).clone(),
            None => PyString::new(py, failure.error.message()),
        })
    }

    /// The exception's class name, or Plugward's word.
    #[getter]
    fn error_type(&self) -> Option<&str> {
        self.error_ref().map(Error::kind)
    }

    /// The stable code, `PW-CALL-001`.
    #[getter]
    fn code(&self) -> Option<&'static str> {
        self.error_ref().map(|e| e.code().as_str())
    }

    /// Why it happened.
    #[getter]
    fn cause(&self) -> Option<&str> {
        self.error_ref().map(Error::cause)
    }

    /// What to do about it.
    #[getter]
    fn remedy(&self) -> Option<&str> {
        self.error_ref().map(Error::remedy)
    }

    /// Whether the same call may succeed later by itself.
    #[getter]
    fn retryable(&self) -> bool {
        self.error_ref().is_some_and(Error::retryable)
    }

    /// The HTTP status that fits; 200 for a result.
    #[getter]
    fn http_status(&self) -> u16 {
        self.error_ref().map_or(200, Error::http_status)
    }

    /// Structured details of the error.
    #[getter]
    fn details<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let details = self.error_ref().and_then(Error::details);
        details.map(|d| convert::to_python(py, d)).transpose()
    }

    /// `not_started`, `completed`, `stopped` or `may_have_run`.
    #[getter]
    fn effect(&self) -> &'static str {
        Effect::as_str(self.ended.effect)
    }

    /// From admission to end, in milliseconds.
    #[getter]
    fn elapsed_ms(&self) -> f64 {
        self.ended.elapsed.as_secs_f64() * 1e3
    }

    /// The generation that was called; 0 when none was.
    #[getter]
    fn generation(&self) -> u32 {
        self.ended.generation
    }

    /// Unique in the process; 0 when the call was not admitted.
    #[getter]
    fn call_id(&self) -> u64 {
        self.ended.call_id
    }

    /// The plugin's exception itself.
    #[getter]
    fn exception(&self, py: Python<'_>) -> Option<Py<PyBaseException>> {
        self.failure
            .as_ref()?
            .exception
            .as_ref()
            .map(|e| e.clone_ref(py))
    }

    /// The full traceback as text, formatted now.
    #[getter]
    fn traceback(&self, py: Python<'_>) -> Option<String> {
        let failure = self.failure.as_ref()?;
        match &failure.exception {
            Some(exception) => {
                crate::watchdog::with(|dog| describe::traceback(exception.bind(py), dog))
            }
            None => failure.error.traceback().map(str::to_owned),
        }
    }

    /// `{ok: True, result, ...}` or `{ok: False, error, error_type, code, ...}`.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("ok", self.ok())?;
        match &self.failure {
            None => dict.set_item("result", &self.value)?,
            Some(failure) => convert::error_into(&failure.error, &dict)?,
        }
        dict.set_item("plugin", &self.plugin)?;
        dict.set_item("tool", &self.tool)?;
        dict.set_item("effect", self.effect())?;
        dict.set_item("elapsed_ms", self.elapsed_ms())?;
        dict.set_item("generation", self.generation())?;
        dict.set_item("call_id", self.call_id())?;
        Ok(dict)
    }

    /// The result, or `PluginCallError` with this outcome and the plugin's exception as its cause.
    fn unwrap(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let Some(failure) = &this.failure else {
            return Ok(this
                .value
                .as_ref()
                .map_or_else(|| py.None(), |v| v.clone_ref(py)));
        };
        let fields = PyDict::new(py);
        convert::error_into(&failure.error, &fields)?;
        fields.set_item("outcome", slf)?;
        let made = names::plugin_call_error(py)?.call1((failure.error.message(), fields))?;
        let raised = PyErr::from_value(made);
        let cause = failure.exception.as_ref();
        raised.set_cause(
            py,
            cause.map(|e| PyErr::from_value(e.bind(py).clone().into_any())),
        );
        Err(raised)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let what = format!(
            "{}.{}",
            self.plugin.bind(py).to_string_lossy(),
            self.tool.bind(py).to_string_lossy()
        );
        match self.error_ref() {
            None => format!("<Outcome {what} ok in {:.3} ms>", self.elapsed_ms()),
            Some(e) => {
                let text: String = e.message().chars().take(200).collect();
                format!("<Outcome {what} {}: {}: {text}>", e.code(), e.kind())
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.value)?;
        visit.call(self.failure.as_ref().and_then(|f| f.exception.as_ref()))
    }
}
