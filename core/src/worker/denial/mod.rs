//! Refusals of the sandbox, told with the manifest line that would allow it.
//!
//! The kernel says only "permission denied". What the plugin tried is told by its exception (errno,
//! file name, where it was raised) or, in native code, by its words; what it may do is the order
//! that this process was confined by. A refusal that is the system's own (file modes) stays the
//! plugin's plain error. Rejected: `SIGSYS` or a seccomp listener, which know the system call, but
//! break programs that block signals or fork.

mod file;
mod judge;
mod limit;
mod line;
mod words;

use super::order::Order;
use crate::call::Fault;
use crate::error::{Code, Error};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// What this process was confined by; only ever set in a worker.
static HELD: OnceLock<Arc<Order>> = OnceLock::new();

/// What an attempt was about, where the language knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A socket.
    Network,
    /// The address of a host's name. The number of its failure is the resolver's and not the
    /// kernel's: without a socket no name can be asked for.
    Name,
    /// Another process.
    Subprocess,
    /// A signal to another process.
    Signal,
    /// A file or device, to be opened.
    File,
    /// An entry of a folder, to be made, removed, renamed or linked: it is the folder that changes.
    Entry,
    /// Memory shared by name (`shm_open`): a file in `/dev/shm`, which Python has a process of its
    /// own watch over.
    SharedMemory,
    /// What no manifest allows: raising limits, extended attributes, the kernel's corners.
    Never,
    /// Not known.
    Unknown,
}

/// A refused attempt as a plugin's language tells it.
#[derive(Clone, Copy, Debug)]
pub enum Refused<'a> {
    /// By the kernel.
    Call {
        /// `EACCES`, `EPERM`, or the number of a limit; others are no refusals.
        errno: i32,
        /// The file that it was about.
        path: Option<&'a Path>,
        /// The other one, where it was renamed or linked.
        other: Option<&'a Path>,
        /// What it was about.
        attempt: Attempt,
    },
    /// A variable that is not in the environment.
    Variable(&'a str),
}

/// From now on this process is confined as `order` says.
pub(super) fn hold(order: &Arc<Order>) {
    let _ = HELD.set(Arc::clone(order));
}

/// Whether this process is a confined worker: else nothing is ever refused by us.
#[must_use]
pub fn is_confined() -> bool {
    HELD.get().is_some()
}

/// Whether the sandbox may answer so. Looking closer costs something, which limits may forbid.
#[must_use]
pub fn may_be_refusal(errno: i32) -> bool {
    matches!(errno, libc::EACCES | libc::EPERM | libc::EXDEV)
}

/// The error for a refused attempt, where the manifest is why: code, cause and the line that would
/// allow it. The words are the plugin's own to add.
#[must_use]
pub fn denial(refused: &Refused<'_>) -> Option<Error> {
    judge::judge(HELD.get()?, refused)
}

/// The fault of a denied attempt, in the plugin's own words. A limit keeps its own type: it is
/// `LimitExceeded` whatever the language calls it.
#[must_use]
pub fn spoken(error: Error, kind: String, message: String, traceback: Option<String>) -> Fault {
    let limit = error.code() == Code::WorkerLimit;
    let error = error.with_message(message);
    let error = if limit { error } else { error.with_kind(kind) };
    let error = match traceback {
        Some(text) => error.with_traceback(text),
        None => error,
    };
    Fault::Denied { error }
}

/// The same for a plugin that only passed its words on.
pub(super) fn told(fault: Fault) -> Fault {
    let judged = |text: &str| HELD.get().and_then(|order| words::judge(order, text));
    match fault {
        Fault::Raised {
            kind,
            message,
            traceback,
        } => match judged(&message) {
            Some(error) => spoken(error, kind, message, traceback),
            None => Fault::Raised {
                kind,
                message,
                traceback,
            },
        },
        // The plugin has coped with it, and it may be the caller who named the path: nobody is to blame.
        Fault::RefusedInput { message } => match judged(&message) {
            Some(error) => Fault::Error(error.with_message(message)),
            None => Fault::RefusedInput { message },
        },
        Fault::Error(error) => match judged(error.message()) {
            Some(why) => Fault::Error(why.with_message(error.message().to_owned())),
            None => Fault::Error(error),
        },
        other => other,
    }
}

/// A step of the load that failed keeps its code, and says what would allow it.
pub(super) fn told_in_load(error: Error) -> Error {
    let held = HELD.get();
    match held.and_then(|order| words::judge(order, error.message())) {
        Some(why) => error.with_cause(why.cause()).with_remedy(why.remedy()),
        None => error,
    }
}
