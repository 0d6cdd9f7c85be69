//! The fork-server's side: a process that has imported what is heavy and forks workers on request.
//!
//! A worker is cloned with `CLONE_PARENT`: the kernel makes it a child of the *host's* starting
//! thread, exactly like one that the host spawned. So the host can wait for it, "die with your
//! parent" still means the host, and the fork-server's own death does not touch it. Rejected: a
//! plain fork (the exit status is the fork-server's, its death orphans or kills all workers) and
//! a subreaper (`PR_SET_CHILD_SUBREAPER` changes the host's whole process).
//!
//! `fork(3)` cannot ask for that flag, so this is the bare system call, made where nothing is left
//! for the C library's handlers to do: the process has one thread, thus no lock is held by
//! another, and handlers that shut thread pools down have run in a fork before
//! (`plugward.forkserver`). The C library's copy of the thread's number is kept true by letting the
//! kernel write it, at the address that the library itself has registered.

#![allow(
    unsafe_code,
    reason = "clone and prctl: one of the named unsafe addresses"
)]

use crate::error::{Code, Error, Result};
use crate::worker::fork::{Ask, Born, FDS, Ready, receive, send};
use rustix::process::Signal;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// A fork-server: its standard input is the socket to the host.
pub struct ForkServer {
    socket: OwnedFd,
}

/// A worker that is to be made.
pub struct Birth {
    /// The folder that its plugin may write to.
    pub scratch: PathBuf,
    /// The host's working folder.
    pub cwd: Option<PathBuf>,
    fds: Vec<OwnedFd>,
}

/// Who one is after a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The fork-server; the child's number.
    Server(u32),
    /// The new worker.
    Worker,
}

fn refused(what: &str, e: impl std::fmt::Display) -> Error {
    Error::new(Code::WorkerStart).with_message(format!("{what}: {e}"))
}

impl ForkServer {
    /// Takes the socket from standard input. From now on the process ends with its host.
    ///
    /// # Errors
    /// [`Code::WorkerStart`] where standard input is none.
    pub fn begin() -> Result<Self> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|e| refused("its parent", e))?;
        let stdin = io::stdin();
        let socket = stdin.as_fd().try_clone_to_owned();
        let socket = socket.map_err(|e| refused("standard input", e))?;
        let null = std::fs::File::open("/dev/null").map_err(|e| refused("/dev/null", e))?;
        rustix::stdio::dup2_stdin(&null).map_err(|e| refused("standard input", e))?;
        let _ = rustix::thread::set_name(c"plugward-forks");
        Ok(Self { socket })
    }

    /// Says that it is ready, or why it must not fork. False where the host is gone.
    #[must_use]
    pub fn announce(&self, unfit: Option<String>, notes: Vec<String>) -> bool {
        send(&self.socket, &Ready { unfit, notes }, &[]).is_ok()
    }

    /// Waits for the next request; `None` once the host has closed.
    #[must_use]
    pub fn next(&self) -> Option<Birth> {
        let (ask, fds) = receive::<Ask>(&self.socket).ok().flatten()?;
        (fds.len() == FDS).then_some(Birth {
            scratch: ask.scratch,
            cwd: ask.cwd,
            fds,
        })
    }

    /// Answers a request: the worker's number, or why there is none.
    pub fn answer(&self, born: std::result::Result<u32, String>) {
        let born = Born {
            pid: born.as_ref().ok().copied(),
            refused: born.err(),
        };
        let _ = send(&self.socket, &born, &[]);
    }
}

impl Birth {
    /// In the child: memory and output in their places, a process group of its own, nothing of the
    /// fork-server's left.
    ///
    /// # Errors
    /// [`Code::WorkerStart`] where the system refuses.
    pub fn settle(self, server: ForkServer) -> Result<()> {
        drop(server);
        let _ = rustix::thread::set_name(c"plugward-worker");
        crate::platform::note_fork();
        rustix::process::setpgid(None, None).map_err(|e| refused("its process group", e))?;
        let [memory, output] = self.fds.as_slice() else {
            return Err(Error::new(Code::WorkerProtocol));
        };
        rustix::stdio::dup2_stdin(memory)
            .and_then(|()| rustix::stdio::dup2_stdout(output))
            .and_then(|()| rustix::stdio::dup2_stderr(output))
            .map_err(|e| refused("its standard streams", e))
    }
}

/// Why this process must not fork: other threads, or CUDA.
#[must_use]
pub fn taint() -> Option<String> {
    if let Some(why) = threads() {
        return Some(why);
    }
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    const CUDA: [&str; 3] = ["/libcuda.so", "/libcudart", "/libtorch_cuda"];
    let found = CUDA.iter().find(|name| maps.contains(*name))?;
    Some(format!("{} is loaded", found.trim_start_matches('/')))
}

fn threads() -> Option<String> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    (threads != 1).then(|| format!("{threads} threads run"))
}

/// Forks a child of this process's own parent. That no CUDA is loaded was seen before: between two
/// forks nothing is imported.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] where system or C library do not allow it, else the kernel's.
pub fn fork_sibling() -> io::Result<Forked> {
    if let Some(why) = threads() {
        return Err(io::Error::other(why));
    }
    let word = tid_word()?;
    let flags =
        libc::CLONE_PARENT | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    // SAFETY: without CLONE_VM this is a fork: the child has a copy of everything. The one thread
    // that there is continues in both; `word` is the C library's own word for its number.
    let pid = unsafe { clone(flags.into(), word) };
    match pid {
        0 => Ok(Forked::Worker),
        n if n > 0 => Ok(Forked::Server(n as u32)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The order of `clone`'s arguments is the architecture's own.
///
/// # Safety
/// As for `fork`; `word` must be the calling thread's.
#[cfg(target_arch = "x86_64")]
unsafe fn clone(flags: i64, word: usize) -> i64 {
    // SAFETY: the caller's.
    unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, word, 0_usize) }
}

/// The order of `clone`'s arguments is the architecture's own.
///
/// # Safety
/// As for `fork`; `word` must be the calling thread's.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn clone(flags: i64, word: usize) -> i64 {
    // SAFETY: the caller's.
    unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, word) }
}

/// Where the C library keeps this thread's number: the address that it registered with the kernel.
/// Other libraries register something else; then the number is not there, and nothing is forked.
fn tid_word() -> io::Result<usize> {
    let unsupported = || io::Error::from(io::ErrorKind::Unsupported);
    if !cfg!(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )) {
        return Err(unsupported());
    }
    let mut word: *const i32 = std::ptr::null();
    // SAFETY: the kernel writes one pointer.
    let done = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut word) };
    if done != 0 || word.is_null() || !word.is_aligned() {
        return Err(unsupported());
    }
    let own = rustix::thread::gettid().as_raw_nonzero().get();
    // SAFETY: registered with `set_tid_address`, so it is a word that the kernel may write to.
    match unsafe { word.read_volatile() } == own {
        true => Ok(word as usize),
        false => Err(unsupported()),
    }
}
