//! What a worker and its children have in memory, looked at from outside.
//!
//! Two looks: a cheap one that never says too little, and, where that is beyond the limit, an exact
//! one. After a fork both sides have the same pages resident until one of them writes: only their
//! shares (PSS) add up. A memfd that is written to and not mapped is resident nowhere, but its
//! descriptor tells how large it is.

use std::collections::HashMap;
use std::path::Path;

/// Memory by the number of the memfd that it belongs to.
type ByFile = HashMap<u64, u64>;

/// Bytes of `pids` together, at least. `own` is the file of the calls' slots, which is not counted here.
pub(super) fn quick(pids: &[u32], own: u64) -> u64 {
    let resident: u64 = pids.iter().map(|pid| resident(*pid)).sum();
    let files: u64 = files(pids, own).values().sum();
    resident + files
}

/// The same without counting anything twice, where that is needed to tell whether it is more than
/// `limit`. A process that may not be looked into counts in full. For each of the two texts that this
/// reads the kernel walks through every page of a process: milliseconds, with some hundred megabytes.
pub(super) fn exact(pids: &[u32], own: u64, limit: u64) -> u64 {
    let files = files(pids, own);
    let all: u64 = pids.iter().map(|pid| shares(*pid)).sum();
    // A memfd that is mapped is in both, and the slots are in the first: enough, if even so it is not too much.
    let most = all + files.values().sum::<u64>();
    if most <= limit {
        return most;
    }
    let mut mapped = ByFile::new();
    for pid in pids {
        count_mapped(&text(*pid, "smaps"), &mut mapped);
    }
    let slots = mapped.get(&own).copied().unwrap_or(0);
    let beyond = |(file, bytes): (&u64, &u64)| {
        let seen = mapped.get(file).copied().unwrap_or(0);
        bytes.saturating_sub(seen)
    };
    let unmapped: u64 = files.iter().map(beyond).sum();
    all.saturating_sub(slots) + unmapped
}

/// A process's shares of what it has resident and can only be swapped; all of that, where the kernel
/// does not tell its shares.
fn shares(pid: u32) -> u64 {
    let text = text(pid, "smaps_rollup");
    if !text.contains("Pss_Shmem:") {
        return resident(pid);
    }
    (number(&text, "Pss_Anon:") + number(&text, "Pss_Shmem:")) << 10
}

/// Threads of a process.
pub(super) fn threads(pid: u32) -> u64 {
    number(&status(pid), "Threads:")
}

/// What a process has resident that can only be swapped, not dropped: pages of files (programs,
/// libraries, models that are mapped) can be dropped at any time.
pub(super) fn resident(pid: u32) -> u64 {
    let text = status(pid);
    (number(&text, "RssAnon:") + number(&text, "RssShmem:")) << 10
}

fn status(pid: u32) -> String {
    text(pid, "status")
}

fn text(pid: u32, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default()
}

fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|l| l.strip_prefix(name));
    let number = line.and_then(|l| l.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The memfds that they hold, each once.
fn files(pids: &[u32], own: u64) -> ByFile {
    let mut all = ByFile::new();
    for pid in pids {
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        for path in entries.filter_map(|e| Some(e.ok()?.path())) {
            if let Some((file, bytes)) = memfd(&path).filter(|(file, _)| *file != own) {
                all.insert(file, bytes);
            }
        }
    }
    all
}

fn memfd(path: &Path) -> Option<(u64, u64)> {
    let target = std::fs::read_link(path).ok()?;
    if !target
        .as_os_str()
        .as_encoded_bytes()
        .starts_with(b"/memfd:")
    {
        return None;
    }
    let it = rustix::fs::stat(path).ok()?;
    Some((it.st_ino, (it.st_blocks as u64).saturating_mul(512)))
}

/// Adds up the shares that a process's `smaps` tells of each memfd.
fn count_mapped(smaps: &str, mapped: &mut ByFile) {
    let mut file = None;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if first == "Pss:" {
            let share = words.next().and_then(|n| n.parse::<u64>().ok());
            if let (Some(file), Some(kib)) = (file, share) {
                *mapped.entry(file).or_default() += kib << 10;
            }
        } else if !first.ends_with(':') {
            // A mapping begins: its range, mode, offset, device, inode and path.
            let inode = words.nth(3).and_then(|n| n.parse::<u64>().ok());
            let is_memfd = words.next().is_some_and(|path| path.starts_with("/memfd:"));
            file = inode.filter(|_| is_memfd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{MemfdFlags, fstat, memfd_create};

    #[test]
    fn the_kernels_own_words_are_read() {
        let status = status(std::process::id());
        assert!(number(&status, "RssAnon:") > 100);
        assert_eq!(number(&status, "NoSuchLine:"), 0);
        assert!(threads(std::process::id()) >= 1);
    }

    #[test]
    fn a_memfd_counts_once_whether_it_is_mapped_or_not() {
        let fd = memfd_create("counted", MemfdFlags::CLOEXEC).unwrap();
        let size = 8 << 20;
        for _ in 0..8 {
            rustix::io::write(&fd, &vec![1; 1 << 20]).unwrap();
        }
        let inode = fstat(&fd).unwrap().st_ino;
        let pids = [std::process::id()];
        assert_eq!(files(&pids, 0).get(&inode), Some(&size));
        assert_eq!(
            files(&pids, inode).get(&inode),
            None,
            "the slots are not counted"
        );
        assert!(quick(&pids, 0) >= exact(&pids, 0, 0).min(size));
        assert!(
            exact(&pids, 0, u64::MAX) + size / 2 >= exact(&pids, 0, 0),
            "what ends early never says too little"
        );
    }

    #[test]
    fn a_mapping_is_found_by_its_first_line() {
        let text = "7f0-7f1 rw-s 00000000 00:01 77                 /memfd:x (deleted)\n\
                    Rss:   8 kB\nPss:   4 kB\nVmFlags: rd wr\n\
                    7f1-7f2 rw-p 00000000 00:00 0 \nPss:  16 kB\n\
                    7f3-7f4 rw-s 00000000 00:01 77   /memfd:x (deleted)\nPss:   4 kB\n";
        let mut mapped = ByFile::new();
        count_mapped(text, &mut mapped);
        assert_eq!(mapped, ByFile::from([(77, 8 << 10)]));
    }
}
