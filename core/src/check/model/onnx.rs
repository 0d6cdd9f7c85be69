//! ONNX: a protobuf message without magic, so its plausibility is looked at: the fields of
//! `ModelProto` and, one level down, of `GraphProto` have the wire types that `onnx.proto` gives
//! them, every length stays inside its message, and version, graph and operator set are there.
//! A full protobuf parser was rejected: it would load the weights to find a wrong length.

use super::problem::{Problem, damaged};
use super::source::Source;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
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
/// From this version on a model must name its operator set.
const OPSET_SINCE: u64 = 3;
/// No version of the format is anywhere near this.
const IR_LIMIT: u64 = 1000;

/// Checks the message; answers how many nodes the graph has.
pub(super) fn check(source: &mut Source<'_>) -> Result<u64, Problem> {
    let (mut version, mut nodes, mut opset) = (None, None, false);
    while source.left() > 0 {
        let (field, wire) = key(source, MODEL)?;
        match field {
            IR_VERSION => version = Some(varint(source)?),
            GRAPH_FIELD => nodes = Some(graph(source)?),
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
    Ok(nodes)
}

/// Walks the graph's fields; answers how many nodes there are.
fn graph(source: &mut Source<'_>) -> Result<u64, Problem> {
    let size = varint(source)?;
    if size > source.left() {
        let left = source.left();
        return damaged(format!(
            "the graph claims {size} bytes, and the file has {left} left"
        ));
    }
    let end = source.position() + size;
    let mut nodes = 0;
    while source.position() < end {
        let (field, wire) = key(source, GRAPH)?;
        pass(source, wire)?;
        nodes += u64::from(field == 1);
    }
    if source.position() != end {
        return damaged("a part of the graph reaches beyond its end");
    }
    Ok(nodes)
}

/// The next field's number and wire type, which must be the known one where the field is known.
fn key(source: &mut Source<'_>, known: &[(u64, u64)]) -> Result<(u64, u64), Problem> {
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

fn pass(source: &mut Source<'_>, wire: u64) -> Result<(), Problem> {
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

fn varint(source: &mut Source<'_>) -> Result<u64, Problem> {
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
