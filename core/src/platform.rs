//! The few things that differ between operating systems.

#![allow(
    unsafe_code,
    reason = "pthread_atfork and atexit: one of the named unsafe addresses"
)]

use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the forks that led to this process.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A number that changes in a forked child; a runtime remembers its own. One relaxed load, where
/// `getpid` would be a system call on every call of a plugin.
#[must_use]
pub fn fork_epoch() -> u32 {
    watch_forks();
    FORKS.load(Ordering::Relaxed)
}

#[cfg(unix)]
fn watch_forks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handler only adds to an atomic, which is allowed after a fork.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(in_child));
    });
}

/// Runs `body` when the process ends in good order.
#[cfg(target_os = "linux")]
pub(crate) fn at_exit(body: extern "C" fn()) {
    // SAFETY: a plain function that lives as long as this code is mapped; the C library calls handlers
    // of a library that is unloaded before it goes.
    unsafe { libc::atexit(body) };
}

/// For a fork that was made without the C library, whose handlers do not run then.
#[cfg(target_os = "linux")]
pub(crate) fn note_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

#[cfg(not(unix))]
fn watch_forks() {}

/// `SIGSEGV` and the like.
#[cfg(unix)]
#[must_use]
pub fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGTERM => "SIGTERM",
        libc::SIGINT => "SIGINT",
        libc::SIGHUP => "SIGHUP",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGSYS => "SIGSYS",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        _ => "another signal",
    }
}

/// The signal's number; this platform has no names for it.
#[cfg(not(unix))]
#[must_use]
pub fn signal_name(_: i32) -> &'static str {
    "a signal"
}
