//! GGUF: magic, version, key-value pairs, tensor descriptions, then the tensors' bytes.
//!
//! The descriptions are walked and the end of the last tensor is compared with the file's length,
//! because a download that broke off has a perfect beginning. Layout and block sizes: the GGUF
//! specification and `ggml.h`. There is no light crate that checks without reading the values.

use super::problem::{Problem, damaged};
use super::source::Source;

/// No header of a real model comes near this; a walk through a crafted one must end.
const HEADER_LIMIT: u64 = 128 << 20;
const DEFAULT_ALIGNMENT: u64 = 32;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const UINT32: u32 = 4;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gguf {
    pub(super) version: u32,
    pub(super) tensors: u64,
}

/// Checks magic, version, descriptions and the place of every tensor.
pub(super) fn check(source: &mut Source<'_>) -> Result<Gguf, Problem> {
    if &source.bytes::<4>()? != b"GGUF" {
        return damaged("it does not begin with GGUF");
    }
    let version = source.u32()?;
    if !(1..=3).contains(&version) {
        return damaged(format!("GGUF version {version} does not exist"));
    }
    let mut walk = Walk {
        source,
        wide: version > 1,
        alignment: DEFAULT_ALIGNMENT,
    };
    let tensors = walk.count()?;
    let pairs = walk.count()?;
    for _ in 0..pairs {
        walk.pair()?;
    }
    let mut end = 0;
    for _ in 0..tensors {
        end = end.max(walk.tensor()?);
    }
    walk.data(end)?;
    Ok(Gguf { version, tensors })
}

struct Walk<'a, 'b> {
    source: &'a mut Source<'b>,
    /// Whether counts have 64 bits (from version 2 on) or 32.
    wide: bool,
    alignment: u64,
}

impl Walk<'_, '_> {
    fn count(&mut self) -> Result<u64, Problem> {
        if self.source.position() > HEADER_LIMIT {
            return damaged("its header does not end");
        }
        if self.wide {
            self.source.u64()
        } else {
            Ok(u64::from(self.source.u32()?))
        }
    }

    fn string(&mut self) -> Result<u64, Problem> {
        let size = self.count()?;
        self.source.skip(size, "a text")?;
        Ok(size)
    }

    /// One key with its value; only the alignment is kept.
    fn pair(&mut self) -> Result<(), Problem> {
        const KEY: &[u8; 17] = b"general.alignment";
        let size = self.count()?;
        let mut is_alignment = false;
        if size == KEY.len() as u64 {
            is_alignment = &self.source.bytes::<17>()? == KEY;
        } else {
            self.source.skip(size, "a key")?;
        }
        let kind = self.source.u32()?;
        if is_alignment && kind == UINT32 {
            self.alignment = u64::from(self.source.u32()?);
            if self.alignment == 0 || !self.alignment.is_multiple_of(8) {
                return damaged(format!("an alignment of {} does not exist", self.alignment));
            }
            return Ok(());
        }
        self.value(kind, 0)
    }

    fn value(&mut self, kind: u32, depth: u32) -> Result<(), Problem> {
        match (kind, width(kind)) {
            (_, Some(width)) => self.source.skip(width, "a value"),
            (STRING, _) => self.string().map(drop),
            (ARRAY, _) if depth < 4 => self.array(depth),
            _ => damaged(format!(
                "value type {kind} before byte {}",
                self.source.position()
            )),
        }
    }

    fn array(&mut self, depth: u32) -> Result<(), Problem> {
        let kind = self.source.u32()?;
        let count = self.count()?;
        if let Some(width) = width(kind) {
            return self.source.skip(count.saturating_mul(width), "an array");
        }
        for _ in 0..count {
            self.value(kind, depth + 1)?;
        }
        Ok(())
    }

    /// One tensor's description; answers where its bytes end, counted from the data's start.
    fn tensor(&mut self) -> Result<u64, Problem> {
        self.string()?;
        let dimensions = self.source.u32()?;
        if dimensions > 8 {
            return damaged(format!("a tensor has {dimensions} dimensions"));
        }
        let (mut row, mut elements) = (1, 1_u64);
        for dimension in 0..dimensions {
            let size = self.count()?;
            if dimension == 0 {
                row = size;
            }
            elements = elements.saturating_mul(size);
        }
        let kind = self.source.u32()?;
        let offset = self.source.u64()?;
        if !offset.is_multiple_of(self.alignment) {
            return damaged(format!(
                "a tensor begins at byte {offset}, between two places"
            ));
        }
        // A type that is newer than the table is taken at its offset.
        let Some((block, bytes)) = block(kind) else {
            return Ok(offset);
        };
        if !row.is_multiple_of(block) {
            return damaged(format!("a row of {row} does not fit blocks of {block}"));
        }
        Ok(offset.saturating_add((elements / block).saturating_mul(bytes)))
    }

    /// The data must be there up to `end`.
    fn data(&self, end: u64) -> Result<(), Problem> {
        let start = self.source.position().next_multiple_of(self.alignment);
        let (need, has) = (start.saturating_add(end), self.source.length());
        if end > 0 && need > has {
            return damaged(format!(
                "its tensors end at byte {need}, and the file at {has}"
            ));
        }
        Ok(())
    }
}

/// Bytes of a value of fixed size.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Elements and bytes of a block of the tensor type, from `ggml.h`. Q8_1 (9) is left out: it is never
/// stored, and its size is not the same everywhere.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        39 => (32, 17),
        40 => (64, 36),
        41 => (128, 18),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        _ => return None,
    })
}
