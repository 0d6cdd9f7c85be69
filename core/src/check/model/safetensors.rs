//! safetensors: an 8-byte length, a JSON header, then the tensors' bytes without a gap.
//!
//! The `safetensors` crate was rejected: it wants the whole file as one slice, that is, either in
//! memory or mapped (which is unsafe, and ends the process when the file shrinks). Here the header
//! is parsed as a stream and two numbers a tensor are kept. The rules are the format's own: at
//! most 100 MB of header, offsets that tile the data exactly, sizes that fit shape and type.

use super::problem::{Problem, damaged};
use super::source::Source;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// The format's own bound for its header.
const HEADER_LIMIT: u64 = 100_000_000;

/// Checks header and offsets; answers how many tensors there are.
pub(super) fn check(source: &mut Source<'_>) -> Result<usize, Problem> {
    let header = source.u64()?;
    if header > HEADER_LIMIT || header > source.left() {
        return damaged(format!(
            "the header claims {header} bytes, and the file has {} left",
            source.left()
        ));
    }
    let data = source.left() - header;
    let Spans(mut spans) = serde_json::from_reader(source.take(header)).map_err(json_problem)?;
    spans.sort_unstable();
    let mut end = 0;
    for (from, to) in &spans {
        if *from != end {
            return damaged(format!(
                "a tensor begins at byte {from} of the data, not at {end}"
            ));
        }
        end = *to;
    }
    if end != data {
        return damaged(format!(
            "the tensors need {end} bytes, and the file has {data}"
        ));
    }
    Ok(spans.len())
}

fn json_problem(error: serde_json::Error) -> Problem {
    if error.is_io() {
        return Problem::Read(error.into());
    }
    Problem::Damaged(format!("the header is no safetensors header: {error}"))
}

/// Where each tensor's bytes begin and end.
struct Spans(Vec<(u64, u64)>);

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Tensor {
    fn span(&self) -> Result<(u64, u64), String> {
        let (from, to) = self.data_offsets;
        let size = to.checked_sub(from).ok_or("offsets run backwards")?;
        let mut elements = self.shape.iter().copied();
        let count = elements
            .try_fold(1, u64::checked_mul)
            .ok_or("the shape is too large")?;
        let Some(bits) = bits(&self.dtype) else {
            return Ok((from, to));
        };
        match count.checked_mul(bits) {
            Some(need) if need % 8 == 0 && need / 8 == size => Ok((from, to)),
            _ => Err(format!(
                "{} {:?} does not fit {size} bytes",
                self.dtype, self.shape
            )),
        }
    }
}

/// Bits of one element; `None` for a type that is newer than this list.
fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for Spans {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Header)
    }
}

struct Header;

impl<'de> Visitor<'de> for Header {
    type Value = Spans;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Spans, A::Error> {
        let mut spans = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let tensor: Tensor = map.next_value()?;
            spans.push(
                tensor
                    .span()
                    .map_err(|why| A::Error::custom(format!("{name}: {why}")))?,
            );
        }
        Ok(Spans(spans))
    }
}
