//! Runs a program that may crash, hang or print without end, in a throw-away process.
//!
//! Nothing that is tried here can hurt the host: the process has a group of its own, its standard
//! input is empty, what it writes is read and kept in part, and at its end or at the bound the whole
//! group is killed, and with it whoever left the group: each trial has a mark of its own in its
//! environment (see `survivors`). The pipes are read by threads of their own, so that the bound also
//! holds where a grandchild keeps them open, and what was read by then counts.

#[cfg(target_os = "linux")]
mod survivors;

use crate::platform::signal_name;
use crate::sync::Mutex;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// The most that is kept of the answer on standard output, in bytes.
const ANSWER: usize = 1 << 20;
/// The most that is kept of the end of standard error, in bytes.
const WORDS: usize = 8 << 10;
/// How long the pipes may stay open once the process is gone.
const GRACE: Duration = Duration::from_millis(500);
/// How often it is looked whether the process has ended.
const LOOK: Duration = Duration::from_millis(5);

/// A program to try.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that it gets beside the host's.
    pub env: Vec<(OsString, OsString)>,
    /// How long it may take.
    pub bound: Duration,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialEnd {
    /// With this exit status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It was killed at the bound.
    Overdue(Duration),
    /// It never began: the system's words.
    NotStarted(String),
}

/// What a trial came to.
#[derive(Debug, Clone)]
pub struct TrialOutcome {
    /// How it ended.
    pub end: TrialEnd,
    /// The beginning of its standard output.
    pub answer: Vec<u8>,
    /// The last lines of its standard error.
    pub words: Vec<String>,
    /// How many bytes it wrote to standard error.
    pub written: u64,
}

impl fmt::Display for TrialEnd {
    /// What stands behind "it".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "ended with exit status {status}"),
            Self::Signal(signal) => write!(f, "died of {}", signal_name(*signal)),
            Self::Overdue(bound) => write!(f, "did not end within {:.1} s", bound.as_secs_f64()),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
        }
    }
}

impl TrialOutcome {
    /// How it ended and what it said last, in words that stand behind "it".
    #[must_use]
    pub fn story(&self) -> String {
        format!("{}{}", self.end, self.last_lines())
    }

    /// `; its last lines: ...`, or nothing where there are none.
    #[must_use]
    pub fn last_lines(&self) -> String {
        const TOLD: usize = 12;
        match &self.words[self.words.len().saturating_sub(TOLD)..] {
            [] => String::new(),
            words => format!("; its last lines: {}", words.join(" | ")),
        }
    }
}

impl Trial {
    /// Runs it to its end, or to the bound.
    #[must_use]
    pub fn run(&self) -> TrialOutcome {
        let deadline = Instant::now() + self.bound;
        let mark = mark();
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().cloned())
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        match command.spawn() {
            Ok(child) => watch(child, deadline, self.bound, &mark),
            Err(error) => TrialOutcome {
                end: TrialEnd::NotStarted(error.to_string()),
                answer: Vec::new(),
                words: Vec::new(),
                written: 0,
            },
        }
    }
}

/// The variable that marks everybody who descends from a trial.
const MARK: &str = "PLUGWARD_TRIAL";

/// A mark that no other trial has.
fn mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}-{}", std::process::id(), since.as_nanos())
}

fn watch(mut child: Child, deadline: Instant, bound: Duration, mark: &str) -> TrialOutcome {
    let answer = child.stdout.take().and_then(|pipe| reader(pipe, head));
    let words = child.stderr.take().and_then(|pipe| reader(pipe, tail));
    let end = ended(child, deadline, bound);
    #[cfg(target_os = "linux")]
    survivors::kill(&format!("{MARK}={mark}"));
    let late = Instant::now() + GRACE;
    let (answer, _) = receive(answer, late);
    let (last, written) = receive(words, late);
    TrialOutcome {
        end,
        answer,
        words: lines(&last),
        written,
    }
}

/// The process's end; at the deadline it is brought about. Its group never outlives it.
fn ended(mut child: Child, deadline: Instant, bound: Duration) -> TrialEnd {
    while !is_over(&mut child) {
        if Instant::now() >= deadline {
            kill(&mut child);
            bury(child);
            return TrialEnd::Overdue(bound);
        }
        std::thread::sleep(LOOK);
    }
    // The number still belongs to the process that is over, since nobody has waited for it yet.
    kill(&mut child);
    match child.wait() {
        Ok(status) => told(status),
        Err(error) => TrialEnd::NotStarted(error.to_string()),
    }
}

/// Waits for a process that was killed; one that sits in an uninterruptible system call dies when
/// that ends, and nobody waits here for it.
fn bury(mut child: Child) {
    let end = Instant::now() + GRACE;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(LOOK),
            _ => return,
        }
    }
    let grave = std::thread::Builder::new().name("plugward-bury".into());
    // Without a thread the process stays a zombie until the host ends.
    let _ = grave.spawn(move || child.wait());
}

#[cfg(target_os = "linux")]
fn is_over(child: &mut Child) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let Some(pid) = number(child) else {
        return true;
    };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), look), Ok(None))
}

#[cfg(not(target_os = "linux"))]
fn is_over(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

#[cfg(target_os = "linux")]
fn kill(child: &mut Child) {
    use rustix::process::{Signal, kill_process_group};
    if let Some(group) = number(child) {
        // Fails where nobody is left in the group.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(not(target_os = "linux"))]
fn kill(child: &mut Child) {
    // Fails where the process is gone.
    let _ = child.kill();
}

#[cfg(target_os = "linux")]
fn number(child: &Child) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(child.id()).ok()?)
}

fn told(status: ExitStatus) -> TrialEnd {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return TrialEnd::Signal(signal);
    }
    TrialEnd::Status(status.code().unwrap_or(-1))
}

/// What was kept of a pipe, and how much there was.
type Kept = (Vec<u8>, u64);

/// A pipe that is being read.
struct Reading {
    kept: Arc<Mutex<Kept>>,
    /// Told when the pipe has ended.
    over: Receiver<()>,
}

/// Reads a pipe to its end on a thread of its own. `None` where there is no thread.
fn reader(mut pipe: impl Read + Send + 'static, keep: fn(&mut Vec<u8>, &[u8])) -> Option<Reading> {
    let (sender, over) = sync_channel(1);
    let kept = Arc::<Mutex<Kept>>::default();
    let mine = Arc::clone(&kept);
    let thread = std::thread::Builder::new().name("plugward-trial".into());
    let read = move || {
        let mut chunk = vec![0; 16 << 10];
        while let Ok(read @ 1..) = pipe.read(&mut chunk) {
            let mut kept = mine.lock();
            keep(&mut kept.0, &chunk[..read]);
            kept.1 += read as u64;
        }
        // Nobody listens after the grace.
        let _ = sender.send(());
    };
    thread.spawn(read).ok().map(|_| Reading { kept, over })
}

/// What was read when the pipe ended, or until now: a descendant may hold it open for ever.
fn receive(from: Option<Reading>, until: Instant) -> Kept {
    let Some(from) = from else {
        return Kept::default();
    };
    let left = until.saturating_duration_since(Instant::now());
    // An error is the end of the grace, or of the thread.
    let _ = from.over.recv_timeout(left);
    std::mem::take(&mut *from.kept.lock())
}

fn head(kept: &mut Vec<u8>, chunk: &[u8]) {
    let room = ANSWER.saturating_sub(kept.len());
    kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
}

fn tail(kept: &mut Vec<u8>, chunk: &[u8]) {
    kept.extend_from_slice(chunk);
    let surplus = kept.len().saturating_sub(WORDS);
    kept.drain(..surplus);
}

/// The last lines, each of a readable length.
fn lines(text: &[u8]) -> Vec<String> {
    const LINES: usize = 40;
    const WIDTH: usize = 240;
    let text = String::from_utf8_lossy(text);
    let visible = |line: &str| -> String {
        let shown = |c: char| if c.is_control() { ' ' } else { c };
        line.trim_end().chars().map(shown).take(WIDTH).collect()
    };
    let mut last: Vec<_> = text
        .lines()
        .rev()
        .map(visible)
        .filter(|line| !line.is_empty())
        .take(LINES)
        .collect();
    last.reverse();
    last
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str, bound: u64) -> TrialOutcome {
        Trial {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: vec![("WORD".into(), "given".into())],
            bound: Duration::from_millis(bound),
        }
        .run()
    }

    #[test]
    fn answer_words_and_status() {
        let outcome = sh("echo $WORD; echo one >&2; echo two >&2; exit 3", 60_000);
        assert_eq!(outcome.end, TrialEnd::Status(3));
        assert_eq!(outcome.answer, b"given\n");
        assert_eq!(outcome.words, ["one", "two"]);
        assert_eq!(outcome.written, 8);
    }

    #[test]
    fn a_signal_and_a_missing_program() {
        assert_eq!(
            sh("kill -SEGV $$", 60_000).end,
            TrialEnd::Signal(libc::SIGSEGV)
        );
        let mut trial = Trial {
            program: "/no/such/program".into(),
            args: Vec::new(),
            env: Vec::new(),
            bound: Duration::from_secs(60),
        };
        assert!(matches!(trial.run().end, TrialEnd::NotStarted(_)));
        trial.program = "/etc/passwd".into();
        assert!(matches!(trial.run().end, TrialEnd::NotStarted(_)));
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let start = Instant::now();
        let outcome = sh("sleep 1000 & echo $!; wait", 2_000);
        assert_eq!(outcome.end, TrialEnd::Overdue(Duration::from_secs(2)));
        assert!(start.elapsed() < Duration::from_secs(30));
        let child = String::from_utf8(outcome.answer).unwrap();
        eventually_gone(child.trim());
    }

    fn eventually_gone(pid: &str) {
        assert!(!pid.is_empty());
        let end = Instant::now() + Duration::from_secs(60);
        while is_running(pid) {
            assert!(Instant::now() < end, "process {pid} is still there");
            std::thread::sleep(LOOK);
        }
    }

    /// Neither gone nor waiting to be buried by whoever adopted it.
    fn is_running(pid: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    }

    #[test]
    fn a_child_that_keeps_the_pipes_does_not_keep_the_trial() {
        let start = Instant::now();
        let outcome = sh("echo said; sleep 1000 & exit 0", 60_000);
        assert_eq!(outcome.end, TrialEnd::Status(0));
        assert_eq!(outcome.answer, b"said\n");
        let outcome = sh("exec >&- 2>&-; sleep 0.2; exit 7", 60_000);
        assert_eq!(outcome.end, TrialEnd::Status(7));
        assert!(start.elapsed() < Duration::from_secs(40));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_left_the_group_is_killed_and_the_answer_stays() {
        let outcome = sh(
            "echo said; setsid sleep 1000 & \
             until grep -qs ^sleep /proc/$!/cmdline; do sleep 0.05; done; echo $!; exit 0",
            60_000,
        );
        assert_eq!(outcome.end, TrialEnd::Status(0));
        let answer = String::from_utf8(outcome.answer).unwrap();
        eventually_gone(answer.strip_prefix("said\n").unwrap().trim());
    }

    /// What cannot be killed keeps the pipe; here the mark is gone from its environment.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_answer_stays_where_somebody_keeps_the_pipe() {
        let script = "echo said; env -i setsid sleep 1000 & \
            until grep -qs ^sleep /proc/$!/cmdline; do sleep 0.05; done; echo $! >&2; exit 0";
        let outcome = sh(script, 60_000);
        assert_eq!(outcome.answer, b"said\n");
        // It cannot be told from a process of somebody else; the test ends its own.
        let pid = outcome.words[0].parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn endless_output_is_kept_in_part() {
        let outcome = sh("yes 0123456789 >&2", 2_000);
        assert!(matches!(outcome.end, TrialEnd::Overdue(_)));
        assert!(outcome.words.len() <= 40 && outcome.written > 0);
        let outcome = sh("head -c 3000000 /dev/zero", 60_000);
        assert_eq!(
            (outcome.end, outcome.answer.len()),
            (TrialEnd::Status(0), ANSWER)
        );
    }
}
