//! Whether a process is on its way out: a large one may take long to end, and is no living one that
//! has lost a thread.

/// Flags of a thread in `/proc/PID/task/TID/stat`: it exits, was killed by a signal, writes a core.
const EXITING: u64 = 0x4 | 0x400 | 0x200;

/// The exit code in `/proc/PID/task/TID/stat`: the fiftieth field after the name.
const EXIT_CODE: usize = 49;

/// The signal that ends the thread and, as fatal signals do, its whole process. The kernel knows it
/// before it takes the memory apart, which with a large process lasts for many times as long as
/// telling its caller.
pub(super) fn fatal_signal(pid: u32, tid: u32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    signal_of(&stat)
}

/// A thread that ended by itself leaves no signal, and says nothing about its process.
fn signal_of(stat: &str) -> Option<i32> {
    let code = fields(stat).nth(EXIT_CODE)?.parse::<i32>().ok()?;
    Some(code & 0x7f).filter(|signal| *signal != 0 && is_over(stat))
}

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
    let mut fields = fields(stat);
    let state = fields.next().unwrap_or("Z");
    let flags = fields.nth(5).and_then(|flags| flags.parse::<u64>().ok());
    matches!(state, "Z" | "X") || flags.is_some_and(|flags| flags & EXITING != 0)
}

/// What stands after the name, which may hold anything.
fn fields(stat: &str) -> std::str::SplitWhitespace<'_> {
    stat.rsplit(')').next().unwrap_or("").split_whitespace()
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
        assert_eq!(fatal_signal(child.id(), child.id()), None);
        child.kill().unwrap();
        while !is_dying(child.id()) || fatal_signal(child.id(), child.id()).is_none() {
            std::thread::yield_now();
        }
        assert_eq!(fatal_signal(child.id(), child.id()), Some(libc::SIGKILL));
        child.wait().unwrap();
        assert!(is_dying(child.id()));
        assert_eq!(fatal_signal(child.id(), child.id()), None, "reaped");
        assert!(
            is_over("7 (a) b) R 1 7 7 0 -1 4194308 0"),
            "the flags say so"
        );
        let stat = |flags: &str, code: &str| {
            let before = ["0"; EXIT_CODE - 7].join(" ");
            format!("7 (a) b) R 1 7 7 0 -1 {flags} {before} {code}")
        };
        assert_eq!(signal_of(&stat("4194308", "11")), Some(11));
        assert_eq!(signal_of(&stat("4194308", "139")), Some(11), "with a core");
        assert_eq!(signal_of(&stat("4194308", "768")), None, "status 3");
        assert_eq!(signal_of(&stat("4194304", "11")), None, "it lives");
        assert!(is_killed("Name:\ta\nSigPnd:\t0000000000000100\n"));
    }
}
