//! How a load went.

use crate::convert;
use plugward_core::error::Error;
use plugward_core::runtime::LoadReport as Core;
use pyo3::prelude::*;

/// How a load, restart, reload or stop went. A plugin's fault is in here, it is never raised.
#[pyclass(frozen, module = "plugward")]
pub(crate) struct LoadReport(Core);

impl From<Core> for LoadReport {
    fn from(core: Core) -> Self {
        Self(core)
    }
}

impl LoadReport {
    fn failure(&self) -> Option<&Error> {
        self.0.error.as_ref()
    }
}

#[pymethods]
impl LoadReport {
    /// The plugin's name.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Its state now.
    #[getter]
    fn state(&self) -> &'static str {
        self.0.state.as_str()
    }

    /// Whether it went well.
    #[getter]
    fn ok(&self) -> bool {
        self.0.is_ok()
    }

    /// The generation that began; 0 when none did.
    #[getter]
    fn generation(&self) -> u32 {
        self.0.generation
    }

    /// Which mechanism holds each limit and permission, where it runs in a worker process.
    #[getter]
    fn enforcement<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let how = self.0.enforcement.as_ref();
        how.map(|value| convert::to_python(py, value)).transpose()
    }

    /// Why it does not take calls.
    #[getter]
    fn error(&self) -> Option<&str> {
        self.failure().map(Error::message)
    }

    /// The error's code: it names the step that failed.
    #[getter]
    fn code(&self) -> Option<&'static str> {
        self.failure().map(|e| e.code().as_str())
    }

    /// What to do about it.
    #[getter]
    fn remedy(&self) -> Option<&str> {
        self.failure().map(Error::remedy)
    }

    /// The full traceback, where there is one.
    #[getter]
    fn traceback(&self) -> Option<&str> {
        self.failure().and_then(Error::traceback)
    }

    /// What the dependency check found.
    #[getter]
    fn findings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::serialised(py, &self.0.findings)
    }

    /// What was assumed of the manifest.
    #[getter]
    fn assumptions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::serialised(py, &self.0.assumptions)
    }

    /// Plugins that depend on it, directly or not; they keep their generations.
    #[getter]
    fn affected(&self) -> Vec<&str> {
        self.0.affected.iter().map(String::as_str).collect()
    }

    /// Calls that were still under way when a stop or a reload had waited long enough.
    #[getter]
    fn cut_off(&self) -> u32 {
        self.0.cut_off
    }

    /// How long it took, in milliseconds.
    #[getter]
    fn took_ms(&self) -> f64 {
        self.0.took_ms
    }

    /// All of it as data.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::serialised(py, &self.0)
    }

    fn __repr__(&self) -> String {
        match self.failure() {
            None => format!("<LoadReport {} {}>", self.0.name, self.0.state),
            Some(e) => format!("<LoadReport {} {}: {e}>", self.0.name, self.0.state),
        }
    }
}
