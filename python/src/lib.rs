//! `plugward._native`: the Python door. The package `plugward` is built on it.

mod buffers;
mod call;
mod check;
mod checkpoint;
mod convert;
#[cfg(target_os = "linux")]
mod denial;
mod describe;
mod ending;
mod error;
mod executor;
mod fault;
#[cfg(target_os = "linux")]
mod forkserver;
mod interrupt;
mod invoke;
#[cfg(target_os = "linux")]
mod lease;
mod loader;
mod log;
#[cfg(target_os = "linux")]
mod mailbox;
mod manifest;
mod meeting;
mod names;
mod options;
mod outcome;
mod own_loop;
mod pack;
mod pending;
#[cfg(target_os = "linux")]
mod preload;
mod progress;
mod raw;
mod report;
mod runtime;
mod sandbox;
mod steps;
mod tensors;
mod thread;
mod tool;
mod watchdog;
mod worker;

use pyo3::prelude::*;

/// The native half of Plugward; use the package `plugward`.
#[pymodule(gil_used = false)]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("MANIFEST_SCHEMA", manifest::PUBLISHED)?;
    module.add_class::<runtime::Runtime>()?;
    module.add_class::<outcome::Outcome>()?;
    module.add_class::<report::LoadReport>()?;
    module.add_class::<checkpoint::Checkpoints>()?;
    module.add_class::<pending::PendingCall>()?;
    #[cfg(target_os = "linux")]
    {
        module.add_class::<buffers::Memory>()?;
        module.add_class::<lease::Lease>()?;
        module.add_class::<mailbox::Mailbox>()?;
        module.add_class::<mailbox::AwaitedCall>()?;
    }
    module.add_class::<steps::Steps>()?;
    module.add_class::<progress::Progress>()?;
    module.add_function(wrap_pyfunction!(check::check_gpu, module)?)?;
    module.add_function(wrap_pyfunction!(check::read_head, module)?)?;
    module.add_function(wrap_pyfunction!(check::check_manifest, module)?)?;
    module.add_function(wrap_pyfunction!(manifest::read_manifest, module)?)?;
    module.add_function(wrap_pyfunction!(manifest::describe_permissions, module)?)?;
    module.add_function(wrap_pyfunction!(manifest::discover_plugins, module)?)?;
    module.add_function(wrap_pyfunction!(sandbox::run_sandboxed, module)?)?;
    module.add_function(wrap_pyfunction!(sandbox::describe_exception, module)?)?;
    module.add_function(wrap_pyfunction!(worker::serve_worker, module)?)?;
    #[cfg(target_os = "linux")]
    {
        module.add_function(wrap_pyfunction!(forkserver::fork_taint, module)?)?;
        module.add_function(wrap_pyfunction!(forkserver::serve_forks, module)?)?;
    }
    module.add_function(wrap_pyfunction!(ending::interpreter_ends, module)?)?;
    Ok(())
}
