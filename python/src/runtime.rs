//! The runtime as Python sees it. What a call does is in `call`, how plugins are made in `loader`.

use crate::call::{self, Request};
use crate::check::PythonSurroundings;
use crate::convert;
use crate::error::OrRaise;
use crate::executor::PythonExecutor;
use crate::interrupt::{self, Interrupts};
use crate::loader::PythonLoader;
use crate::log::LoggingSink;
use crate::options::{options, seconds};
use crate::outcome::Outcome;
use crate::pending::{Begun, PendingCall};
use crate::report::LoadReport;
use crate::thread::PythonThreads;
use crate::{manifest, names};
use plugward_core::Runtime as Core;
use plugward_core::error::{Code, Error};
use plugward_core::lifecycle::{Event, State};
use plugward_core::manifest::Kind;
use plugward_core::sandbox::Pool;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Threads that the runtime lends to awaited calls of plugins that have none of their own.
const LENT_THREADS: u32 = 32;

/// One instance of Plugward in a process: plugins, calls, health, logs.
#[pyclass(subclass, frozen, name = "Runtime", module = "plugward._native")]
pub(crate) struct Runtime {
    core: Core,
    interrupts: Interrupts,
    lent: OnceLock<Arc<Pool>>,
    load_timeout: Duration,
}

impl Runtime {
    /// The core's.
    #[inline]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// What stops calls.
    pub(crate) fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }

    /// Threads for awaited calls of plugins without their own.
    pub(crate) fn lent(&self) -> Arc<Pool> {
        let made = || {
            Arc::new(Pool::new(
                "await",
                LENT_THREADS,
                Some(Arc::new(PythonThreads)),
            ))
        };
        Arc::clone(self.lent.get_or_init(made))
    }

    fn stranger(&self) -> bool {
        // After a fork any lock may be held for ever by a thread that stayed in the parent.
        self.core.is_foreign()
    }
}

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (*, audit=None, lock_timeout=1.0, load_timeout=60.0,
                        default_deadline_ms=None, log_queue=1024, drain_timeout=30.0,
                        logging=true))]
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a keyword of Python's constructor"
    )]
    fn new(
        py: Python<'_>,
        audit: Option<&Bound<'_, PyAny>>,
        lock_timeout: f64,
        load_timeout: f64,
        default_deadline_ms: Option<f64>,
        log_queue: usize,
        drain_timeout: f64,
        logging: bool,
    ) -> PyResult<Self> {
        let options = options(
            py,
            audit,
            lock_timeout,
            load_timeout,
            default_deadline_ms,
            log_queue,
            drain_timeout,
        )?;
        // Looked up now: our own threads must not import anything.
        names::deadline_exceeded(py)?;
        names::invalid_input(py)?;
        names::format_exception(py)?;
        names::copy_context(py)?;
        if logging {
            names::emit(py)?;
        }
        interrupt::note_main_thread(py)?;
        let load_timeout = options.load_timeout;
        let core = Core::new(options).or_raise(py)?;
        let interrupts = Interrupts::default();
        core.set_interrupter(Box::new(interrupts.clone()));
        core.set_surroundings(Arc::new(PythonSurroundings));
        let source = ("entrypoint",).into_pyobject(py)?.into_any().unbind();
        core.set_loader(
            Kind::Python,
            Arc::new(PythonLoader::new(source, load_timeout)),
        );
        crate::worker::offer(py, &core)?.or_raise(py)?;
        if logging {
            core.log().set_sink(Some(Arc::new(LoggingSink)));
        }
        Ok(Self {
            core,
            interrupts,
            lent: OnceLock::new(),
            load_timeout,
        })
    }

    /// Calls a tool with `args` by name. Whatever the plugin does is in the outcome.
    #[pyo3(signature = (plugin, tool, args=None, *, deadline_ms=None, progress=None))]
    fn call<'py>(
        &self,
        py: Python<'py>,
        plugin: &Bound<'py, PyString>,
        tool: &Bound<'py, PyString>,
        args: Option<&Bound<'py, PyAny>>,
        deadline_ms: Option<f64>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Outcome> {
        let owned;
        let args = match args {
            None => None,
            Some(given) => Some(match given.cast::<PyDict>() {
                Ok(dict) => dict,
                Err(_) => {
                    owned = convert::mapping(given)?;
                    &owned
                }
            }),
        };
        let ask = Request {
            plugin,
            tool,
            args,
            deadline_ms,
            progress,
        };
        call::call(self, py, &ask).or_host(py)
    }

    /// Begins an awaited call: an `Outcome` where it is over at once, a `PendingCall`, or, where
    /// the plugin is full, the length of its queue.
    #[pyo3(name = "_begin", signature = (plugin, tool, args=None, deadline_ms=None, progress=None))]
    fn begin<'py>(
        slf: &Bound<'py, Self>,
        plugin: &Bound<'py, PyString>,
        tool: &Bound<'py, PyString>,
        args: Option<&Bound<'py, PyAny>>,
        deadline_ms: Option<f64>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Begun> {
        let args = args.map(convert::mapping).transpose()?;
        let ask = Request {
            plugin,
            tool,
            args: args.as_ref(),
            deadline_ms,
            progress,
        };
        PendingCall::begin(slf, &ask)
    }

    /// The outcome of a call that found no turn: `PW-CALL-009` or, at its deadline, `-010`.
    #[pyo3(name = "_no_turn")]
    fn no_turn(
        &self,
        plugin: &Bound<'_, PyString>,
        tool: &Bound<'_, PyString>,
        deadline_ms: Option<f64>,
        timed_out: bool,
    ) -> Outcome {
        let found = self
            .core
            .find(&plugin.to_string_lossy(), &tool.to_string_lossy());
        let limit = call::deadline(deadline_ms).ok().flatten();
        let error = found.map_or_else(|gone| gone, |target| target.no_turn(timed_out, limit));
        Outcome::refused(plugin, tool, error)
    }

    /// An array in the memory of a plugin's worker, to be filled in place and passed without a copy.
    #[cfg(target_os = "linux")]
    #[pyo3(signature = (plugin, shape, dtype=None))]
    fn lease(
        &self,
        py: Python<'_>,
        plugin: &str,
        shape: &Bound<'_, PyAny>,
        dtype: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<crate::lease::Lease> {
        let sizes = shape.extract::<Vec<i64>>();
        let sizes = sizes.or_else(|_| shape.extract::<i64>().map(|n| vec![n]))?;
        let bytes = "uint8".into_pyobject(py)?.into_any();
        crate::lease::Lease::new(py, self, plugin, sizes, dtype.unwrap_or(&bytes))
    }

    /// Loads every plugin at `path`: a manifest, a plugin's folder, or a folder of them.
    fn load(&self, py: Python<'_>, path: PathBuf) -> Vec<LoadReport> {
        let reports = py.detach(|| self.core.load_path(&path));
        reports.into_iter().map(LoadReport::from).collect()
    }

    /// Loads one plugin whose code is in memory; without a source, where its manifest says.
    #[pyo3(name = "_add", signature = (source, manifest))]
    fn add(
        &self,
        py: Python<'_>,
        source: Option<Py<PyAny>>,
        manifest: &Bound<'_, PyDict>,
    ) -> PyResult<LoadReport> {
        let parsed = manifest::in_memory(manifest)?;
        let Some(source) = source else {
            return Ok(py.detach(|| self.core.load(parsed)).into());
        };
        let loader = Arc::new(PythonLoader::new(source, self.load_timeout));
        Ok(py.detach(|| self.core.load_with(parsed, loader)).into())
    }

    /// Begins the next generation of a plugin that is listed already, from other code in memory.
    #[pyo3(name = "_reload", signature = (source, manifest))]
    fn renew(
        &self,
        py: Python<'_>,
        source: Py<PyAny>,
        manifest: &Bound<'_, PyDict>,
    ) -> PyResult<LoadReport> {
        let parsed = manifest::in_memory(manifest)?;
        let loader = Arc::new(PythonLoader::new(source, self.load_timeout));
        py.detach(|| self.core.reload_with(parsed, loader))
            .map(LoadReport::from)
            .or_raise(py)
    }

    /// Lists a plugin that cannot be loaded, FAILED with its reason.
    #[pyo3(name = "_add_broken")]
    fn add_broken(&self, py: Python<'_>, name: &str, code: &str, message: &str) -> LoadReport {
        let code = Code::from_code(code).unwrap_or(Code::LoadImport);
        let error = Error::new(code).with_message(message);
        py.detach(|| self.core.load_broken(name, error)).into()
    }

    /// Lists a plugin that the host executes itself; its state then follows `mark`.
    #[pyo3(signature = (name, description="", version=""))]
    fn register(
        &self,
        py: Python<'_>,
        name: &str,
        description: &str,
        version: &str,
    ) -> PyResult<()> {
        py.detach(|| self.core.register(name, description, version))
            .or_raise(py)
    }

    /// Says anew what a plugin is for and which version it has.
    fn describe(
        &self,
        py: Python<'_>,
        name: &str,
        description: &str,
        version: &str,
    ) -> PyResult<()> {
        self.core.describe(name, description, version).or_raise(py)
    }

    /// Says what happened to such a plugin: a state, or an event. Returns the state it led to.
    #[pyo3(signature = (name, what, reason=""))]
    fn mark(&self, py: Python<'_>, name: &str, what: &str, reason: &str) -> PyResult<&'static str> {
        let event = self.event(name, what).or_raise(py)?;
        py.detach(|| self.core.mark(name, event, reason))
            .map(State::as_str)
            .or_raise(py)
    }

    /// Counts one execution of such a plugin.
    #[pyo3(signature = (name, ok, elapsed_ms=None))]
    fn record(
        &self,
        py: Python<'_>,
        name: &str,
        ok: bool,
        elapsed_ms: Option<f64>,
    ) -> PyResult<()> {
        self.core
            .usable()
            .and_then(|()| self.core.record(name, ok, elapsed_ms))
            .or_raise(py)
    }

    /// Begins the plugin's next generation.
    fn restart(&self, py: Python<'_>, name: &str) -> PyResult<LoadReport> {
        py.detach(|| self.core.restart(name))
            .map(LoadReport::from)
            .or_raise(py)
    }

    /// Puts a new generation in the place of the present one without losing a call. The manifest is
    /// read again where it came from a file; a version that does not come up changes nothing.
    fn reload(&self, py: Python<'_>, name: &str) -> PyResult<LoadReport> {
        py.detach(|| self.core.reload(name))
            .map(LoadReport::from)
            .or_raise(py)
    }

    /// Stops a plugin in good order; it stays listed until `restart` or `reload` starts it again.
    fn stop(&self, py: Python<'_>, name: &str) -> PyResult<LoadReport> {
        py.detach(|| self.core.stop(name))
            .map(LoadReport::from)
            .or_raise(py)
    }

    /// Lets a quarantined plugin be restarted again, with a fresh budget.
    fn release(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        py.detach(|| self.core.release(name)).or_raise(py)
    }

    /// Ends a plugin and forgets it.
    fn unload(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        py.detach(|| self.core.unload(name)).or_raise(py)
    }

    /// Takes no further calls, ends all plugins and flushes the log.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            if !self.stranger() {
                self.core.close();
                if let Some(lent) = self.lent.get() {
                    lent.close();
                }
            }
        });
    }

    /// Health of every plugin, sorted by name.
    fn health<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.stranger() {
            return convert::serialised(py, &Vec::<u8>::new());
        }
        convert::serialised(py, &self.core.health())
    }

    /// The same as JSON text.
    fn health_json(&self, py: Python<'_>) -> String {
        if self.stranger() {
            return "[]".to_owned();
        }
        py.detach(|| self.core.health_json())
    }

    /// Health of one plugin; `None` where there is none of that name.
    fn plugin_health<'py>(
        &self,
        py: Python<'py>,
        name: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = (!self.stranger())
            .then(|| self.core.plugin_health(name))
            .flatten();
        found
            .map(|health| convert::serialised(py, &health))
            .transpose()
    }

    /// The state of one plugin; `None` where there is none of that name. Cheaper than its health.
    fn state(&self, name: &str) -> Option<&'static str> {
        if self.stranger() {
            return None;
        }
        let snapshot = self.core.registry().snapshot();
        snapshot
            .get(name)
            .map(|plugin| plugin.status().state.as_str())
    }

    /// The states of all plugins, by name.
    fn states(&self) -> Vec<(String, &'static str)> {
        if self.stranger() {
            return Vec::new();
        }
        let snapshot = self.core.registry().snapshot();
        snapshot
            .plugins()
            .iter()
            .map(|p| (p.name.clone(), p.status().state.as_str()))
            .collect()
    }

    /// Counts by state, and whether the runtime is ready.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = convert::serialised(py, &self.core.summary())?;
        if self.stranger() {
            found.set_item("ready", false)?;
            found.set_item("reason", Error::new(Code::RuntimeForked).message())?;
        }
        let lent = self.lent.get().map_or(0, |pool| pool.abandoned());
        found.set_item("abandoned_lent_threads", lent)?;
        Ok(found)
    }

    /// All figures as OpenMetrics text.
    fn metrics(&self, py: Python<'_>) -> String {
        if self.stranger() {
            return String::new();
        }
        py.detach(|| self.core.metrics_text())
    }

    /// The names of all plugins, sorted.
    fn list(&self) -> Vec<String> {
        self.core
            .registry()
            .snapshot()
            .plugins()
            .iter()
            .map(|p| p.name.clone())
            .collect()
    }

    /// The tools of one plugin or of all: `{plugin, id, description, input_schema, ...}`.
    #[pyo3(signature = (plugin=None))]
    fn tools<'py>(
        &self,
        py: Python<'py>,
        plugin: Option<&str>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let snapshot = self.core.registry().snapshot();
        let mut found = Vec::new();
        for owner in snapshot
            .plugins()
            .iter()
            .filter(|p| plugin.is_none_or(|n| n == p.name))
        {
            let Some(generation) = owner.generation() else {
                continue;
            };
            for tool in generation.tools() {
                let row = convert::serialised(py, &tool.spec)?;
                row.set_item("plugin", &owner.name)?;
                found.push(row);
            }
        }
        Ok(found)
    }

    /// The latest log records, oldest first.
    fn logs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        convert::serialised(py, &self.core.log().recent())
    }

    /// Waits until the log has been written, at most `patience` seconds; whether it was.
    #[pyo3(signature = (patience=1.0))]
    fn flush_logs(&self, py: Python<'_>, patience: f64) -> PyResult<bool> {
        let patience = seconds(py, "patience", patience)?;
        Ok(py.detach(|| self.core.log().flush(patience)))
    }

    /// The plugin's own object, where it is a Python plugin that is loaded.
    fn instance(&self, py: Python<'_>, name: &str) -> Option<Py<PyAny>> {
        let generation = self.core.registry().snapshot().get(name)?.generation()?;
        generation
            .executor
            .as_any()
            .downcast_ref::<PythonExecutor>()?
            .instance(py)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }

    fn __repr__(&self) -> String {
        format!(
            "<Runtime of {} plugins>",
            self.core.registry().snapshot().plugins().len()
        )
    }
}

impl Runtime {
    fn event(&self, name: &str, what: &str) -> Result<Event, Error> {
        Ok(match what.to_ascii_lowercase().as_str() {
            "ready" => Event::Ready,
            "call_began" | "running" => Event::CallBegan,
            "call_ended" => Event::CallEnded,
            "fault" | "failed" => Event::Fault,
            "dependency_missing" | "unavailable" => Event::DependencyMissing,
            "restart" | "loaded" => Event::Restart,
            "initialized" => match self.core.registry().find(name)?.status().state {
                State::Running => Event::CallEnded,
                _ => Event::Ready,
            },
            _ => {
                let text = format!("\"{what}\" is neither a state nor an event");
                return Err(Error::new(Code::RuntimeOption).with_message(text));
            }
        })
    }
}
