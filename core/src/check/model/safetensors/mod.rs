//! safetensors: an 8-byte length, a JSON header, then the tensors' bytes without a gap.
//!
//! The `safetensors` crate was rejected: it wants the whole file as one slice, that is, either in
//! memory or mapped (which is unsafe, and ends the process when the file shrinks). Here the header
//! is parsed as a stream and a few numbers a tensor are kept. The rules are the format's own, as
//! its documentation and that crate's 0.8 have them: a header of at most 100 MB that begins with a
//! brace, no name twice, known types, metadata of texts, offsets that tile the data exactly, sizes
//! that fit shape and type.

mod header;
mod words;

use super::problem::{Problem, damaged};
use super::source::Source;
use header::Header;
use words::Words;

/// The format's own bound for its header.
const HEADER_LIMIT: u64 = 100_000_000;

/// Checks header and offsets; answers how many tensors there are.
pub(super) fn check(source: &mut Source<'_>) -> Result<usize, Problem> {
    let size = source.u64()?;
    if size > HEADER_LIMIT || size > source.left() {
        return damaged(format!(
            "the header claims {size} bytes, and the file has {} left",
            source.left()
        ));
    }
    let data = source.left() - size;
    let words = Words::new(source.take(size));
    let Header {
        mut names,
        mut spans,
    } = serde_json::from_reader(words).map_err(json_problem)?;
    names.sort_unstable();
    if names.windows(2).any(|two| two[0] == two[1]) {
        return damaged("two tensors have the same name");
    }
    tiles(&mut spans, data)?;
    Ok(spans.len())
}

/// The tensors lie one after the other and fill the data.
fn tiles(spans: &mut [(u64, u64)], data: u64) -> Result<(), Problem> {
    spans.sort_unstable();
    let mut end = 0;
    for (from, to) in spans {
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
    Ok(())
}

fn json_problem(error: serde_json::Error) -> Problem {
    match error.io_error_kind() {
        None | Some(std::io::ErrorKind::InvalidData) => {
            Problem::Damaged(format!("the header is no safetensors header: {error}"))
        }
        Some(_) => Problem::Read(error.into()),
    }
}
