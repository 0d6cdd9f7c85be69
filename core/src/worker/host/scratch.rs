//! The folder that one generation may write to; it goes with the worker.
//!
//! A host that dies cannot take its folders along, so each runtime's start looks for those of dead
//! hosts. A folder is nobody's when the process that its name holds is gone (number and start time)
//! *and* nobody holds the lock on it: the lock also speaks for hosts in other containers that
//! share the temporary folder, whose processes cannot be seen from here.

use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What every scratch folder's name begins with.
const PREFIX: &str = "plugward-";
/// Folders that one sweep removes at most.
const MOST: usize = 256;
/// Names that one sweep looks at at most.
const LOOKED_AT: usize = 20_000;
/// How long one sweep may take.
const SWEEP: Duration = Duration::from_secs(5);

/// A private folder, removed when dropped.
pub(super) struct Scratch {
    path: PathBuf,
    owner: u32,
    /// Held as long as the folder is somebody's.
    _lock: Option<OwnedFd>,
}

/// The folders of this process that are in use: one that ends without a word removes them all the same.
static IN_USE: Mutex<Vec<(PathBuf, u32)>> = Mutex::new(Vec::new());

fn in_use(folder: &Path, owner: u32) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| crate::platform::at_exit(leave_nothing));
    IN_USE.lock().push((folder.to_owned(), owner));
}

/// The workers end a moment after their host. What one of them still writes into meanwhile is left to
/// the next host's sweep.
extern "C" fn leave_nothing() {
    // Another thread may be stopped for ever while it holds it.
    let Some(mut folders) = IN_USE.try_lock() else {
        return;
    };
    let own = std::process::id();
    for (folder, _) in folders.drain(..).filter(|(_, owner)| *owner == own) {
        let _ = std::fs::remove_dir_all(folder);
    }
}

impl Scratch {
    pub(super) fn new(plugin: &str) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = plugin.chars().take(40).map(plain).collect();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (pid, unique) = (std::process::id(), crate::deadline::now_ns());
        let start = started(pid).unwrap_or(0);
        let folder = format!("{PREFIX}{name}-{pid}-{start}-{unique:x}-{number}");
        let folder = std::env::temp_dir().join(folder);
        let refused = |e: &dyn std::fmt::Display| {
            Error::new(Code::WorkerStart)
                .with_message(format!("its scratch folder {}: {e}", folder.display()))
        };
        // Fails where the name is taken: nobody else's folder is ever used.
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|e| refused(&e))?;
        // A file system without locks: then nobody else gets it either, and the folder is kept.
        let lock = lock(&folder).ok();
        in_use(&folder, pid);
        Ok(Self {
            path: folder,
            owner: pid,
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder, once its worker has ended.
    pub(super) fn remove(&self) {
        // A forked child holds a copy of its parent's.
        if self.owner == std::process::id() {
            let _ = std::fs::remove_dir_all(&self.path);
            IN_USE.lock().retain(|(folder, _)| *folder != self.path);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Opens a folder and takes its lock, which ends with the descriptor. Fails where it is held.
fn lock(folder: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = open(folder, flags, Mode::empty())?;
    flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
    Ok(fd)
}

/// When a process started, in clock ticks since the machine did; `None` where there is no such
/// process, or nobody can tell.
fn started(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in brackets, may hold anything.
    text.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

/// Removes what hosts left behind that are gone, once a process and on a thread of its own.
pub(crate) fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without a thread the next process does it.
        let _ = std::thread::Builder::new()
            .name("plugward-sweep".into())
            .spawn(|| sweep_in(&std::env::temp_dir()));
    });
}

/// Returns how many folders were removed.
fn sweep_in(folder: &Path) -> usize {
    let until = Instant::now() + SWEEP;
    // Where not even this process can be seen, nothing is known of others.
    if started(std::process::id()).is_none() {
        return 0;
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let names = entries.take(LOOKED_AT).filter_map(std::result::Result::ok);
    names
        .take_while(|_| Instant::now() < until)
        .filter(|entry| owner_is_gone(&entry.file_name().to_string_lossy()))
        .filter(|entry| removed(&entry.path()))
        .take(MOST)
        .count()
}

/// Whether that is a scratch folder's name whose process does not run here. False for any other.
fn owner_is_gone(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let mut parts = rest.rsplitn(5, '-');
    let mut number = || -> Option<u64> { parts.next()?.parse().ok() };
    if number().is_none() {
        return false;
    }
    let unique = parts.next().and_then(|p| u64::from_str_radix(p, 16).ok());
    let mut number = || -> Option<u64> { parts.next()?.parse().ok() };
    let (start, pid) = (number(), number());
    match (unique, start, pid.and_then(|p| u32::try_from(p).ok())) {
        (Some(_), Some(start), Some(pid)) if start != 0 => started(pid) != Some(start),
        _ => false,
    }
}

/// Removes a folder that is this user's and that nobody holds the lock of.
fn removed(folder: &Path) -> bool {
    let Ok(fd) = lock(folder) else { return false };
    let own = fstat(&fd).is_ok_and(|s| s.st_uid == rustix::process::geteuid().as_raw());
    own && std::fs::remove_dir_all(folder).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(root: &Path, name: &str) -> PathBuf {
        let path = root.join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("left"), "over").unwrap();
        path
    }

    #[test]
    fn only_what_a_dead_host_left_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let own = started(std::process::id()).unwrap();
        let pid = std::process::id();
        let dead = folder(root.path(), "plugward-p-4194303-12-ab-1");
        let reused = folder(
            root.path(),
            &format!("plugward-my-plugin-{pid}-{}-ab-1", own + 1),
        );
        let locked = folder(root.path(), "plugward-p-4194303-12-ab-2");
        let _elsewhere = lock(&locked).unwrap();
        let kept = [
            locked,
            folder(root.path(), &format!("plugward-p-{pid}-{own}-ab-1")),
            folder(root.path(), "plugward-p-deadbeef-1"),
            folder(root.path(), "plugward-"),
            folder(root.path(), "somebody-4194303-12-ab-1"),
        ];
        std::os::unix::fs::symlink(&kept[1], root.path().join("plugward-p-4194303-12-ab-9"))
            .unwrap();
        assert_eq!(sweep_in(root.path()), 2);
        assert!(!dead.exists() && !reused.exists());
        for path in kept {
            assert!(path.join("left").exists(), "{}", path.display());
        }
    }

    #[test]
    fn a_living_hosts_folder_goes_with_it_and_not_before() {
        let scratch = Scratch::new("p").unwrap();
        let path = scratch.path().to_owned();
        assert!(!owner_is_gone(&path.file_name().unwrap().to_string_lossy()));
        assert!(lock(&path).is_err(), "it is held");
        drop(scratch);
        assert!(!path.exists());
    }
}
