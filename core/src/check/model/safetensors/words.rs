//! A bound for what a JSON parser has to remember: the length of one word, and the first byte.

use std::io::{self, ErrorKind, Read};

/// No name of a tensor and no text of metadata is longer; a parser keeps a word in memory.
const LONGEST: usize = 4 << 20;

/// Passes JSON on, and fails where a word in it is too long or the first byte is no brace.
pub(super) struct Words<R> {
    inner: R,
    begun: bool,
    /// How long the word is so far, inside of one.
    word: Option<usize>,
    escaped: bool,
}

impl<R: Read> Words<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            begun: false,
            word: None,
            escaped: false,
        }
    }

    fn see(&mut self, byte: u8) -> io::Result<()> {
        let refuse = |why| Err(io::Error::new(ErrorKind::InvalidData, why));
        if !self.begun && byte != b'{' {
            return refuse("it does not begin with a brace");
        }
        self.begun = true;
        self.word = match (self.word, byte) {
            (None, b'"') => Some(0),
            (None, _) => None,
            (Some(_), b'"') if !self.escaped => None,
            (Some(LONGEST), _) => return refuse("a word in it does not end"),
            (Some(length), _) => Some(length + 1),
        };
        self.escaped = self.word.is_some() && byte == b'\\' && !self.escaped;
        Ok(())
    }
}

impl<R: Read> Read for Words<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for byte in &buffer[..read] {
            self.see(*byte)?;
        }
        Ok(read)
    }
}
