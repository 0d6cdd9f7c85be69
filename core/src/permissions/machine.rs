//! How much memory this machine has, or the container that this process runs in.

use std::fs;
use std::path::{Path, PathBuf};

/// The most memory of a worker whose manifest names none, in MiB: half of what there is. `None` where
/// nobody can tell.
pub(crate) fn default_memory_mb() -> Option<u64> {
    memory(Path::new("/")).map(|bytes| (bytes / 2) >> 20)
}

/// In bytes; the files lie beneath `root`.
fn memory(root: &Path) -> Option<u64> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let all = read("proc/meminfo");
    let all = all.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let all = all.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    let group = folders(
        root,
        &read("proc/self/mountinfo"),
        &read("proc/self/cgroup"),
    );
    let limits = group.iter().filter_map(|file| {
        // The word "max" is no number: no limit.
        fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()
    });
    limits.chain(all.map(|kib| kib << 10)).min()
}

/// The limit files of this process's control groups and of those above, of either version.
fn folders(root: &Path, mountinfo: &str, groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in mountinfo.lines() {
        let Some((fields, kind)) = line.split_once(" - ") else {
            continue;
        };
        let is_v2 = kind.starts_with("cgroup2 ");
        let is_v1 = kind.starts_with("cgroup ") && kind.split([' ', ',']).any(|o| o == "memory");
        let mut fields = fields.split(' ').skip(3);
        let (Some(top), Some(mount), true) = (fields.next(), fields.next(), is_v1 || is_v2) else {
            continue;
        };
        let name = if is_v2 {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        };
        let own = groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let is_it = match is_v2 {
                true => controllers.is_empty(),
                false => controllers.split(',').any(|c| c == "memory"),
            };
            is_it.then_some(path)
        });
        let own = own.unwrap_or("/");
        let below = own.strip_prefix(top.trim_end_matches('/')).unwrap_or(own);
        let mount = root.join(mount.trim_start_matches('/'));
        let folder = mount.join(below.trim_start_matches('/'));
        let within = folder.ancestors().take_while(|at| at.starts_with(&mount));
        files.extend(within.map(|at| at.join(name)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(mounts: &str, groups: &str, limits: &[(&str, &str)]) -> Option<u64> {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/meminfo", "MemTotal:  4096 kB\nMemFree: 1 kB\n");
        write("proc/self/mountinfo", mounts);
        write("proc/self/cgroup", groups);
        for (path, limit) in limits {
            write(path, limit);
        }
        memory(folder.path())
    }

    #[test]
    fn the_tightest_limit_of_machine_and_groups_counts() {
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let own = "0::/app/host\n";
        assert_eq!(machine("", "", &[]), Some(4 << 20));
        let above = ("sys/fs/cgroup/app/memory.max", "1048576\n");
        let none = ("sys/fs/cgroup/app/host/memory.max", "max\n");
        assert_eq!(machine(v2, own, &[above, none]), Some(1 << 20));
        let v1 = "31 23 0:27 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        let file = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2097152\n");
        assert_eq!(machine(v1, "4:memory:/docker/x\n", &[file]), Some(2 << 20));
        let wide = (
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(machine(v1, "4:memory:/docker/x\n", &[wide]), Some(4 << 20));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_some() {
        assert!(default_memory_mb().unwrap() > 16);
    }
}
