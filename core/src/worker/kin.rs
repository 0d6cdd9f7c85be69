//! Which processes belong to a worker: its process group, and whatever descends from it.
//!
//! Read from `/proc`, so only ever a moment's picture: a process is named by its number and by when it
//! started, and is killed only while both are still its own.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::HashSet;

/// One process, as `/proc/PID/stat` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kin {
    pub(super) pid: u32,
    parent: u32,
    group: u32,
    /// In clock ticks since the machine did.
    started: u64,
}

/// Every process that can be seen.
pub(super) fn scan() -> Vec<Kin> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    names.filter_map(look).collect()
}

/// One process; `None` where it is gone, or only waits to be reaped.
fn look(pid: u32) -> Option<Kin> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in brackets, may hold anything.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let started = fields.nth(16)?.parse().ok()?;
    Some(Kin {
        pid,
        parent,
        group,
        started,
    })
}

/// Those of `all` that belong to `leader`, itself left out.
pub(super) fn of(all: &[Kin], leader: u32) -> Vec<Kin> {
    let mut known = HashSet::from([leader]);
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for one in all {
            let ours = one.group == leader || known.contains(&one.parent);
            if ours && known.insert(one.pid) {
                found.push(*one);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Kills those that are still who they were.
pub(super) fn kill(kin: &[Kin]) {
    for one in kin {
        let pid = i32::try_from(one.pid).ok().and_then(Pid::from_raw);
        let Some(pidfd) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
            continue;
        };
        // Looked at after it was opened: the descriptor is that process's, whatever comes later.
        if look(one.pid).is_some_and(|now| now.started == one.started) {
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    fn eventually(mut done: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < until, "never");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn who_left_the_group_is_found_by_descent_and_killed() {
        let mut leader = Command::new("setsid")
            .args(["-w", "sh", "-c", "sleep 600 & setsid sleep 600; wait"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let pid = leader.id();
        let mut found = Vec::new();
        eventually(|| {
            found = of(&scan(), pid);
            found.iter().map(|k| k.group).collect::<HashSet<_>>().len() > 1
        });
        assert!(
            found
                .iter()
                .all(|k| k.pid != pid && k.pid != std::process::id())
        );
        let other = Kin {
            started: found[0].started + 1,
            ..found[0]
        };
        kill(&[other]);
        assert!(
            look(found[0].pid).is_some(),
            "the number alone is not enough"
        );
        kill(&found);
        eventually(|| found.iter().all(|k| look(k.pid).is_none()));
        leader.kill().unwrap();
        leader.wait().unwrap();
    }
}
