//! Makes generations of Python plugins: from an entrypoint, from an object, from callables.

use crate::check;
use crate::checkpoint::Checkpoints;
use crate::convert;
use crate::describe;
use crate::executor::{PythonExecutor, step};
use crate::invoke;
use crate::names;
use crate::thread::PythonThreads;
use crate::tool::{Budget, PyTool};
use crate::watchdog;
use plugward_core::call::{BuildContext, Built, BuiltTool, Loader};
use plugward_core::check::Finding;
use plugward_core::error::{Code, Error, Result};
use plugward_core::log::Level;
use plugward_core::manifest::{Manifest, ToolSpec};
use plugward_core::sandbox::ThreadHost;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a plugin's code comes from, as `plugward._loading.build` takes it: `("entrypoint",)`,
/// `("object", it)`, `("host", tools, schemas)` or `("entry_point", it)`.
pub(crate) struct PythonLoader {
    source: Py<PyAny>,
    patience: Duration,
}

impl PythonLoader {
    pub(crate) fn new(source: Py<PyAny>, patience: Duration) -> Self {
        Self { source, patience }
    }
}

impl Loader for PythonLoader {
    fn check(&self, manifest: &Manifest) -> Vec<Finding> {
        check::packages(manifest)
    }

    fn build(&self, manifest: &Manifest, context: &BuildContext) -> Result<Built> {
        Python::try_attach(|py| self.built(py, manifest, context))
            .unwrap_or_else(|| Err(Error::new(Code::RuntimeClosed)))
    }

    fn thread_host(&self) -> Option<Arc<dyn ThreadHost>> {
        Some(Arc::new(PythonThreads))
    }

    /// The import path and the interpreter's own folders.
    fn code(&self) -> Vec<PathBuf> {
        let found = Python::try_attach(|py| import_path(py).unwrap_or_default());
        found.unwrap_or_default()
    }
}

fn import_path(py: Python<'_>) -> PyResult<Vec<PathBuf>> {
    let sys = py.import("sys")?;
    let mut found: Vec<PathBuf> = Vec::new();
    for prefix in ["prefix", "base_prefix", "exec_prefix", "base_exec_prefix"] {
        found.push(sys.getattr(prefix)?.extract()?);
    }
    // What is no text in it, the import system does not look at either.
    let path = sys.getattr("path")?.try_iter()?.filter_map(Result::ok);
    found.extend(path.filter_map(|entry| entry.extract::<PathBuf>().ok()));
    let package = py.import("plugward")?.getattr("__path__")?;
    found.extend(
        package
            .try_iter()?
            .filter_map(|entry| entry.ok()?.extract().ok()),
    );
    found.retain(|path| !path.as_os_str().is_empty());
    Ok(found)
}

impl PythonLoader {
    fn built(&self, py: Python<'_>, manifest: &Manifest, context: &BuildContext) -> Result<Built> {
        let build = || {
            let data = convert::serialised(py, manifest)?;
            let folder = manifest
                .dir
                .as_ref()
                .map(|d| d.to_string_lossy().into_owned());
            let checkpoints = Py::new(py, Checkpoints::new(context.checkpoints.clone()))?;
            let args = (
                &self.source,
                data,
                folder,
                context.generation,
                context.replaces,
                checkpoints,
            )
                .into_pyobject(py)?;
            Ok(invoke::call(names::build(py)?, &args, None)?)
        };
        // The core leaves a loading thread that hangs to itself; here its import is stopped.
        let ended = watchdog::with(|dog| describe::bounded_for(py, dog, self.patience, build));
        let answer = ended.ok_or_else(|| self.too_long())?;
        let built = step(py, answer)?;
        for line in built
            .getattr("notes")
            .and_then(|n| n.extract::<Vec<String>>())
            .unwrap_or_default()
        {
            context.log.write(Level::Warn, line);
        }
        let tools = tools(&built, manifest).map_err(|e| unreadable(py, &e))?;
        let executor = Arc::new(PythonExecutor::new(built.unbind()));
        if tools.is_empty() {
            return Err(Error::new(Code::LoadTools)
                .with_message("the plugin has no tools: neither its own nor in its manifest"));
        }
        Ok(Built { executor, tools })
    }
}

impl PythonLoader {
    fn too_long(&self) -> Error {
        let seconds = self.patience.as_secs_f64();
        Error::new(Code::LoadImport).with_message(format!(
            "import and construction did not end within {seconds} s"
        ))
    }
}

fn unreadable(py: Python<'_>, error: &PyErr) -> Error {
    let text = watchdog::with(|d| Some(describe::message(error.value(py), d)));
    Error::new(Code::LoadTools).with_message(text.unwrap_or_default())
}

fn tools(built: &Bound<'_, PyAny>, manifest: &Manifest) -> PyResult<Vec<BuiltTool>> {
    let budget = Arc::<Budget>::default();
    let found = built.getattr("tools")?.cast_into::<PyList>()?;
    found
        .iter()
        .map(|item| tool(item.cast::<PyDict>()?, manifest, &budget))
        .collect()
}

fn tool(
    item: &Bound<'_, PyDict>,
    manifest: &Manifest,
    budget: &Arc<Budget>,
) -> PyResult<BuiltTool> {
    let py = item.py();
    let field = |name: &str| {
        item.get_item(name)
            .map(|i| i.unwrap_or_else(|| py.None().into_bound(py)))
    };
    let id: String = field("id")?.extract()?;
    let declared = manifest.tools.iter().find(|t| t.id == id).cloned();
    let mut spec = declared.unwrap_or_else(|| ToolSpec {
        id,
        ..ToolSpec::default()
    });
    spec.description = field("description")?
        .extract::<Option<String>>()?
        .unwrap_or(spec.description);
    for (name, place) in [
        ("input_schema", &mut spec.input_schema),
        ("output_schema", &mut spec.output_schema),
    ] {
        let schema = field(name)?;
        if !schema.is_none() {
            *place = Some(convert::to_value(&schema).value);
        }
    }
    let deadline: Option<u64> = field("deadline_ms")?.extract()?;
    spec.deadline_ms = deadline.or(spec.deadline_ms);
    let handle: Arc<dyn Any + Send + Sync> = Arc::new(PyTool {
        handler: field("handler")?.unbind(),
        is_async: field("is_async")?.extract()?,
        is_function: field("is_function")?.extract()?,
        takes_progress: field("takes_progress")?.extract()?,
        names_progress: field("names_progress")?.extract()?,
        budget: Arc::clone(budget),
    });
    Ok(BuiltTool {
        spec,
        handle: Some(handle),
    })
}
