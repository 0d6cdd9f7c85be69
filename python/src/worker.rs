//! Both ends of a Python worker process: how the host starts one, and what one does.

use crate::check;
use plugward_core::Runtime as Core;
use plugward_core::error::Result;
#[cfg(target_os = "linux")]
use plugward_core::sync::Mutex;
use pyo3::prelude::*;

/// Begins a worker with the host's own `plugward`, in whatever interpreter and without the host's
/// other packages. Arguments: the folder of the package, then what to do.
#[cfg(target_os = "linux")]
const BEGIN: &str = "\
import sys
sys.path[:] = [p for p in sys.path if p]
if sys.version_info < (3, 10) or sys.implementation.name != 'cpython':
    sys.exit('plugward needs CPython 3.10 or newer, this is ' + sys.implementation.name + ' ' + sys.version.split()[0])
import importlib.util
place = sys.argv[1]
spec = importlib.util.spec_from_file_location('plugward', place + '/__init__.py', submodule_search_locations=[place])
package = importlib.util.module_from_spec(spec)
sys.modules['plugward'] = package
spec.loader.exec_module(package)
from plugward import worker
arguments = sys.argv[2:]
sys.argv[:] = ['']
worker.main(arguments)
";

/// What the host knows of its own interpreter.
#[cfg(target_os = "linux")]
#[derive(Clone)]
struct Surroundings {
    python: String,
    package: String,
    path: Option<std::ffi::OsString>,
}

#[cfg(target_os = "linux")]
impl Surroundings {
    /// `None` where the interpreter does not know its own program (an embedded one).
    fn look(py: Python<'_>) -> PyResult<Option<Self>> {
        let sys = py.import("sys")?;
        let python = sys.getattr("executable")?.extract::<Option<String>>()?;
        let Some(python) = python.filter(|p| !p.is_empty()) else {
            return Ok(None);
        };
        let file: String = py.import("plugward")?.getattr("__file__")?.extract()?;
        let package = std::path::Path::new(&file).parent();
        let package = package
            .unwrap_or(std::path::Path::new(""))
            .to_string_lossy();
        // What is no text in it (a `Path`), the import system does not look at either.
        let path = sys.getattr("path")?.try_iter()?.filter_map(Result::ok);
        let path: Vec<String> = path.filter_map(|p| p.extract().ok()).collect();
        Ok(Some(Self {
            python,
            package: package.into_owned(),
            path: std::env::join_paths(path.iter().filter(|p| !p.is_empty())).ok(),
        }))
    }

    /// The import path may have grown since the runtime was made: every load and restart looks anew.
    /// What was known last holds where the interpreter is about to end.
    fn refresh(known: &Mutex<Self>) -> Self {
        let now = Python::try_attach(|py| Self::look(py).ok().flatten()).flatten();
        let mut known = known.lock();
        if let Some(now) = now {
            *known = now;
        }
        known.clone()
    }

    /// The interpreter that does `what`.
    fn program(&self, what: &str) -> plugward_core::worker::Program {
        use plugward_core::worker::Program;
        let mut program = Program::new(&self.python).with_args(["-c", BEGIN, &self.package, what]);
        let path = self.path.clone().map(|path| ("PLUGWARD_PATH".into(), path));
        program.env.extend(path);
        program
    }

    /// What runs a plugin: the host's interpreter with the host's import path, or the plugin's own
    /// with nothing of the host's but `plugward` itself.
    fn of(&self, manifest: &plugward_core::manifest::Manifest) -> plugward_core::worker::Program {
        use plugward_core::worker::Forks;
        let mut program = self.program("worker");
        if let Some(own) = manifest.python_interpreter() {
            program.path = std::path::absolute(&own).unwrap_or(own);
            program.env.clear();
            program.without = [
                "PYTHONPATH",
                "PYTHONHOME",
                "PYTHONEXECUTABLE",
                "VIRTUAL_ENV",
            ]
            .map(Into::into)
            .to_vec();
            let home = program.path.parent().and_then(std::path::Path::parent);
            if let Some(home) = home.filter(|h| h.join("pyvenv.cfg").is_file()) {
                let home = home.as_os_str().to_owned();
                program.env.push(("VIRTUAL_ENV".into(), home));
            }
        }
        program.forks = Some(Forks {
            args: ["-c", BEGIN, &self.package, "fork"]
                .map(Into::into)
                .to_vec(),
            preload: crate::preload::modules(&manifest.dependencies),
        });
        program
    }
}

/// Gives plugins of kind `python` that come as a manifest a process of their own, unless they ask
/// for less: the host's own interpreter with the host's own import path, or the one that
/// the manifest names. Native plugins get
/// `plugward-worker` where it is found, this interpreter otherwise.
#[cfg(target_os = "linux")]
pub(crate) fn offer(py: Python<'_>, core: &Core) -> PyResult<Result<()>> {
    use plugward_core::manifest::Kind;
    use plugward_core::worker::{Program, WorkerLoader};
    use std::sync::Arc;

    let Some(here) = Surroundings::look(py)? else {
        return Ok(Ok(()));
    };
    if Program::native().is_none() {
        // Without a `plugward-worker` the interpreter serves native plugins as well.
        match WorkerLoader::new(here.program("native")) {
            Ok(loader) => core.set_worker_loader(Kind::Native, Arc::new(loader), true),
            Err(error) => return Ok(Err(error)),
        }
    }
    let known = Mutex::new(here);
    Ok(
        WorkerLoader::choosing(move |m| Surroundings::refresh(&known).of(m)).map(|loader| {
            let loader = loader.with_checks(check::packages);
            core.set_worker_loader(Kind::Python, Arc::new(loader), true);
        }),
    )
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn offer(_: Python<'_>, _: &Core) -> PyResult<Result<()>> {
    Ok(Ok(()))
}

/// The host keeps the time of a load: it kills the worker.
#[cfg(target_os = "linux")]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// Serves the host that started this process; returns the exit status.
#[cfg(target_os = "linux")]
#[pyfunction]
#[pyo3(signature = (native=false))]
pub(crate) fn serve_worker(py: Python<'_>, native: bool) -> PyResult<i32> {
    if native {
        let loader = std::sync::Arc::new(plugward_core::native::NativeLoader);
        return Ok(py.detach(move || serve_to_the_end(loader)));
    }
    let source = ("entrypoint",).into_pyobject(py)?.into_any().unbind();
    let loader = std::sync::Arc::new(crate::loader::PythonLoader::new(source, PATIENCE));
    // What a fault needs is made now: at the memory limit there is nothing left to make it of.
    crate::names::deadline_exceeded(py)?;
    crate::names::call_cancelled(py)?;
    crate::names::invalid_input(py)?;
    crate::names::format_exception(py)?;
    let _ = crate::watchdog::with(|_| Some(()));
    Ok(py.detach(move || serve_to_the_end(loader)))
}

/// The process exits at once afterwards.
#[cfg(target_os = "linux")]
fn serve_to_the_end(loader: std::sync::Arc<dyn plugward_core::call::Loader>) -> i32 {
    let status = plugward_core::worker::serve(loader);
    plugward_core::worker::leave();
    status
}

/// Serves the host that started this process; not on this platform.
#[cfg(not(target_os = "linux"))]
#[pyfunction]
#[pyo3(signature = (native=false))]
pub(crate) fn serve_worker(native: bool) -> i32 {
    let _ = native;
    64
}
