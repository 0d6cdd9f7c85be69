//! The plugin's log lines on their way to the host: standard error, one marked line each.
//!
//! They are written by the plugin's own thread, at once: the process may end in the next moment, and what a plugin
//! said just before is what its people want to read. A host that does not read costs lines, which are counted, and
//! never a plugin's time.

use crate::log::{LogHub, LogSink, Record};
use crate::worker::RECORD;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a line. A pipe with room for anything has room for so many, and takes them in one piece.
const MOST: usize = 4096;

/// Where the lines go.
struct Output<F> {
    pipe: F,
    lost: AtomicU64,
}

impl<F: AsFd> Output<F> {
    fn has_room(&self) -> bool {
        let mut pipes = [PollFd::new(&self.pipe, PollFlags::OUT)];
        let found = poll(&mut pipes, Some(&Timespec::default()));
        found.is_ok() && pipes[0].revents().contains(PollFlags::OUT)
    }

    fn line(&self, level: i32, text: &str) -> bool {
        if !self.has_room() {
            return false;
        }
        let mut line = format!("{RECORD}{level} {}", text.replace('\n', " "));
        line.truncate(line.floor_char_boundary(MOST - 1));
        line.push('\n');
        rustix::io::write(&self.pipe, line.as_bytes()).is_ok_and(|n| n == line.len())
    }

    /// Says how many lines were lost, once there is room again.
    fn tell_lost(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} log lines found no room on their way to the host");
            if !self.line(crate::log::Level::Warn as i32, &text) {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
    }
}

impl<F: AsFd + Send + Sync> LogSink for Output<F> {
    fn write(&self, record: &Record) -> Result<(), String> {
        self.tell_lost();
        if self.line(record.level as i32, &record.message) {
            return Ok(());
        }
        self.lost.fetch_add(1, Ordering::Relaxed);
        Err("the host does not read".to_owned())
    }
}

/// The worker's log path.
pub(super) fn hub() -> LogHub {
    LogHub::immediate(Arc::new(Output {
        pipe: std::io::stderr(),
        lost: AtomicU64::new(0),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;
    use rustix::pipe::{PipeFlags, pipe_with};

    #[test]
    fn a_host_that_does_not_read_costs_lines_and_no_time() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let output = Output {
            pipe: writer,
            lost: AtomicU64::new(0),
        };
        let record = Record::new(Level::Error, None, "x\ny".repeat(5000));
        // Whoever waited for the reader would wait for ever: there is none.
        let written = (0..100).filter(|_| output.write(&record).is_ok()).count();
        assert!((1..100).contains(&written), "{written}");
        let mut bytes = vec![0; written * MOST];
        let mut read = 0;
        while read < bytes.len() {
            read += rustix::io::read(&reader, &mut bytes[read..]).unwrap();
        }
        let lines = bytes.split(|b| *b == b'\n').count() - 1;
        assert_eq!(lines, written, "each is one line, cut to what fits");
        assert!(output.write(&record).is_ok());
        let mut bytes = [0; MOST];
        let read = rustix::io::read(&reader, &mut bytes).unwrap();
        let first = String::from_utf8_lossy(&bytes[..read]);
        let told = format!("{RECORD}30 {} log lines found no room", 100 - written);
        assert!(first.starts_with(&told), "{first}");
    }
}
