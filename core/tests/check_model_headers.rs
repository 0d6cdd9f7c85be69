//! Headers of GGUF, safetensors and ONNX that are well formed and say what cannot be.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod check_samples;

use check_samples::{
    self as samples, Folder, check_model, field, fine, forget_peak_memory, only, onnx_with,
    peak_memory_kb,
};
use plugward_core::Code;
use plugward_core::check::Finding;

/// A tensor: shape, type, offset.
type Tensor<'a> = (&'a [u64], u32, u64);

/// A GGUF file with an alignment, tensors and so many bytes of data.
fn gguf(alignment: u32, tensors: &[Tensor<'_>], data: usize) -> Vec<u8> {
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    };
    let mut out = b"GGUF\x03\x00\x00\x00".to_vec();
    out.extend(
        [tensors.len() as u64, 1]
            .iter()
            .flat_map(|n| n.to_le_bytes()),
    );
    text(&mut out, "general.alignment");
    out.extend([4, alignment].iter().flat_map(|n| n.to_le_bytes()));
    for (number, (shape, kind, offset)) in tensors.iter().enumerate() {
        text(&mut out, &format!("t{number}"));
        out.extend(u32::try_from(shape.len()).unwrap().to_le_bytes());
        out.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
        out.extend(kind.to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    let fill = usize::try_from(alignment.next_power_of_two()).unwrap();
    out.resize(out.len().next_multiple_of(fill), 0);
    out.resize(out.len() + data, 1);
    out
}

fn check(name: &str, bytes: &[u8]) -> Vec<Finding> {
    let folder = Folder::in_memory();
    check_model(&folder.file(name, bytes))
}

/// Two tensors of F32: 24 bytes, filled up to 32, and 16.
const TWO: [Tensor<'_>; 2] = [(&[3, 2], 0, 0), (&[4], 0, 32)];

#[test]
fn gguf_that_is_sound() {
    for data in 48..=64 {
        fine(&check("m.gguf", &gguf(32, &TWO, data)), "2 tensors");
    }
    for alignment in [1, 2, 8, 16, 4096] {
        fine(
            &check("m.gguf", &gguf(alignment, &[(&[4], 0, 0)], 16)),
            "1 tensors",
        );
    }
    fine(&check("m.gguf", &gguf(32, &[(&[], 0, 0)], 4)), "1 tensors");
    fine(&check("m.gguf", &gguf(32, &[], 0)), "0 tensors");
    // A type that this table does not know yet, and one behind it.
    let newer = [(&[4][..], 50, 0), (&[4], 0, 96)];
    fine(&check("m.gguf", &gguf(32, &newer, 112)), "2 tensors");
}

#[test]
fn gguf_whose_tensors_do_not_lie_one_after_the_other() {
    for (alignment, tensors, data, word) in [
        (
            32,
            [(&[3, 2][..], 0, 0), (&[4][..], 0, 64)],
            80,
            "not at 32",
        ),
        (32, [(&[3, 2], 0, 0), (&[4], 0, 0)], 48, "not at 32"),
        (32, [(&[3, 2], 0, 32), (&[4], 0, 64)], 80, "not at 0"),
        (32, [(&[3, 2], 0, 0), (&[4], 0, 32)], 47, "end at byte"),
        (32, [(&[3, 2], 0, 0), (&[4], 0, 32)], 65, "goes on to"),
        (24, [(&[3, 2], 0, 0), (&[4], 0, 32)], 48, "alignment of 24"),
        (0, [(&[3, 2], 0, 0), (&[4], 0, 32)], 48, "alignment of 0"),
        (
            32,
            [(&[3, 2], 4, 0), (&[4], 0, 32)],
            48,
            "type 4 does not exist",
        ),
        (
            32,
            [(&[3, 2], 9999, 0), (&[4], 0, 32)],
            48,
            "type 9999 does not exist",
        ),
        (
            32,
            [(&[1, 1, 1, 1, 1], 0, 0), (&[4], 0, 32)],
            48,
            "5 dimensions",
        ),
        (
            32,
            [(&[u64::MAX, 2], 0, 0), (&[4], 0, 32)],
            48,
            "larger than every file",
        ),
        (
            32,
            [(&[3, 2], 50, 0), (&[4], 0, 33)],
            80,
            "begins at byte 33",
        ),
    ] {
        let bytes = gguf(alignment, &tensors, data);
        only(&check("m.gguf", &bytes), Code::ModelCorrupt, word);
    }
}

/// One tensor with 4 million sizes, one word of 30 MB, 50,000 tensors.
#[test]
fn a_greedy_safetensors_header_needs_little_memory() {
    let folder = Folder::new();
    let shape = format!(
        "{{\"a\":{{\"dtype\":\"U8\",\"shape\":[{}1]",
        "1,".repeat(4_000_000)
    );
    let word = format!("{{\"{}", "a".repeat(30_000_000));
    let tensors: String = (0..50_000)
        .map(|n| format!("\"{n}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}},"))
        .collect();
    let headers = [shape, word, format!("{{{tensors}")];
    let needs: Vec<_> = headers
        .iter()
        .enumerate()
        .map(|(number, header)| {
            let bytes = samples::safetensors_with(header, &[]);
            folder.file(&format!("{number}.safetensors"), &bytes)
        })
        .collect();
    drop(headers);
    forget_peak_memory();
    let before = peak_memory_kb();
    for need in &needs {
        only(
            &check_model(need),
            Code::ModelCorrupt,
            "no safetensors header",
        );
    }
    let more = peak_memory_kb().saturating_sub(before);
    assert!(more < 24 << 10, "{more} kB");
}

#[test]
fn an_onnx_weight_that_does_not_fit_its_shape() {
    let weight = |dimension: u8, kind: u8, bytes: usize| {
        let raw = field(9, &vec![0; bytes]);
        check(
            "m.onnx",
            &onnx_with(&[field(5, &[vec![8, dimension, 16, kind], raw].concat())]),
        )
    };
    fine(&weight(4, 1, 16), "ONNX");
    // Of a type of half a byte the size is not known here.
    fine(&weight(4, 22, 2), "ONNX");
    for bytes in [0, 15, 17] {
        only(
            &weight(4, 1, bytes),
            Code::ModelCorrupt,
            "its shape needs 16",
        );
    }
}
