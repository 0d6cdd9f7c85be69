//! Refusals of the sandbox in a Python worker, told by the exception itself: its number, its file
//! name, and where in the standard library it was raised.

use plugward_core::error::Error;
use plugward_core::worker::{Attempt, Refused, denial, is_confined};
use pyo3::exceptions::{PyBaseException, PyKeyError, PyOSError};
use pyo3::prelude::*;
use std::path::{Path, PathBuf};

/// How far a chain of exceptions is followed.
const CHAIN: usize = 8;

/// The line of the manifest that would allow what this exception came of, where that is its cause.
/// Asks nothing outside a worker.
pub(crate) fn of(exception: &Bound<'_, PyBaseException>) -> Option<Error> {
    if !is_confined() {
        return None;
    }
    let mut at = exception.clone();
    for _ in 0..CHAIN {
        if let Some(error) = one(&at) {
            return Some(error);
        }
        at = before(&at)?;
    }
    None
}

/// What it was raised from; or while handling what, where both are the system's errors.
fn before<'py>(exception: &Bound<'py, PyBaseException>) -> Option<Bound<'py, PyBaseException>> {
    let link = |name| -> Option<Bound<'py, PyBaseException>> {
        exception.getattr(name).ok()?.cast_into().ok()
    };
    let system = exception.is_instance_of::<PyOSError>();
    link("__cause__").or_else(|| link("__context__").filter(|_| system))
}

fn one(exception: &Bound<'_, PyBaseException>) -> Option<Error> {
    if exception.is_instance_of::<PyKeyError>() {
        let (file, function) = raised_in(exception)?;
        let name: String = crate::describe::first_argument(exception)?.extract().ok()?;
        let of_os = file.ends_with("os.py") || file == "<frozen os>";
        let lookup = of_os && function == "__getitem__";
        return lookup.then(|| denial(&Refused::Variable(&name)))?;
    }
    if !exception.is_instance_of::<PyOSError>() {
        return None;
    }
    let errno: i32 = exception.getattr("errno").ok()?.extract().ok()?;
    let named: Option<PathBuf> = exception.getattr("filename").ok()?.extract().ok();
    let place = raised_in(exception).map(|(file, _)| file);
    let attempt = attempt(place.as_deref().unwrap_or_default());
    // Semaphores of multiprocessing are files there, and their errors name none.
    let semaphore = attempt == Attempt::File && named.is_none();
    let path = if semaphore {
        Some(Path::new("/dev/shm"))
    } else {
        named.as_deref()
    };
    denial(&Refused::Call {
        errno,
        path,
        attempt,
    })
}

/// What a module of the standard library was about.
fn attempt(file: &str) -> Attempt {
    let (folder, name) = file.rsplit_once(['/', '\\']).unwrap_or(("", file));
    match name {
        "socket.py" => Attempt::Network,
        "subprocess.py" => Attempt::Subprocess,
        "synchronize.py" if folder.ends_with("multiprocessing") => Attempt::File,
        _ if folder.ends_with("multiprocessing") => Attempt::Subprocess,
        _ => Attempt::Unknown,
    }
}

/// File and function of the innermost Python frame.
fn raised_in(exception: &Bound<'_, PyBaseException>) -> Option<(String, String)> {
    let mut at = exception.getattr("__traceback__").ok()?;
    loop {
        let next = at.getattr("tb_next").ok()?;
        if next.is_none() {
            break;
        }
        at = next;
    }
    let code = at.getattr("tb_frame").ok()?.getattr("f_code").ok()?;
    let text = |name| code.getattr(name).ok()?.extract::<String>().ok();
    Some((text("co_filename")?, text("co_name")?))
}
