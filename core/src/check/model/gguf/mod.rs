//! GGUF: magic, version, key-value pairs, tensor descriptions, then the tensors' bytes.
//!
//! The descriptions are walked, each tensor must begin where the one before it ends, and the end of
//! the last is compared with the file's length, because a download that broke off has a perfect
//! beginning. The rules are those of the GGUF specification and of `gguf.cpp`. There is no light
//! crate that checks without reading the values.

mod block;
mod layout;

use super::problem::{Problem, damaged};
use super::source::Source;
use layout::Layout;

/// No header of a real model comes near this; a walk through a crafted one must end.
const HEADER_LIMIT: u64 = 128 << 20;
/// The longest name that the specification allows.
const LONGEST: u64 = 65_535;
const BOOL: u32 = 7;
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
        layout: Layout::default(),
    };
    let tensors = walk.count()?;
    let pairs = walk.count()?;
    for _ in 0..pairs {
        walk.pair()?;
    }
    for _ in 0..tensors {
        walk.tensor()?;
    }
    walk.layout
        .end(walk.source.position(), walk.source.length())?;
    Ok(Gguf { version, tensors })
}

struct Walk<'a, 'b> {
    source: &'a mut Source<'b>,
    /// Whether counts have 64 bits (from version 2 on) or 32.
    wide: bool,
    layout: Layout,
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

    fn string(&mut self) -> Result<(), Problem> {
        let size = self.count()?;
        self.source.skip(size, "a text")
    }

    /// The name of a value or a tensor. None holds a zero byte: where one does, its length is wrong
    /// and it swallowed the numbers behind it.
    fn name(&mut self) -> Result<Vec<u8>, Problem> {
        let size = self.count()?;
        if size > LONGEST {
            return damaged(format!("a name claims {size} bytes"));
        }
        let mut name = Vec::new();
        for _ in 0..size {
            name.push(self.source.u8()?);
        }
        match name.contains(&0) {
            true => damaged("a name holds zero bytes"),
            false => Ok(name),
        }
    }

    /// One key with its value; only the alignment is kept.
    fn pair(&mut self) -> Result<(), Problem> {
        let key = self.name()?;
        if key.is_empty() {
            return damaged("a value has no name");
        }
        let is_alignment = key == b"general.alignment";
        let kind = self.source.u32()?;
        match (is_alignment, kind) {
            (true, UINT32) => self.layout.align(self.source.u32()?),
            (true, _) => damaged(format!("its alignment has value type {kind}")),
            (false, _) => self.value(kind, 0),
        }
    }

    fn value(&mut self, kind: u32, depth: u32) -> Result<(), Problem> {
        match (kind, width(kind)) {
            (BOOL, _) => match self.source.u8()? {
                0 | 1 => Ok(()),
                other => damaged(format!("a truth value is {other}")),
            },
            (_, Some(width)) => self.source.skip(width, "a value"),
            (STRING, _) => self.string(),
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

    /// One tensor's description.
    fn tensor(&mut self) -> Result<(), Problem> {
        self.name()?;
        let dimensions = self.source.u32()?;
        if dimensions > layout::DIMENSIONS {
            return damaged(format!("a tensor has {dimensions} dimensions"));
        }
        let mut shape = [1; layout::DIMENSIONS as usize];
        for size in shape.iter_mut().take(dimensions as usize) {
            *size = self.count()?;
        }
        let kind = self.source.u32()?;
        let offset = self.source.u64()?;
        self.layout.tensor(&shape, kind, offset)
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
