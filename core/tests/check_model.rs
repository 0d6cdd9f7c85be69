//! Model containers: intact, cut off, changed, and of another format than declared.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod check_samples;

use check_samples::{self as samples, Folder, check_model, codes, fine, only, sha256};
use plugward_core::Code;
use plugward_core::check::ModelNeed;

/// One intact sample of each format.
fn intact() -> [(&'static str, Vec<u8>, &'static str); 5] {
    [
        (
            "m.pt",
            samples::torchscript(),
            "TorchScript with 6 files, checksums verified",
        ),
        (
            "w.pth",
            samples::torch_save(),
            "torch archive with 3 files, checksums verified",
        ),
        (
            "m.safetensors",
            samples::safetensors(),
            "safetensors with 2 tensors",
        ),
        ("m.onnx", samples::onnx(), "ONNX with 2 nodes"),
        ("m.gguf", samples::gguf(), "GGUF version 3 with 2 tensors"),
    ]
}

#[test]
fn intact_models_are_fine_and_say_what_they_are() {
    let folder = Folder::in_memory();
    for (name, bytes, word) in intact() {
        let mut need = folder.file(name, &bytes);
        fine(&check_model(&need), word);
        need.sha256 = Some(sha256(&bytes).to_uppercase());
        fine(&check_model(&need), "sha256 as pinned");
    }
    fine(
        &check_model(&folder.file("m.engine", b"\x01\x02\x03")),
        "not looked into",
    );
    let zip = samples::zip(&[("notes/a.bin", b"\x00a", true)]);
    fine(
        &check_model(&folder.file("m.bin", &zip)),
        "zip archive with 1 files",
    );
    fine(
        &check_model(&folder.file("m.bin", &samples::torchscript())),
        "TorchScript",
    );
    let pickle = folder.file("old.pt", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9");
    fine(&check_model(&pickle), "old format");
}

#[test]
fn every_truncation_is_damage() {
    let folder = Folder::in_memory();
    for (name, bytes, _) in intact() {
        for length in 1..bytes.len() {
            let findings = check_model(&folder.file(name, &bytes[..length]));
            let found = codes(&findings);
            // What is left of a file may be text.
            let fits = found == [Code::ModelCorrupt] || found == [Code::ModelPlaceholder];
            assert!(
                fits,
                "{name} cut to {length} of {}: {findings:?}",
                bytes.len()
            );
        }
    }
}

/// libtorch loads such files and answers wrongly; here every bit of every record counts, but for
/// the few of a deflated record that change nothing of what it unfolds to.
#[test]
fn a_flipped_bit_in_a_torchscript_record_is_damage() {
    let folder = Folder::in_memory();
    let bytes = samples::torchscript();
    let records = samples::records(&bytes);
    assert_eq!(records.len(), 6);
    let deflated = records[1].clone();
    let plain = samples::inflated(&bytes[deflated.clone()]);
    for record in records {
        for bit in record.start * 8..record.end * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let same = record == deflated && samples::inflated(&changed[record.clone()]) == plain;
            let expected: &[Code] = if same { &[] } else { &[Code::ModelCorrupt] };
            let findings = check_model(&folder.file("m.pt", &changed));
            assert_eq!(codes(&findings), expected, "bit {bit}: {findings:?}");
        }
    }
}

#[test]
fn no_changed_byte_ends_the_check_badly() {
    let folder = Folder::in_memory();
    for (name, bytes, _) in intact() {
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] = if place % 2 == 0 { 0xff } else { 0x00 };
            let findings = check_model(&folder.file(name, &changed));
            for code in [Code::RuntimeInternal, Code::ModelTimeout] {
                assert_ne!(
                    findings[0].code,
                    Some(code),
                    "{name} at {place}: {findings:?}"
                );
            }
        }
    }
}

#[test]
fn another_format_than_declared() {
    let folder = Folder::in_memory();
    let declared = |need: ModelNeed, format: &str| {
        check_model(&ModelNeed {
            format: Some(format.into()),
            ..need
        })
    };
    let saved = folder.file("w.pt", &samples::torch_save());
    only(
        &declared(saved, "torchscript"),
        Code::ModelFormat,
        "torch.jit.save",
    );
    let pickle = folder.file("p.pt", b"\x80\x02\x8a");
    only(
        &declared(pickle, "torchscript"),
        Code::ModelFormat,
        "pickle",
    );
    let other = folder.file("z.pt", &samples::zip(&[("notes/a.bin", b"\x00a", false)]));
    only(
        &declared(other, "torchscript"),
        Code::ModelFormat,
        "none of torch",
    );
    let gguf = folder.file("g.pt", &samples::gguf());
    only(
        &declared(gguf, "torchscript"),
        Code::ModelCorrupt,
        "no file of torch",
    );
    fine(
        &declared(folder.file("m.bin", &samples::gguf()), "gguf"),
        "GGUF",
    );
    fine(
        &declared(folder.file("m.xyz", b"\x01"), "tensorrt"),
        "not looked into",
    );
}

#[test]
fn safetensors_whose_offsets_lie() {
    let folder = Folder::in_memory();
    for (header, word) in [
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            "does not fit",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            "begins at byte 4",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
            "need 4 bytes",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
            "backwards",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#,
            "too large",
        ),
        (r#"[1, 2]"#, "no safetensors header"),
        (r#"{"a":{"dtype":"F32"}}"#, "missing field"),
        (
            r#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,8]}}"#,
            "does not exist",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
                "a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
            "the same name",
        ),
        (
            r#"{"__metadata__":{"format":1},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#,
            "a text",
        ),
        (
            r#"{"__metadata__":["pt"],"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#,
            "a map of texts",
        ),
        (
            r#" {"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#,
            "begin with a brace",
        ),
    ] {
        let bytes = samples::safetensors_with(header, &[0; 8]);
        only(
            &check_model(&folder.file("m.safetensors", &bytes)),
            Code::ModelCorrupt,
            word,
        );
    }
}

/// libtorch would read beyond the record; the pickle's own numbers tell.
#[test]
fn a_record_that_is_shorter_than_its_tensor_is_damage() {
    let folder = Folder::in_memory();
    let pickle = b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x10tQ.";
    for (name, place) in [
        ("m/data.pkl", "m/data/0"),
        ("m/constants.pkl", "m/constants/0"),
    ] {
        for (length, whole) in [(64, true), (80, true), (63, false), (0, false)] {
            let record = vec![0x3f; length];
            let other = match name {
                "m/data.pkl" => "m/constants.pkl",
                _ => "m/data.pkl",
            };
            let bytes = samples::zip(&[
                (name, pickle, false),
                (other, b"\x80\x02}.", false),
                (place, &record, false),
            ]);
            let findings = check_model(&folder.file("m.pt", &bytes));
            if whole {
                assert_eq!(codes(&findings), [], "{findings:?}");
            } else {
                only(&findings, Code::ModelCorrupt, "its tensor needs 64");
            }
        }
    }
}

#[test]
fn a_torchscript_model_without_a_pin_is_told_so() {
    let folder = Folder::in_memory();
    let mut need = folder.file("m.pt", &samples::torchscript());
    fine(&check_model(&need), "pin its sha256");
    need.sha256 = Some(sha256(&samples::torchscript()));
    let findings = check_model(&need);
    assert!(!findings[0].message.contains("pin its"), "{findings:?}");
}
