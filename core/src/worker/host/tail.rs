//! What a worker writes to its standard output and error: the last lines are kept for the error
//! that its death becomes, all of them go to the log, at a bounded rate.

use super::dump::{self, Dump};
use crate::log::{Level, Logger};
use crate::sync::Mutex;
use crate::worker::RECORD;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// Lines that are kept.
const LINES: usize = 40;
/// Bytes of a line that are kept.
const WIDTH: usize = 1000;
/// Lines a second that go to the log.
const LOGGED: u32 = 50;
/// What one round reads.
const CHUNK: usize = 64 << 10;

struct Inner {
    pipe: OwnedFd,
    lines: VecDeque<String>,
    dump: Dump,
    partial: Vec<u8>,
    window: Instant,
    logged: u32,
    dropped: u64,
    /// Bytes beyond the width of a line.
    cut: u64,
}

/// The reading end of a worker's output.
pub(super) struct Tail {
    inner: Mutex<Inner>,
    log: Logger,
}

/// What a round of reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// So many bytes, and there may be more.
    More(usize),
    /// Nothing at present.
    Empty,
    /// The last writer has closed it.
    Closed,
}

impl Tail {
    pub(super) fn new(pipe: OwnedFd, log: Logger) -> Self {
        let inner = Inner {
            pipe,
            lines: VecDeque::new(),
            dump: Dump::default(),
            partial: Vec::new(),
            window: Instant::now(),
            logged: 0,
            dropped: 0,
            cut: 0,
        };
        Self {
            inner: Mutex::new(inner),
            log,
        }
    }

    /// Runs `body` with the descriptor.
    pub(super) fn with_fd<T>(&self, body: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        body(self.inner.lock().pipe.as_fd())
    }

    /// Reads one chunk; never blocks.
    pub(super) fn pump(&self) -> Pumped {
        let mut inner = self.inner.lock();
        let mut chunk = vec![0; CHUNK];
        match rustix::io::read(&inner.pipe, &mut chunk) {
            Ok(0) => Pumped::Closed,
            Ok(n) => {
                inner.add(&chunk[..n], &self.log);
                Pumped::More(n)
            }
            Err(_) => Pumped::Empty,
        }
    }

    /// Says in time what was dropped, also where nothing more is written.
    pub(super) fn settle(&self) {
        let mut inner = self.inner.lock();
        if inner.dropped + inner.cut > 0 {
            inner.turn(&self.log);
        }
    }

    /// The last lines, after everything that is in the pipe now.
    pub(super) fn last_words(&self) -> Vec<String> {
        // Bounded: a grandchild may still be writing.
        for _ in 0..64 {
            if !matches!(self.pump(), Pumped::More(_)) {
                break;
            }
        }
        let mut inner = self.inner.lock();
        let partial = std::mem::take(&mut inner.partial);
        if !partial.is_empty() {
            inner.line(&partial, &self.log);
        }
        inner.tell_dropped(&self.log);
        inner.lines.iter().cloned().collect()
    }

    /// What Python wrote of a fatal signal, as far as [`Tail::last_words`] has read.
    pub(super) fn dump(&self) -> Vec<String> {
        self.inner.lock().dump.lines()
    }
}

impl Inner {
    fn add(&mut self, bytes: &[u8], log: &Logger) {
        let mut rest = self.skip(bytes);
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let mut line = std::mem::take(&mut self.partial);
            line.extend_from_slice(&rest[..end]);
            self.line(&line, log);
            rest = &rest[end + 1..];
        }
        let room = (4 * WIDTH).saturating_sub(self.partial.len());
        self.partial
            .extend_from_slice(&rest[..rest.len().min(room)]);
        self.cut += rest.len().saturating_sub(room) as u64;
    }

    /// Leaves out lines that would neither be logged nor be among the last nor belong to a dump: a flood
    /// costs no more than to be counted.
    fn skip<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let may_log = LOGGED.saturating_sub(self.logged) as usize;
        let dumps = self.dump.is_open() || dump::may_begin(&self.partial);
        if may_log > 0 || dumps || self.window.elapsed().as_secs() >= 1 {
            return bytes;
        }
        let before = &bytes[..dump::begins_at(bytes).unwrap_or(bytes.len())];
        let mut ends = before
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, b)| **b == b'\n');
        let Some((cut, _)) = ends.nth(LINES) else {
            return bytes;
        };
        self.partial.clear();
        self.dropped += 1 + ends.count() as u64;
        &bytes[cut + 1..]
    }

    fn line(&mut self, line: &[u8], log: &Logger) {
        let text = String::from_utf8_lossy(&line[..line.len().min(4 * WIDTH)]);
        let (level, text) = match text.strip_prefix(RECORD).and_then(|t| t.split_once(' ')) {
            Some((level, text)) => (Level::from_number(level.parse().unwrap_or(20)), text),
            None => (Level::Info, &*text),
        };
        let text: String = text.chars().take(WIDTH).collect();
        if self.may_log(log) {
            log.write(level, text.clone());
        }
        if self.dump.take(&text) {
            return;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(text);
    }

    /// Once a second: says what was dropped, and logs again.
    fn turn(&mut self, log: &Logger) {
        if self.window.elapsed().as_secs() < 1 {
            return;
        }
        self.tell_dropped(log);
        (self.window, self.logged) = (Instant::now(), 0);
    }

    fn tell_dropped(&mut self, log: &Logger) {
        let (lines, bytes) = (self.dropped, self.cut);
        (self.dropped, self.cut) = (0, 0);
        if lines + bytes > 0 {
            let text = format!(
                "of its output, {lines} lines beyond {LOGGED} a second and {bytes} bytes of overlong \
                 lines were dropped"
            );
            log.write(Level::Warn, text);
        }
    }

    fn may_log(&mut self, log: &Logger) -> bool {
        self.turn(log);
        self.logged = self.logged.saturating_add(1);
        let may = self.logged <= LOGGED;
        self.dropped += u64::from(!may);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogHub;
    use rustix::pipe::{PipeFlags, pipe_with};
    use std::time::Duration;

    #[test]
    fn a_flood_is_counted_and_its_end_is_kept() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        let hub = LogHub::new(4096);
        let tail = Tail::new(reader, Logger::new(&hub, "p"));
        // No second passes meanwhile.
        tail.inner.lock().window = Instant::now() + Duration::from_secs(3600);
        for n in 0..100 {
            let lines: String = (0..100).map(|m| format!("{n} {m}\n")).collect();
            rustix::io::write(&writer, lines.as_bytes()).unwrap();
            assert!(matches!(tail.pump(), Pumped::More(_)));
        }
        let inner = tail.inner.lock();
        let seen = u64::from(LOGGED) + inner.dropped;
        assert!(seen >= 10_000, "{seen}");
        drop(inner);
        let words = tail.last_words();
        assert_eq!((words.len(), words[LINES - 1].as_str()), (LINES, "99 99"));
        assert_eq!(tail.inner.lock().dropped, 0, "told");
        hub.close();
    }

    #[test]
    fn a_dump_is_kept_however_much_was_written_before_it() {
        let mut dump = "Fatal Python error: Segmentation fault\n\n".to_owned();
        dump += "Current thread 0x1 (most recent call first):\n";
        dump += &"  File \"a.py\", line 1 in deep\n".repeat(50);
        dump += &"Thread 0x2 (most recent call first):\n  <no Python frame>\n".repeat(100);
        let words = "my own word\n".repeat(100);
        // What one read brings may end anywhere.
        for cut in 0..words.len() + 200 {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
            let hub = LogHub::new(4096);
            let tail = Tail::new(reader, Logger::new(&hub, "p"));
            tail.inner.lock().window = Instant::now() + Duration::from_secs(3600);
            tail.inner.lock().logged = LOGGED;
            let all = format!("{words}{dump}");
            for part in [&all[..cut], &all[cut..]] {
                rustix::io::write(&writer, part.as_bytes()).unwrap();
                tail.pump();
            }
            assert_eq!(tail.last_words().len(), LINES, "{cut}");
            assert_eq!(tail.dump().len(), 52, "{cut}");
            hub.close();
        }
    }

    #[test]
    fn the_last_lines_are_kept_whole_and_bounded() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        let hub = LogHub::new(64);
        let tail = Tail::new(reader, Logger::new(&hub, "p"));
        for n in 0..50 {
            rustix::io::write(&writer, format!("line {n}\n").as_bytes()).unwrap();
        }
        rustix::io::write(&writer, &[b'x'; 9000]).unwrap();
        let words = tail.last_words();
        assert_eq!(words.len(), LINES);
        assert_eq!(words[0], "line 11");
        assert_eq!(words[LINES - 1].len(), WIDTH);
        assert_eq!(tail.pump(), Pumped::Empty);
        drop(writer);
        assert_eq!(tail.pump(), Pumped::Closed);
        hub.close();
    }
}
