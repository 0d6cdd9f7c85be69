//! One worker process: killed with its whole group, reaped exactly once, waited for without polling.

use super::watch::Most;
use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use crate::worker::kin::{self, Kin};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How a process ended. Both `None`: somebody else in this process reaped it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) status: Option<i32>,
    pub(super) signal: Option<i32>,
}

impl Exit {
    pub(super) fn by_signal(signal: i32) -> Self {
        Self {
            status: None,
            signal: Some(signal),
        }
    }
}

/// Why the host killed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// A call of that tool overstayed its deadline.
    Deadline(String),
    /// A cancelled call of that tool would not end.
    Cancelled(String),
    /// The generation was ended.
    Stopped,
    /// It and its children had more memory than that.
    Memory(Most),
    /// It and its children were more than so many processes and threads.
    Processes(u32),
    /// It was not ready in time.
    Start,
    /// The thread that carried the call ended, the process did not.
    Thread,
    /// It broke the protocol.
    Protocol,
}

impl Reason {
    /// Whether the plugin is to blame, beyond a single call.
    pub(super) fn is_a_limit(&self) -> bool {
        matches!(self, Reason::Memory(_) | Reason::Processes(_))
    }
}

/// A worker process.
pub(super) struct Child {
    pidfd: OwnedFd,
    pid: Pid,
    exit: Mutex<Option<Exit>>,
    reason: OnceLock<Reason>,
    /// The kernel takes it apart: it will run nothing any more.
    ending: AtomicBool,
    /// What it had started when it was looked at last. The group holds what the kernel keeps in it; where
    /// it keeps nothing (no seccomp), this is what is left to kill.
    kin: Mutex<Vec<Kin>>,
}

impl Child {
    /// Takes charge of a process that was just started and not yet waited for, in a group of its
    /// own.
    pub(super) fn adopt(pid: u32) -> Result<Self> {
        let refused = |e: &dyn std::fmt::Display| {
            Error::new(Code::WorkerStart).with_message(format!("watching process {pid}: {e}"))
        };
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| refused(&"impossible process id"))?;
        let pidfd =
            rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|e| refused(&e))?;
        Ok(Self {
            pidfd,
            pid,
            exit: Mutex::new(None),
            reason: OnceLock::new(),
            ending: AtomicBool::new(false),
            kin: Mutex::default(),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get() as u32
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// It is known how it ends, before it has.
    pub(super) fn note_ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether it may still run something.
    pub(super) fn is_alive(&self) -> bool {
        !self.ending.load(Ordering::Relaxed) && self.try_reap().is_none()
    }

    /// Why the host killed it, if it did.
    pub(super) fn reason(&self) -> Option<&Reason> {
        self.reason.get()
    }

    /// What it has started.
    pub(super) fn remember(&self, kin: Vec<Kin>) {
        *self.kin.lock() = kin;
    }

    /// Kills the process and its group. The first reason stays.
    pub(super) fn kill(&self, reason: Reason) {
        let exit = self.exit.lock();
        if exit.is_some() {
            return;
        }
        let _ = self.reason.set(reason);
        self.kill_group();
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Only while `exit` is locked and empty: the unreaped leader keeps the group's number ours.
    fn kill_group(&self) {
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        kin::kill(&std::mem::take(&mut *self.kin.lock()));
    }

    /// How it ended, if it has. What it left behind in its group is killed first.
    pub(super) fn try_reap(&self) -> Option<Exit> {
        let mut exit = self.exit.lock();
        if exit.is_none() {
            let id = || WaitId::PidFd(self.pidfd.as_fd());
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            match rustix::process::waitid(id(), look | WaitIdOptions::NOWAIT) {
                Ok(None) => return None,
                Ok(Some(_)) => {
                    self.kill_group();
                    let status = rustix::process::waitid(id(), look).ok().flatten();
                    *exit = Some(status.map_or_else(Exit::default, |s| Exit {
                        status: s.exit_status(),
                        signal: s.terminating_signal(),
                    }));
                }
                // The host's own SIGCHLD handling was faster.
                Err(_) => *exit = Some(Exit::default()),
            }
        }
        *exit
    }

    /// Waits for its end until `deadline`.
    pub(super) fn wait(&self, deadline: Instant) -> Option<Exit> {
        loop {
            if let Some(exit) = self.try_reap() {
                return Some(exit);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let left = Timespec::try_from(left).ok();
            let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
            let _ = poll(&mut fds, left.as_ref());
        }
    }
}
