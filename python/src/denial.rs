//! Refusals of the sandbox in a Python worker, told by the exception itself: its number, its file
//! name, and where in the standard library it was raised.

use plugward_core::error::Error;
use plugward_core::worker::{Attempt, Refused, denial, is_confined, may_be_refusal};
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
    // Whether it is the reason beyond doubt, and not only what happened before.
    let mut reason = true;
    for _ in 0..CHAIN {
        let found = one(&at);
        if let Some((error, of_network)) = found
            && (reason || of_network)
        {
            return Some(error);
        }
        let (next, still) = before(&at)?;
        (at, reason) = (next, reason && still);
    }
    None
}

/// What it was raised from, or while handling what. The latter is its reason where both are the
/// system's errors.
fn before<'py>(
    exception: &Bound<'py, PyBaseException>,
) -> Option<(Bound<'py, PyBaseException>, bool)> {
    let link = |name| -> Option<Bound<'py, PyBaseException>> {
        exception.getattr(name).ok()?.cast_into().ok()
    };
    if let Some(cause) = link("__cause__") {
        return Some((cause, true));
    }
    let system = exception.is_instance_of::<PyOSError>();
    let hidden = exception.getattr("__suppress_context__").ok()?;
    let shown = system || !hidden.is_truthy().ok()?;
    shown
        .then(|| link("__context__"))
        .flatten()
        .map(|at| (at, system))
}

/// The error, and whether it is about the network.
fn one(exception: &Bound<'_, PyBaseException>) -> Option<(Error, bool)> {
    if exception.is_instance_of::<PyKeyError>() {
        return lookup(exception).map(|error| (error, false));
    }
    if !exception.is_instance_of::<PyOSError>() {
        return None;
    }
    let errno: i32 = exception.getattr("errno").ok()?.extract().ok()?;
    if is_of_a_name(exception)? {
        let error = refused(errno, None, None, Attempt::Name);
        return error.map(|error| (error, true));
    }
    let place = raised_in(exception).map(|(file, _)| file);
    let attempt = attempt(place.as_deref().unwrap_or_default());
    let error = match attempt {
        Attempt::Unknown => told_by_its_call(exception, errno),
        // Semaphores of multiprocessing are files there, and their errors name none.
        Attempt::File => refused(errno, Some(Path::new("/dev/shm")), None, attempt),
        attempt => refused(errno, path(exception, "filename").as_deref(), None, attempt),
    };
    error.map(|error| (error, attempt == Attempt::Network))
}

fn refused(
    errno: i32,
    path: Option<&Path>,
    other: Option<&Path>,
    attempt: Attempt,
) -> Option<Error> {
    denial(&Refused::Call {
        errno,
        path,
        other,
        attempt,
    })
}

/// `os.environ["NAME"]`.
fn lookup(exception: &Bound<'_, PyBaseException>) -> Option<Error> {
    let (file, function) = raised_in(exception)?;
    let name: String = crate::describe::first_argument(exception)?.extract().ok()?;
    let of_os = file.ends_with("os.py") || file == "<frozen os>";
    let lookup = of_os && function == "__getitem__";
    lookup.then(|| denial(&Refused::Variable(&name)))?
}

/// `socket.gaierror`, whose numbers are the resolver's.
fn is_of_a_name(exception: &Bound<'_, PyBaseException>) -> Option<bool> {
    let class = exception.py().import("_socket").ok()?.getattr("gaierror");
    exception.is_instance(&class.ok()?).ok()
}

fn path(exception: &Bound<'_, PyBaseException>, name: &str) -> Option<PathBuf> {
    exception.getattr(name).ok()?.extract().ok()
}

/// The function that was called says what the path is to it.
fn told_by_its_call(exception: &Bound<'_, PyBaseException>, errno: i32) -> Option<Error> {
    let (mut one, mut two) = (path(exception, "filename"), path(exception, "filename2"));
    let told = may_be_refusal(errno).then(|| called(exception)).flatten();
    let (function, paths) = told.unwrap_or_default();
    let mut attempt = of_function(&function);
    let mut paths = paths.into_iter();
    if let Some(first) = paths.next() {
        (one, two, attempt) = (Some(first), paths.next(), Attempt::Entry);
    }
    // A link is refused where it is to be, not where it leads to.
    if matches!(&*function, "symlink" | "symlink_to") {
        one = two.take();
    }
    refused(errno, one.as_deref(), two.as_deref(), attempt)
}

fn called(exception: &Bound<'_, PyBaseException>) -> Option<(String, Vec<PathBuf>)> {
    let traceback = exception.getattr("__traceback__").ok()?;
    let asked = exception.py().import("plugward._attempt").ok()?;
    asked.call_method1("of", (traceback,)).ok()?.extract().ok()
}

/// What a function of `os` and its like is about.
fn of_function(name: &str) -> Attempt {
    match name {
        "unlink" | "remove" | "rmdir" | "rename" | "replace" | "link" | "symlink" | "mkdir"
        | "mkfifo" | "mknod" => Attempt::Entry,
        "open" | "truncate" | "listdir" | "scandir" => Attempt::File,
        "kill" | "killpg" | "pidfd_send_signal" => Attempt::Signal,
        "setrlimit" | "prlimit" | "setpriority" | "setxattr" | "removexattr" | "chroot"
        | "unshare" | "setns" => Attempt::Never,
        "fork" | "forkpty" | "posix_spawn" | "posix_spawnp" | "execv" | "execve" => {
            Attempt::Subprocess
        }
        _ => Attempt::Unknown,
    }
}

/// What a module of the standard library was about.
fn attempt(file: &str) -> Attempt {
    let (folder, name) = file.rsplit_once(['/', '\\']).unwrap_or(("", file));
    match name {
        "socket.py" => Attempt::Network,
        "subprocess.py" => Attempt::Subprocess,
        "synchronize.py" if folder.ends_with("multiprocessing") => Attempt::File,
        "shared_memory.py" if folder.ends_with("multiprocessing") => Attempt::SharedMemory,
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
