//! Ends what outlived a trial: a daemon that left the process group by `setsid()`.
//!
//! It is known by the trial's mark in the environment that it began with, which a fork inherits and
//! nobody else has. Making the host a subreaper was rejected, since that changes the whole host; a
//! cgroup needs rights that a host seldom has. A daemon that was started with an empty environment
//! cannot be told from anybody else's, and stays.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How often it is looked for more: who is killed may have forked meanwhile.
const ROUNDS: usize = 8;

/// Kills every process of this user whose environment holds `NAME=value`.
pub(super) fn kill(mark: &str) {
    for _ in 0..ROUNDS {
        let found: Vec<Pid> = processes().filter(|pid| has(*pid, mark)).collect();
        if found.iter().filter(|pid| end(**pid, mark)).count() == 0 {
            return;
        }
    }
}

fn processes() -> impl Iterator<Item = Pid> {
    let me = rustix::process::getuid().as_raw();
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(move |entry| {
        let entry = entry.ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        let mine = entry.metadata().ok()?.uid() == me;
        Pid::from_raw(number).filter(|_| mine)
    })
}

/// Whether a process began with the mark. One that is over has no environment any more.
fn has(pid: Pid, mark: &str) -> bool {
    let file = Path::new("/proc").join(pid.as_raw_pid().to_string());
    let environment = std::fs::read(file.join("environ")).unwrap_or_default();
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == mark.as_bytes())
}

/// Kills it, unless the number has become somebody else's since it was looked at.
fn end(pid: Pid, mark: &str) -> bool {
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return false;
    };
    has(pid, mark) && pidfd_send_signal(&process, Signal::KILL).is_ok()
}
