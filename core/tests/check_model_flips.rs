//! Every bit of every header, turned over once. A damaged header is noticed, but for the bits that
//! are listed here, each with the reason why nothing can or need be noticed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod check_samples;

use check_samples::{self as samples, Folder, TorchZip, check_model, torch_zip};
use plugward_core::Code;
use std::ops::Range;

/// Bytes, the bits of each that may pass, and why.
type Quiet = Vec<(Range<usize>, u8, &'static str)>;

/// Turns every bit of `header` over. What is not listed must be noticed, and what is listed must
/// pass somewhere, or it need not be listed.
fn every_bit(name: &str, bytes: &[u8], header: &[Range<usize>], quiet: &Quiet) {
    let folder = Folder::in_memory();
    assert!(check_model(&folder.file(name, bytes))[0].ok, "it is whole");
    let mut passed = vec![false; quiet.len()];
    let mut loud = Vec::new();
    for byte in header.iter().cloned().flatten() {
        for bit in 0..8 {
            let mut changed = bytes.to_vec();
            changed[byte] ^= 1 << bit;
            let findings = check_model(&folder.file(name, &changed));
            assert_ne!(
                findings[0].code,
                Some(Code::RuntimeInternal),
                "{findings:?}"
            );
            let listed = quiet
                .iter()
                .position(|(range, mask, _)| range.contains(&byte) && mask & 1 << bit != 0);
            match (findings[0].ok, listed) {
                (true, Some(listed)) => passed[listed] = true,
                (true, None) => loud.push((byte, bit)),
                (false, _) => {}
            }
        }
    }
    assert_eq!(loud, [], "{name}: (byte, bit) that was not noticed");
    for ((range, _, why), passed) in quiet.iter().zip(passed) {
        assert!(passed, "{name}: {range:?} need not be listed ({why})");
    }
}

/// Where these bytes stand, for the `nth` time.
fn at(bytes: &[u8], word: &[u8], nth: usize) -> Range<usize> {
    let mut places = bytes.windows(word.len()).enumerate();
    let place = places.by_ref().filter(|(_, found)| *found == word).nth(nth);
    let start = place.unwrap().0;
    start..start + word.len()
}

/// What lies between the records' contents.
fn around(content: &[Range<usize>], length: usize) -> Vec<Range<usize>> {
    let starts = std::iter::once(0).chain(content.iter().map(|range| range.end));
    let ends = content.iter().map(|range| range.start).chain([length]);
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

#[test]
fn an_archive_as_torch_writes_it() {
    let TorchZip {
        bytes,
        content,
        quiet,
    } = torch_zip(&[
        ("m/data.pkl", b"\x80\x02}.", false),
        ("m/data/0", &[1; 64], false),
        ("m/data/1", b"", false),
        ("m/a.py", &b"def forward(self, x):\n".repeat(9), true),
    ]);
    let quiet = quiet.into_iter().map(|(range, why)| (range, 0xff, why));
    every_bit(
        "m.pt",
        &bytes,
        &around(&content, bytes.len()),
        &quiet.collect(),
    );
}

#[test]
fn a_plain_archive() {
    let bytes = samples::torch_save();
    let records = samples::records(&bytes);
    let directory = at(&bytes, b"PK\x01\x02", 0).start;
    let mut quiet = Quiet::new();
    let (mut own, mut record) = (0, directory);
    for content in &records {
        quiet.push((own + 4..own + 6, 0xff, "the version that may read it"));
        quiet.push((own + 10..own + 14, 0xff, "a time stamp"));
        quiet.push((record + 4..record + 8, 0xff, "versions"));
        quiet.push((record + 12..record + 16, 0xff, "a time stamp"));
        quiet.push((
            record + 36..record + 42,
            0xff,
            "attributes of a file on a disk",
        ));
        record += 46 + content.start - own - 30;
        own = content.end;
    }
    every_bit("w.pth", &bytes, &around(&records, bytes.len()), &quiet);
}

#[test]
fn safetensors() {
    let bytes = samples::safetensors();
    let header = 0..bytes.len() - 32;
    let name = |word: &[u8]| {
        let place = at(&bytes, word, 0);
        place.start + 1..place.end - 1
    };
    let quiet = vec![
        (name(b"\"format\""), 0xff, "a word of metadata is free"),
        (name(b"\"pt\""), 0xff, "a word of metadata is free"),
        (name(b"\"a\""), 0xff, "another name is a name"),
        (name(b"\"b\""), 0xff, "another name is a name"),
    ];
    every_bit(
        "m.safetensors",
        &bytes,
        std::slice::from_ref(&header),
        &quiet,
    );
}

#[test]
fn gguf() {
    let bytes = samples::gguf();
    let word = |word: &[u8]| at(&bytes, word, 0);
    let after = |name: &[u8]| at(&bytes, name, 0).end;
    let a = after(b"\x01\0\0\0\0\0\0\0a");
    let b = after(b"\x01\0\0\0\0\0\0\0b");
    let scale = after(b"scale");
    let (key, value) = ("the name of a value", "a value");
    let size = "a size with which the tensor fills as many aligned places";
    let quiet = vec![
        (4..5, 0b1, "versions 2 and 3 have the same layout"),
        (word(b"general.architecture"), 0xff, key),
        (word(b"llama"), 0xff, value),
        (word(b"tokens"), 0xff, key),
        (word(b"<s>"), 0xff, value),
        (word(b"</s>"), 0xff, value),
        (word(b"scale"), 0xff, key),
        (
            scale..scale + 1,
            0b10,
            "a number of 32 bits is one, whole or not",
        ),
        (scale + 4..scale + 8, 0xff, value),
        (a - 1..a, 0xff, "the name of a tensor"),
        (b - 1..b, 0xff, "the name of a tensor"),
        (a + 4..a + 5, 0b11, size),
        (a + 12..a + 13, 0b1, size),
        (a + 20..a + 21, 0b1, size),
    ];
    every_bit("m.gguf", &bytes, std::slice::from_ref(&(0..b + 24)), &quiet);
}

/// A message of protobuf has no header, no checksum and no magic: numbers and texts are free, and a
/// field of another number is one that the reader does not know. What remains is the frame: the
/// lengths, the wire types, the fields that a model must have, and the size of its weights.
#[test]
fn onnx() {
    let bytes = samples::onnx();
    let weights = at(&bytes, &[0; 16], 0);
    let end = bytes.len();
    let (text, number, field) = (
        "a text",
        "a number",
        "the number of a field that may be absent",
    );
    let mut quiet = vec![
        (1..2, 0xff, number),
        (2..3, 0xf8, field),
        (4..8, 0xff, text),
        (end - 1..end, 0xff, number),
        (end - 2..end - 1, 0xf8, field),
    ];
    for nth in 0..2 {
        let relu = at(&bytes, b"Relu", nth);
        quiet.push((relu.start - 10..relu.start - 9, 0xf8, field));
        quiet.push((relu.start - 8..relu.start - 7, 0xf8, field));
        quiet.push((relu.start - 6..relu.start - 5, 0xff, text));
        quiet.push((relu.start - 5..relu.start - 4, 0xf8, field));
        quiet.push((relu.start - 3..relu.start - 2, 0xff, text));
        quiet.push((relu.start - 2..relu.start - 1, 0xf8, field));
        quiet.push((relu, 0xff, text));
    }
    let graph = at(&bytes, b"graph", 0);
    quiet.push((graph.start - 2..graph.start - 1, 0xf8, field));
    quiet.push((graph.clone(), 0xff, text));
    quiet.push((
        graph.end..weights.start,
        0xff,
        "the description of a weight",
    ));
    quiet.push((weights.end..weights.end + 1, 0xf8, field));
    quiet.push((weights.end + 2..weights.end + 3, 0xff, text));
    every_bit(
        "m.onnx",
        &bytes,
        &[0..weights.start, weights.end..end],
        &quiet,
    );
}
