//! A file read front to back by a format check: buffered, bounded by the file's own length, and
//! with a sign of life for every read. Lengths that the file claims are checked against what is
//! left of it before anything is skipped or read; nothing is allocated by them.

use super::super::bounded::Pulse;
use super::problem::{Problem, damaged};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

/// How much is read at once.
const BUFFER: usize = 16 * 1024;
static ZEROS: [u8; BUFFER] = [0; BUFFER];

/// A reader that reports each read to the pulse.
pub(super) struct Beating<'a> {
    file: &'a File,
    pulse: &'a Pulse,
}

impl<'a> Beating<'a> {
    pub(super) fn new(file: &'a File, pulse: &'a Pulse) -> Self {
        Self { file, pulse }
    }
}

impl Read for Beating<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.pulse.stopped() {
            return Err(std::io::Error::other("the check was given up"));
        }
        let read = self.file.read(buffer)?;
        self.pulse.beat();
        Ok(read)
    }
}

impl Seek for Beating<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// A file with its position and length.
pub(super) struct Source<'a> {
    inner: BufReader<Beating<'a>>,
    position: u64,
    length: u64,
}

impl<'a> Source<'a> {
    /// Starts at the beginning.
    pub(super) fn new(file: &'a File, length: u64, pulse: &'a Pulse) -> Result<Self, Problem> {
        let mut inner = BufReader::with_capacity(BUFFER, Beating::new(file, pulse));
        inner.seek(SeekFrom::Start(0))?;
        Ok(Self {
            inner,
            position: 0,
            length,
        })
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// What is left of the file.
    pub(super) fn left(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    /// The next bytes, a fixed number.
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Problem> {
        Ok(self.bytes::<1>()?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Problem> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    /// Passes over `count` bytes that must be there.
    pub(super) fn skip(&mut self, count: u64, what: &str) -> Result<(), Problem> {
        if count > self.left() {
            return damaged(format!(
                "{what} at byte {} claims {count} bytes, and the file has {} left",
                self.position,
                self.left()
            ));
        }
        // A file of more than i64::MAX bytes does not exist.
        self.inner
            .seek_relative(i64::try_from(count).unwrap_or(i64::MAX))?;
        self.position += count;
        Ok(())
    }

    /// Whether no bit is set in the next `limit` bytes, as far as there are as many; reads up to
    /// the first that is.
    pub(super) fn all_zero(&mut self, limit: u64) -> Result<bool, Problem> {
        let end = self.position.saturating_add(limit).min(self.length);
        while self.position < end {
            let most = usize::try_from(end - self.position).unwrap_or(usize::MAX);
            let chunk = self.inner.fill_buf()?;
            let chunk = &chunk[..chunk.len().min(most)];
            if chunk.is_empty() {
                return damaged("the file became shorter while it was read");
            }
            if chunk != &ZEROS[..chunk.len()] {
                return Ok(false);
            }
            let read = chunk.len();
            self.inner.consume(read);
            self.position += read as u64;
        }
        Ok(true)
    }

    /// Reads at most `limit` bytes of what follows, for a parser of its own.
    pub(super) fn take(&mut self, limit: u64) -> impl BufRead {
        (&mut self.inner).take(limit)
    }
}
