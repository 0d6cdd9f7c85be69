//! The weights of an ONNX model that lie in files of their own (`external_data`).
//!
//! A graph is walked down to its tensors: initializers, sparse ones, and those in the attributes of
//! nodes and of their subgraphs. What a tensor says of its place is collected, nothing is loaded.
//! Field numbers are those of `onnx.proto`; the rules for places are onnx's: relative to the
//! model's folder and not beyond it.

use super::format::lfs_pointer;
use super::onnx::{BYTES, VARINT, key, pass, varint};
use super::problem::{Problem, damaged};
use super::source::Source;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Component, Path};

/// How deep subgraphs are followed.
const DEPTH: u32 = 64;
/// How many files of weights a model may have here.
const FILES: usize = 4096;
/// The field of `TensorProto` that holds its bytes as they are.
const RAW: u64 = 9;
/// The longest word of a place.
const WORD: u64 = 4096;

/// A message that may hold tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// `GraphProto`
    Graph,
    /// `NodeProto`
    Node,
    /// `AttributeProto`
    Attribute,
    /// `SparseTensorProto`
    Sparse,
    /// `TensorProto`
    Tensor,
    /// `FunctionProto`
    Function,
    /// `OperatorSetIdProto`
    Opset,
}

impl Message {
    /// What one of its fields is, where that is of interest.
    fn child(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => {
                Some(Self::Tensor)
            }
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::Sparse),
            (Self::Node, 5) => Some(Self::Attribute),
            (Self::Attribute, 6 | 11) => Some(Self::Graph),
            _ => None,
        }
    }
}

/// Files of weights by their place, and how long each must be at least.
pub(super) type Files = BTreeMap<String, u64>;

/// Walks a message that begins here and ends at `end`.
pub(super) fn walk(
    source: &mut Source<'_>,
    message: Message,
    end: u64,
    depth: u32,
    files: &mut Files,
) -> Result<(), Problem> {
    if message == Message::Tensor {
        return tensor(source, end, files);
    }
    while source.position() < end {
        let (field, wire) = key(source, &[])?;
        match message
            .child(field)
            .filter(|_| wire == BYTES && depth < DEPTH)
        {
            Some(child) => {
                let inner = inside(source, end)?;
                walk(source, child, inner, depth + 1, files)?;
            }
            None => pass(source, wire)?,
        }
    }
    at_end(source, end)
}

/// The end of the message whose length is next; inside of `end`.
fn inside(source: &mut Source<'_>, end: u64) -> Result<u64, Problem> {
    let size = varint(source)?;
    let at = source.position();
    match at.checked_add(size).filter(|inner| *inner <= end) {
        Some(inner) => Ok(inner),
        None => damaged(format!(
            "a part at byte {at} claims {size} bytes, beyond its whole"
        )),
    }
}

fn at_end(source: &Source<'_>, end: u64) -> Result<(), Problem> {
    match source.position() == end {
        true => Ok(()),
        false => damaged("a part of the graph reaches beyond its end"),
    }
}

/// Where a tensor's bytes lie, as far as it says.
#[derive(Default)]
struct Place {
    external: bool,
    /// How many bytes it holds itself, in the field for that.
    raw: Option<u64>,
    location: Option<String>,
    offset: u64,
    length: Option<u64>,
    elements: Option<u64>,
    bytes_each: Option<u64>,
}

fn tensor(source: &mut Source<'_>, end: u64, files: &mut Files) -> Result<(), Problem> {
    let mut place = Place {
        elements: Some(1),
        ..Place::default()
    };
    while source.position() < end {
        match key(source, &[])? {
            (1, VARINT) => place.dimension(varint(source)?),
            (1, BYTES) => {
                let inner = inside(source, end)?;
                while source.position() < inner {
                    place.dimension(varint(source)?);
                }
                at_end(source, inner)?;
            }
            (2, VARINT) => place.bytes_each = bytes_each(varint(source)?),
            (RAW, BYTES) => {
                let inner = inside(source, end)?;
                place.raw = Some(inner - source.position());
                source.skip(inner - source.position(), "a tensor's bytes")?;
            }
            (13, BYTES) => {
                let inner = inside(source, end)?;
                place.entry(source, inner)?;
            }
            (14, VARINT) => place.external = varint(source)? == 1,
            (_, wire) => pass(source, wire)?,
        }
    }
    at_end(source, end)?;
    place.whole()?;
    if place.external {
        place.remember(files)?;
    }
    Ok(())
}

impl Place {
    /// Bytes that lie in the tensor itself are as many as its shape and type need.
    fn whole(&self) -> Result<(), Problem> {
        let needed = self.elements.zip(self.bytes_each);
        match (self.raw, needed.and_then(|(n, each)| n.checked_mul(each))) {
            (Some(has), Some(need)) if has != need => damaged(format!(
                "a tensor holds {has} bytes, and its shape needs {need}"
            )),
            _ => Ok(()),
        }
    }

    fn dimension(&mut self, size: u64) {
        self.elements = self.elements.and_then(|n| n.checked_mul(size));
    }

    /// One `StringStringEntryProto`: key and value.
    fn entry(&mut self, source: &mut Source<'_>, end: u64) -> Result<(), Problem> {
        let (mut name, mut value) = (String::new(), String::new());
        while source.position() < end {
            match key(source, &[])? {
                (1, BYTES) => name = word(source, end)?,
                (2, BYTES) => value = word(source, end)?,
                (_, wire) => pass(source, wire)?,
            }
        }
        at_end(source, end)?;
        let number = || {
            let wrong = || Problem::Damaged(format!("{name} of external data is {value:?}"));
            value.parse::<u64>().map_err(|_| wrong())
        };
        match name.as_str() {
            "offset" => self.offset = number()?,
            "length" => self.length = Some(number()?),
            "location" => self.location = Some(value),
            _ => {}
        }
        Ok(())
    }

    fn remember(self, files: &mut Files) -> Result<(), Problem> {
        let Some(location) = self.location.filter(|l| !l.is_empty()) else {
            return damaged("a tensor lies in a file of its own and does not say in which");
        };
        let computed = || self.elements?.checked_mul(self.bytes_each?);
        let length = self.length.or_else(computed).unwrap_or(0);
        let Some(end) = self.offset.checked_add(length) else {
            return damaged(format!("a tensor in {location} ends beyond every file"));
        };
        let known = files.entry(location).or_default();
        *known = end.max(*known);
        match files.len() <= FILES {
            true => Ok(()),
            false => damaged(format!(
                "its weights claim to lie in more than {FILES} files"
            )),
        }
    }
}

fn word(source: &mut Source<'_>, end: u64) -> Result<String, Problem> {
    let inner = inside(source, end)?;
    let size = inner - source.position();
    if size > WORD {
        return damaged(format!("a word of external data has {size} bytes"));
    }
    let mut text = Vec::new();
    for _ in 0..size {
        text.push(source.u8()?);
    }
    String::from_utf8(text).or_else(|_| damaged("a word of external data is no text"))
}

/// `TensorProto.DataType`; none for those whose elements are no whole bytes, or unknown.
fn bytes_each(kind: u64) -> Option<u64> {
    match kind {
        2 | 3 | 9 | 17..=20 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 | 14 => Some(8),
        15 => Some(16),
        _ => None,
    }
}

/// Looks at every file of weights of the model at `model`; answers how many bytes they have.
pub(super) fn check(model: &Path, files: &Files, beat: impl Fn()) -> Result<u64, Problem> {
    let folder = model.parent().unwrap_or(Path::new(""));
    let mut sum = 0_u64;
    for (location, least) in files {
        sum = sum.saturating_add(one(folder, location, *least)?);
        beat();
    }
    Ok(sum)
}

fn one(folder: &Path, location: &str, least: u64) -> Result<u64, Problem> {
    let relative = Path::new(location);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !relative.components().all(plain) || location.contains('\0') {
        return damaged(format!(
            "its weights lie in {location:?}, outside of the model's folder"
        ));
    }
    let path = folder.join(relative);
    let told = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Problem::Missing(format!(
            "its weights lie in {}, which is missing",
            path.display()
        )),
        _ => Problem::Read(error),
    };
    // Links are followed wherever they lead: the hub caches of models consist of them.
    let metadata = std::fs::metadata(&path).map_err(told)?;
    if !metadata.is_file() {
        return damaged(format!(
            "its weights lie in {}, which is no file",
            path.display()
        ));
    }
    let length = metadata.len();
    if length < least {
        if let Some(pointer) = pointer(&path, length) {
            return Err(Problem::Placeholder(format!(
                "{}: {pointer}",
                path.display()
            )));
        }
        return damaged(format!(
            "its weights need {least} bytes of {}, which has {length}",
            path.display()
        ));
    }
    File::open(&path).map_err(Problem::Read)?;
    Ok(length)
}

/// Whether a short file is a placeholder of git-lfs.
fn pointer(path: &Path, length: u64) -> Option<String> {
    let mut head = Vec::new();
    let file = File::open(path).ok()?;
    file.take(1024).read_to_end(&mut head).ok()?;
    lfs_pointer(std::str::from_utf8(&head).ok()?, length)
}
