//! Whether a process is on its way out: a large one may take long to end, and is no living one that
//! has lost a thread.

/// Flags of a thread in `/proc/PID/task/TID/stat`: it exits, was killed by a signal, writes a core.
const EXITING: u64 = 0x4 | 0x400 | 0x200;

/// Whether no thread of the process will run its program again.
pub(super) fn is_dying(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return true;
    };
    threads.flatten().all(|thread| {
        let text = |name: &str| std::fs::read_to_string(thread.path().join(name));
        match (text("stat"), text("status")) {
            (Ok(stat), Ok(status)) => is_over(&stat) || is_killed(&status),
            _ => true,
        }
    })
}

/// `PID (NAME) STATE ...`; the flags are the seventh field after the name.
fn is_over(stat: &str) -> bool {
    let mut fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    let state = fields.next().unwrap_or("Z");
    let flags = fields.nth(5).and_then(|flags| flags.parse::<u64>().ok());
    matches!(state, "Z" | "X") || flags.is_some_and(|flags| flags & EXITING != 0)
}

/// Whether `SIGKILL` waits for it: a process that ends sends it to its own threads.
fn is_killed(status: &str) -> bool {
    let waiting = status.lines().find_map(|line| line.strip_prefix("SigPnd:"));
    let waiting = waiting.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    waiting.is_some_and(|mask| mask & (1 << (libc::SIGKILL - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_and_the_dead_are_told_apart() {
        assert!(!is_dying(std::process::id()));
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        assert!(!is_dying(child.id()));
        child.kill().unwrap();
        while !is_dying(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(is_dying(child.id()));
        assert!(
            is_over("7 (a) b) R 1 7 7 0 -1 4194308 0"),
            "the flags say so"
        );
        assert!(is_killed("Name:\ta\nSigPnd:\t0000000000000100\n"));
    }
}
