//! A control group of a worker's own, where a cgroup v2 subtree is delegated to this user.
//!
//! It holds what rlimits cannot: shared memory counts, and so do root's processes. All of it or
//! nothing: a group whose limits cannot all be written, or that the worker cannot be moved into, is
//! removed again, and the rlimits and the look at resident memory hold alone. The host itself is
//! never moved: where its own group may not have children with controllers, there is no delegation.

use super::watch::OWN_THREADS;
use crate::manifest::Limits;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What an interpreter and its libraries have resident before the plugin begins, in MiB.
const HEADROOM_MB: u64 = 64;

/// Where to look: the real files, or a test's.
pub(super) struct Roots {
    /// `/proc/self`.
    pub(super) process: PathBuf,
    /// What the mount points of `mountinfo` are beneath.
    pub(super) root: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            process: "/proc/self".into(),
            root: "/".into(),
        }
    }
}

/// A worker's group; removed when dropped, with whatever still runs in it.
pub(super) struct Cgroup {
    path: PathBuf,
    /// What it holds, for the report.
    pub(super) holds: Vec<(&'static str, String)>,
    owner: u32,
}

impl Cgroup {
    /// A group for process `pid` with the limits that it can hold; `None` where none is set.
    ///
    /// # Errors
    /// Why there is no delegated subtree, or which step failed; nothing is left behind then.
    pub(super) fn around(
        roots: &Roots,
        pid: u32,
        limits: &Limits,
        lanes: u32,
        result_mb: u32,
    ) -> Result<Option<Self>, String> {
        let files = files(limits, lanes, result_mb);
        if files.is_empty() {
            return Ok(None);
        }
        Self::make(&delegated(roots)?, pid, files).map(Some)
    }

    fn make(parent: &Path, pid: u32, files: Vec<File>) -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let owner = std::process::id();
        let path = parent.join(format!("plugward-{owner}-{number}"));
        fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        // From here on dropping it undoes everything.
        let mut group = Self {
            path,
            holds: Vec::new(),
            owner,
        };
        for file in files {
            group.write(file.name, &file.value)?;
            if let Some(limit) = file.limit {
                let how = format!("cgroup v2 {} = {}", file.name, file.value);
                group.holds.push((limit, how));
            }
        }
        group.write("cgroup.procs", &pid.to_string())?;
        Ok(group)
    }

    fn write(&self, name: &str, value: &str) -> Result<(), String> {
        fs::write(self.path.join(name), value).map_err(|e| format!("writing {name}: {e}"))
    }

    /// Whether the kernel killed something in it for want of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let killed = events.lines().find_map(|l| l.strip_prefix("oom_kill "));
        killed.is_some_and(|n| n.trim() != "0")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A forked child holds a copy of its parent's.
        if self.owner != std::process::id() {
            return;
        }
        let kill = fs::OpenOptions::new()
            .write(true)
            .open(self.path.join("cgroup.kill"));
        let _ = kill.and_then(|mut file| io::Write::write_all(&mut file, b"1"));
        for _ in 0..20 {
            match fs::remove_dir(&self.path) {
                Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => return,
            }
        }
    }
}

/// One file to write, and the limit of the manifest that it holds.
struct File {
    name: &'static str,
    value: String,
    limit: Option<&'static str>,
}

fn files(limits: &Limits, lanes: u32, result_mb: u32) -> Vec<File> {
    let mut files = Vec::new();
    let mut file = |name, value, limit| files.push(File { name, value, limit });
    if let Some(mb) = limits.memory_mb {
        // Results lie in shared memory, which is charged to who touches it first.
        let all = mb + HEADROOM_MB + u64::from(lanes) * u64::from(result_mb);
        let limit = Some("limits.memory_mb");
        file("memory.max", (all << 20).to_string(), limit);
        file("memory.swap.max", "0".to_owned(), None);
        file("memory.oom.group", "1".to_owned(), None);
    }
    if let Some(most) = limits.processes {
        let all = u64::from(most) + u64::from(lanes) + OWN_THREADS;
        file("pids.max", all.to_string(), Some("limits.processes"));
    }
    files
}

/// The folder in which this user may make groups with controllers.
fn delegated(roots: &Roots) -> Result<PathBuf, String> {
    let mounts = read(&roots.process.join("mountinfo"))?;
    let groups = read(&roots.process.join("cgroup"))?;
    let (mount, top) = unified(&mounts).ok_or("no cgroup v2 is mounted")?;
    let own = groups.lines().find_map(|l| l.strip_prefix("0::"));
    let own = own.ok_or("this process is in no cgroup v2")?;
    let below = own.strip_prefix(top).unwrap_or(own).trim_start_matches('/');
    let mount = roots.root.join(mount.trim_start_matches('/'));
    let own = mount.join(below);
    let mut why = String::new();
    for folder in [Some(own.as_path()), own.parent()].into_iter().flatten() {
        if !folder.starts_with(&mount) {
            break;
        }
        match usable(folder) {
            Ok(()) => return Ok(folder.to_owned()),
            Err(e) => why = format!("{}: {e}", folder.display()),
        }
    }
    Err(why)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Mount point and root of the cgroup v2 file system: fields 5 and 4 of its line, and the type
/// behind the dash.
fn unified(mountinfo: &str) -> Option<(&str, &str)> {
    mountinfo.lines().find_map(|line| {
        let (fields, kind) = line.split_once(" - ")?;
        let mut fields = fields.split(' ').skip(3);
        let (top, mount) = (fields.next()?, fields.next()?);
        kind.starts_with("cgroup2 ")
            .then_some((mount, top.trim_end_matches('/')))
    })
}

/// Whether groups with the controllers `memory` and `pids` can be made in `folder`.
fn usable(folder: &Path) -> Result<(), String> {
    const NEEDED: [&str; 2] = ["memory", "pids"];
    let has = |text: &str| {
        let known: Vec<&str> = text.split_whitespace().collect();
        NEEDED.iter().all(|name| known.contains(name))
    };
    if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() {
        return Err("it is not this user's".to_owned());
    }
    if !has(&read(&folder.join("cgroup.controllers"))?) {
        return Err("it lacks the controllers memory and pids".to_owned());
    }
    let control = folder.join("cgroup.subtree_control");
    if has(&read(&control)?) {
        return Ok(());
    }
    fs::write(&control, "+memory +pids").map_err(|e| {
        format!("its children cannot have the controllers, probably because it has processes of its own ({e})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const MOUNT: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";

    /// A service whose host runs in a group of its own, as systemd delegates it.
    fn tree(mounts: &str, controllers: &str) -> (TempDir, Roots, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (process, root) = (folder.path().join("self"), folder.path().join("root"));
        let service = root.join("sys/fs/cgroup/system.slice/app.service");
        fs::create_dir_all(service.join("host")).unwrap();
        fs::create_dir_all(&process).unwrap();
        fs::write(process.join("mountinfo"), mounts).unwrap();
        fs::write(
            process.join("cgroup"),
            "1:name=systemd:/\n0::/system.slice/app.service/host\n",
        )
        .unwrap();
        fs::write(service.join("host/cgroup.controllers"), "").unwrap();
        fs::write(service.join("cgroup.controllers"), controllers).unwrap();
        fs::write(service.join("cgroup.subtree_control"), "").unwrap();
        (folder, Roots { process, root }, service)
    }

    fn limits() -> Limits {
        Limits {
            memory_mb: Some(100),
            processes: Some(7),
            ..Limits::default()
        }
    }

    #[test]
    fn a_delegated_subtree_is_found_and_holds_all_limits() {
        let (_folder, roots, service) = tree(MOUNT, "cpu memory pids\n");
        let group = Cgroup::around(&roots, 4711, &limits(), 2, 8)
            .unwrap()
            .unwrap();
        let has = |name: &str| fs::read_to_string(group.path.join(name)).unwrap();
        assert_eq!(group.path.parent(), Some(service.as_path()));
        assert_eq!(has("memory.max"), ((100 + 64 + 16) << 20).to_string());
        assert_eq!(
            (has("pids.max"), has("cgroup.procs")),
            ("13".into(), "4711".into())
        );
        let control = fs::read_to_string(service.join("cgroup.subtree_control")).unwrap();
        assert_eq!(control, "+memory +pids");
        let held: Vec<&str> = group.holds.iter().map(|(limit, _)| *limit).collect();
        assert_eq!(held, ["limits.memory_mb", "limits.processes"]);
        assert!(!group.ran_out_of_memory());
        fs::write(group.path.join("memory.events"), "oom 1\noom_kill 1\n").unwrap();
        assert!(group.ran_out_of_memory());
    }

    #[test]
    fn without_delegation_it_says_why() {
        let why = |mounts, controllers| {
            let (_folder, roots, _) = tree(mounts, controllers);
            Cgroup::around(&roots, 1, &limits(), 1, 1).err().unwrap()
        };
        let v1 = "30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(why(v1, "memory pids"), "no cgroup v2 is mounted");
        assert!(why(MOUNT, "cpu pids").contains("lacks the controllers"));
        let (_folder, roots, _) = tree(MOUNT, "memory pids");
        let none = Cgroup::around(&roots, 1, &Limits::default(), 1, 1).unwrap();
        assert!(none.is_none(), "no group where no limit is set");
    }

    #[test]
    fn it_is_never_half_applied_and_goes_with_the_worker() {
        let folder = tempfile::tempdir().unwrap();
        let left = || fs::read_dir(folder.path()).unwrap().count();
        let file = |name| File {
            name,
            value: "1".to_owned(),
            limit: None,
        };
        let refused = Cgroup::make(folder.path(), 1, vec![file("no/such/file")]);
        assert!(refused.err().unwrap().contains("no/such/file"));
        assert_eq!(left(), 0);
        let group = Cgroup::make(folder.path(), 1, Vec::new()).unwrap();
        assert_eq!(left(), 1);
        // The kernel's files go with their folder, a test's do not.
        fs::remove_file(group.path.join("cgroup.procs")).unwrap();
        drop(group);
        assert_eq!(left(), 0);
    }

    #[test]
    fn this_machine_gives_an_answer() {
        let answer = delegated(&Roots::default());
        assert!(answer.is_ok() || !answer.unwrap_err().is_empty());
    }
}
