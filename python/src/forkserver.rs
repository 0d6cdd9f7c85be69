//! The Python side of a fork-server: the interpreter is told of each fork, before and after.

#![allow(
    unsafe_code,
    reason = "PyOS_BeforeFork and its kin: one of the named unsafe addresses"
)]

use crate::error::OrRaise;
use plugward_core::worker::{ForkServer, Forked, fork_sibling};
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::OsString;

/// `(scratch, cwd)`.
type Place = (OsString, Option<OsString>);

/// Why this process must not fork, if so: other threads, or CUDA.
#[pyfunction]
pub(crate) fn fork_taint() -> Option<String> {
    plugward_core::worker::fork_taint()
}

/// Forks workers as the host asks for them. Returns `(scratch, cwd)` in each worker, `None` in the
/// server once its host is gone. `unfit`: why it must not fork; it then only says so.
#[pyfunction]
pub(crate) fn serve_forks(
    py: Python<'_>,
    unfit: Option<String>,
    notes: Vec<String>,
) -> PyResult<Option<Place>> {
    let server = ForkServer::begin().or_raise(py)?;
    let fit = unfit.is_none();
    if !server.announce(unfit, notes) || !fit {
        return Ok(None);
    }
    while let Some(birth) = py.detach(|| server.next()) {
        // SAFETY: attached, and followed by exactly one of the two below.
        unsafe { ffi::PyOS_BeforeFork() };
        match fork_sibling() {
            Ok(Forked::Worker) => {
                // SAFETY: in the child of the fork that BeforeFork announced.
                unsafe { ffi::PyOS_AfterFork_Child() };
                let cwd = birth.cwd.clone().map(Into::into);
                let place = (birth.scratch.clone().into(), cwd);
                birth.settle(server).or_raise(py)?;
                return Ok(Some(place));
            }
            done => {
                // SAFETY: in the parent of the fork that BeforeFork announced.
                unsafe { ffi::PyOS_AfterFork_Parent() };
                server.answer(match done {
                    Ok(Forked::Server(pid)) => Ok(pid),
                    Ok(Forked::Worker) => Err(String::new()),
                    Err(error) => Err(error.to_string()),
                });
            }
        }
    }
    Ok(None)
}
