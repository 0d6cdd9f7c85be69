//! Both ends of a Python worker process: how the host starts one, and what one does.

use crate::check;
use plugward_core::Runtime as Core;
use plugward_core::error::Result;
use pyo3::prelude::*;

/// Gives plugins of kind `python` that come as a manifest a process of their own, unless they ask
/// for less: the host's own interpreter, with the host's own import path. Native plugins get
/// `plugward-worker` where it is found, this interpreter otherwise.
#[cfg(target_os = "linux")]
pub(crate) fn offer(py: Python<'_>, core: &Core) -> PyResult<Result<()>> {
    use plugward_core::manifest::Kind;
    use plugward_core::worker::{Program, WorkerLoader};
    use pyo3::types::PyList;
    use std::sync::Arc;

    let sys = py.import("sys")?;
    let Some(python) = sys.getattr("executable")?.extract::<Option<String>>()? else {
        return Ok(Ok(()));
    };
    if python.is_empty() {
        return Ok(Ok(()));
    }
    let path = sys.getattr("path")?.cast_into::<PyList>()?;
    let path: Vec<String> = path.iter().filter_map(|p| p.extract().ok()).collect();
    let mut program = Program::new(python).with_args(["-m", "plugward.worker"]);
    if let Ok(joined) = std::env::join_paths(path.iter().filter(|p| !p.is_empty())) {
        program.env.push(("PLUGWARD_PATH".into(), joined));
    }
    if Program::native().is_none() {
        // Without a `plugward-worker` the interpreter serves native plugins as well.
        let native = program.clone().with_args(["native"]);
        match WorkerLoader::new(native) {
            Ok(loader) => core.set_worker_loader(Kind::Native, Arc::new(loader), true),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(WorkerLoader::new(program).map(|loader| {
        let loader = loader.with_checks(check::packages);
        core.set_worker_loader(Kind::Python, Arc::new(loader), true);
    }))
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
        return Ok(py.detach(move || plugward_core::worker::serve(loader)));
    }
    let source = ("entrypoint",).into_pyobject(py)?.into_any().unbind();
    let loader = std::sync::Arc::new(crate::loader::PythonLoader::new(source, PATIENCE));
    // What a fault needs is made now: at the memory limit there is nothing left to make it of.
    crate::names::deadline_exceeded(py)?;
    crate::names::invalid_input(py)?;
    crate::names::format_exception(py)?;
    let _ = crate::watchdog::with(|_| Some(()));
    Ok(py.detach(move || plugward_core::worker::serve(loader)))
}

/// Serves the host that started this process; not on this platform.
#[cfg(not(target_os = "linux"))]
#[pyfunction]
#[pyo3(signature = (native=false))]
pub(crate) fn serve_worker(native: bool) -> i32 {
    let _ = native;
    64
}
