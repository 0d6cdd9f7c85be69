//! Nothing of a worker outlives its host.

use crate::error::{Code, Error, Result};
use crate::worker::kin;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the plugin may have started processes.
static DESCENDS: AtomicBool = AtomicBool::new(false);
/// How often a worker that ends looks for what it started, a millisecond apart.
const LOOKS: u32 = 100;

fn refused(e: impl std::fmt::Display) -> Error {
    Error::new(Code::WorkerStart).with_message(format!("its parent: {e}"))
}

/// The kernel kills this process when the host's reaper thread ends, so never after the host.
pub(super) fn die_with(host: u32) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(refused)?;
    still_there(host).map(|_| ())
}

/// For a plugin that may start processes: a thread waits for the host's end and then kills the
/// whole group. The kernel's own signal would come first, to this process alone, and leave its
/// children behind.
pub(super) fn take_children_along(host: u32) -> Result<()> {
    DESCENDS.store(true, Ordering::Relaxed);
    let parent = still_there(host)?;
    let pidfd = rustix::process::pidfd_open(parent, PidfdFlags::empty()).map_err(refused)?;
    std::thread::Builder::new()
        .name("pw-parent".into())
        .spawn(move || {
            let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
            while poll(&mut fds, None).is_err() {}
            kin::kill(&kin::of(&kin::scan(), std::process::id()));
            let _ = rustix::process::kill_current_process_group(Signal::KILL);
        })
        .map_err(refused)?;
    rustix::process::set_parent_process_death_signal(None).map_err(refused)?;
    still_there(host).map(|_| ())
}

/// Where nothing keeps what the plugin starts in the worker's process group: orphans become the worker's
/// own children, so that they are found among its descendants. It does not wait for them: they stay
/// zombies until the worker ends, which is why this is not done where the group holds.
pub(super) fn keep_in_sight() {
    DESCENDS.store(true, Ordering::Relaxed);
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// The last that a worker does which ends by itself, before its process exits: what its plugin started
/// ends with it. The host sees to that as well, but may end at the same moment, and whoever waits for the
/// host's end here goes with this process.
pub fn leave() {
    if !DESCENDS.load(Ordering::Relaxed) {
        return;
    }
    for _ in 0..LOOKS {
        let all = kin::scan();
        let kin = kin::of(&all, std::process::id());
        if kin.is_empty() && !all.is_empty() {
            return;
        }
        kin::kill(&kin);
        std::thread::sleep(Duration::from_millis(1));
    }
    // They come faster than they go, or /proc cannot be read.
    let _ = rustix::process::kill_current_process_group(Signal::KILL);
}

/// The host may have died before it was watched.
fn still_there(host: u32) -> Result<Pid> {
    rustix::process::getppid()
        .filter(|p| p.as_raw_nonzero().get() as u32 == host)
        .ok_or_else(|| refused("the host has ended already"))
}
