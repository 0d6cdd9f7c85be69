//! What a worker's death means, in words.

use super::child::{Exit, Reason};
use super::watch::Most;
use crate::error::{Code, Error};
use crate::manifest::Limits;
use crate::platform::signal_name;
use crate::worker::wire::Crash;
use serde_json::json;
use std::sync::atomic::Ordering;

/// What is known when a worker has died.
pub(super) struct Death<'a> {
    pub(super) plugin: &'a str,
    pub(super) pid: u32,
    pub(super) exit: Option<Exit>,
    pub(super) reason: Option<&'a Reason>,
    pub(super) limits: &'a Limits,
    /// The most memory that it may have, whoever says so.
    pub(super) memory: Option<Most>,
    /// The kernel killed it at its group's memory limit.
    pub(super) starved: bool,
    pub(super) crash: &'a Crash,
    pub(super) words: Vec<String>,
    /// What Python's faulthandler wrote.
    pub(super) dump: Vec<String>,
}

impl Death<'_> {
    /// The error that callers get.
    pub(super) fn to_error(&self) -> Error {
        // A slow death looks like a lost thread until it is over: then its own signal tells.
        let signal = self.exit.and_then(|e| e.signal);
        let lost = |r: &&Reason| **r != Reason::Thread || signal == Some(libc::SIGKILL);
        let error = match (self.reason.filter(lost), self.exit) {
            (Some(reason), _) => self.killed(reason),
            (
                None,
                Some(Exit {
                    signal: Some(signal),
                    ..
                }),
            ) => self.signalled(signal),
            (
                None,
                Some(Exit {
                    status: Some(status),
                    ..
                }),
            ) => Error::new(Code::WorkerExited).with_message(format!(
                "{} ended its process with status {status}",
                self.plugin
            )),
            (None, _) => Error::new(Code::WorkerCrashed).with_message(format!(
                "the process of {} is gone; how it ended is not known",
                self.plugin
            )),
        };
        self.with_details(error)
    }

    fn killed(&self, reason: &Reason) -> Error {
        let plugin = self.plugin;
        match reason {
            Reason::Deadline(tool) => Error::new(Code::WorkerSibling).with_message(format!(
                "the process of {plugin} was killed because a call of {tool} overstayed its deadline"
            )),
            Reason::Cancelled(tool) => Error::new(Code::WorkerCancelled).with_message(format!(
                "the process of {plugin} was ended because a cancelled call of {tool} would not end"
            )),
            Reason::Memory(most) => Error::new(Code::CallMemory).with_message(format!(
                "{plugin} was killed with more memory resident than it may have ({most})"
            )),
            Reason::Processes(most) => Error::new(Code::WorkerLimit)
                .with_message(format!(
                    "{plugin} was killed with more processes and threads than it may have \
                     (limits.processes = {most})"
                ))
                .with_remedy(format!(
                    "raise limits.processes (now {most}) in the manifest, or do less at once"
                )),
            Reason::Stopped => Error::new(Code::WorkerSibling)
                .with_message(format!("{plugin} was stopped or restarted during the call")),
            Reason::Start => Error::new(Code::WorkerStart)
                .with_message(format!("the worker of {plugin} was not ready in time")),
            Reason::Thread => Error::new(Code::WorkerExited)
                .with_message(format!("{plugin} ended the thread that it was called on")),
            Reason::Protocol => Error::new(Code::WorkerProtocol)
                .with_message(format!("the worker of {plugin} answered with garbage and was killed")),
        }
    }

    fn signalled(&self, signal: i32) -> Error {
        let (plugin, name) = (self.plugin, signal_name(signal));
        let limits = self.limits;
        let limit = |what: String| Error::new(Code::WorkerLimit).with_message(what);
        // Only the manifest's limit is held by an rlimit, which leaves no other trace.
        let refused = |most: &Most| !most.by_default && self.is_out_of_memory(most.mb);
        if let Some(most) = self.memory.filter(|most| self.starved || refused(most)) {
            return Error::new(Code::CallMemory).with_message(format!(
                "{plugin} died of {name} at its memory limit ({most})"
            ));
        }
        match (signal, limits.cpu_s) {
            (libc::SIGXCPU, Some(s)) => limit(format!(
                "{plugin} used more than {s} s of CPU time (limits.cpu_s)"
            )),
            (libc::SIGKILL, Some(s)) if self.words.is_empty() => self.crashed(name).with_cause(
                format!("it was killed from outside, by the system's out-of-memory killer, or at limits.cpu_s = {s}"),
            ),
            (libc::SIGXFSZ, _) => limit(match limits.file_size_mb {
                Some(mb) => format!(
                    "{plugin} wrote a larger file than it may (limits.file_size_mb = {mb})"
                ),
                None => format!("{plugin} wrote a larger file than the system allows it"),
            }),
            (libc::SIGKILL, _) => self.crashed(name).with_cause(
                "it was killed from outside, or by the system's out-of-memory killer",
            ),
            _ => self.crashed(name),
        }
    }

    fn crashed(&self, name: &str) -> Error {
        let at = match self.crash.signal.load(Ordering::Relaxed) as i32 {
            0 | libc::SIGABRT => String::new(),
            _ => format!(
                " at address {:#x}",
                self.crash.address.load(Ordering::Relaxed)
            ),
        };
        Error::new(Code::WorkerCrashed)
            .with_message(format!("the process of {} died of {name}{at}", self.plugin))
    }

    /// The signal handler counted the private memory: within a tenth of the limit, or an
    /// allocation beyond it was refused last.
    fn is_out_of_memory(&self, mb: u64) -> bool {
        const PAGE: u64 = 4096;
        let bytes = self
            .crash
            .data_pages
            .load(Ordering::Relaxed)
            .saturating_mul(PAGE);
        bytes >= (mb << 20) / 10 * 9
    }

    fn with_details(&self, error: Error) -> Error {
        let exit = self.exit.unwrap_or_default();
        let details = json!({
            "pid": self.pid,
            "signal": exit.signal.map(signal_name),
            "exit_status": exit.status,
            "last_lines": self.words,
        });
        let error = error.with_details(details);
        let told = [&self.words[..], &self.dump].concat();
        match told.is_empty() {
            true => error,
            false => error.with_traceback(told.join("\n")),
        }
    }
}
