//! ONNX: a protobuf message without magic, so its plausibility is looked at: the fields of
//! `ModelProto` and, one level down, of `GraphProto` have the wire types that `onnx.proto` gives
//! them, every length stays inside its message, and version, graph and operator set are there.
//! A full protobuf parser was rejected: it would load the weights to find a wrong length.

use super::problem::{Problem, damaged};
use super::source::Source;
use super::tensors::{Files, Message, walk};

pub(super) const VARINT: u64 = 0;
const FIXED64: u64 = 1;
pub(super) const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// `ModelProto`: field number and wire type.
const MODEL: &[(u64, u64)] = &[
    (1, VARINT), // ir_version
    (2, BYTES),
    (3, BYTES),
    (4, BYTES),
    (5, VARINT),
    (6, BYTES),
    (7, BYTES), // graph
    (8, BYTES), // opset_import
    (14, BYTES),
    (20, BYTES),
    (25, BYTES),
    (26, BYTES),
];
/// `GraphProto`: node, name, initializer, sparse_initializer, doc, input, output, value_info, ...
const GRAPH: &[(u64, u64)] = &[
    (1, BYTES),
    (2, BYTES),
    (5, BYTES),
    (10, BYTES),
    (11, BYTES),
    (12, BYTES),
    (13, BYTES),
    (14, BYTES),
    (15, BYTES),
    (16, BYTES),
];
const IR_VERSION: u64 = 1;
const GRAPH_FIELD: u64 = 7;
const OPSET: u64 = 8;
const FUNCTION: u64 = 25;
/// From this version on a model must name its operator set.
const OPSET_SINCE: u64 = 3;
/// No version of the format is anywhere near this.
const IR_LIMIT: u64 = 1000;

/// What a model holds.
pub(super) struct Model {
    /// How many nodes its graph has.
    pub(super) nodes: u64,
    /// Where weights lie that are not in the model's own file.
    pub(super) files: Files,
}

/// Checks the message.
pub(super) fn check(source: &mut Source<'_>) -> Result<Model, Problem> {
    let (mut version, mut nodes, mut opset) = (None, None, false);
    let mut files = Files::new();
    while source.left() > 0 {
        let (field, wire) = key(source, MODEL)?;
        match field {
            IR_VERSION => version = Some(varint(source)?),
            GRAPH_FIELD => nodes = Some(graph(source, &mut files)?),
            FUNCTION | OPSET => {
                let end = whole(source, "a part of the model")?;
                let message = match field {
                    FUNCTION => Message::Function,
                    _ => Message::Opset,
                };
                walk(source, message, end, 1, &mut files)?;
            }
            _ => pass(source, wire)?,
        }
        opset |= field == OPSET;
    }
    let Some(version) = version.filter(|version| (1..IR_LIMIT).contains(version)) else {
        return damaged("it names no version of ONNX");
    };
    let Some(nodes) = nodes else {
        return damaged("it has no graph");
    };
    if version >= OPSET_SINCE && !opset {
        return damaged("it names no operator set: the file is cut off");
    }
    Ok(Model { nodes, files })
}

/// Walks the graph's fields; answers how many nodes there are.
fn graph(source: &mut Source<'_>, files: &mut Files) -> Result<u64, Problem> {
    let end = whole(source, "the graph")?;
    let mut nodes = 0;
    while source.position() < end {
        let (field, wire) = key(source, GRAPH)?;
        let child = match field {
            1 => Some(Message::Node),
            5 => Some(Message::Tensor),
            15 => Some(Message::Sparse),
            _ => None,
        };
        match child {
            Some(child) => {
                let inner = whole(source, "a part of the graph")?;
                walk(source, child, inner, 1, files)?;
            }
            None => pass(source, wire)?,
        }
        nodes += u64::from(field == 1);
    }
    if source.position() != end {
        return damaged("a part of the graph reaches beyond its end");
    }
    Ok(nodes)
}

/// Where the message ends whose length is next.
fn whole(source: &mut Source<'_>, what: &str) -> Result<u64, Problem> {
    let (size, left) = (varint(source)?, source.left());
    if size > left {
        return damaged(format!(
            "{what} claims {size} bytes, and the file has {left} left"
        ));
    }
    Ok(source.position() + size)
}

/// The next field's number and wire type, which must be the known one where the field is known.
pub(super) fn key(source: &mut Source<'_>, known: &[(u64, u64)]) -> Result<(u64, u64), Problem> {
    let at = source.position();
    let key = varint(source)?;
    let (field, wire) = (key >> 3, key & 7);
    let fits = match known.iter().find(|(number, _)| *number == field) {
        Some((_, expected)) => *expected == wire,
        None => field > 0 && field < 1 << 29 && [VARINT, FIXED64, BYTES, FIXED32].contains(&wire),
    };
    if fits {
        Ok((field, wire))
    } else {
        damaged(format!("byte {at} begins no field of ONNX"))
    }
}

pub(super) fn pass(source: &mut Source<'_>, wire: u64) -> Result<(), Problem> {
    match wire {
        VARINT => varint(source).map(drop),
        FIXED64 => source.skip(8, "a number"),
        FIXED32 => source.skip(4, "a number"),
        _ => {
            let size = varint(source)?;
            source.skip(size, "a field")
        }
    }
}

pub(super) fn varint(source: &mut Source<'_>) -> Result<u64, Problem> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = source.u8()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    damaged(format!(
        "a number before byte {} never ends",
        source.position()
    ))
}
