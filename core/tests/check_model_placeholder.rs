//! What stands in the place of a model, whatever its name says.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod check_samples;

use check_samples::{self as samples, Folder, check_model, fine, only};
use plugward_core::Code;
use plugward_core::check::ModelNeed;

/// Formats that are looked into, and those that are not.
const NAMES: [&str; 12] = [
    "m.pt",
    "m.onnx",
    "m.gguf",
    "m.safetensors",
    "m.bin",
    "m.engine",
    "m.weights",
    "m.ckpt",
    "m.pkl",
    "m.tflite",
    "m.h5",
    "anything",
];
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

#[test]
fn placeholders_are_named_for_every_format() {
    let folder = Folder::in_memory();
    for name in NAMES {
        for (text, word) in [
            (POINTER, "git-lfs pointer to a file of 12345 bytes"),
            ("TODO: put the model here\n", "TODO: put the model"),
            ("<!DOCTYPE html><html>404</html>", "web page"),
            ("\u{feff}<html>", "web page"),
            ("  \n\n", "blank"),
            ("{\"error\": \"not found\"}", "error"),
        ] {
            let findings = check_model(&folder.file(name, text.as_bytes()));
            only(&findings, Code::ModelPlaceholder, word);
        }
        for length in [1, 8, 5000, 3 << 20] {
            let findings = check_model(&folder.file(name, &vec![0; length]));
            assert!(!findings[0].ok, "{name} of {length} zeros: {findings:?}");
        }
    }
    let zeros = check_model(&folder.file("m.engine", &[0; 5000]));
    only(&zeros, Code::ModelCorrupt, "never arrived");
    let zeros = check_model(&folder.file("m.pt", &[0; 5000]));
    only(&zeros, Code::ModelCorrupt, "never arrived");
}

/// The look at the first bytes may end within a letter.
#[test]
fn text_that_is_cut_within_a_letter_is_still_text() {
    let folder = Folder::in_memory();
    for shift in 0..4 {
        let text = format!("{}{}", "x".repeat(shift), "\u{1f600}".repeat(500));
        let findings = check_model(&folder.file("m.bin", text.as_bytes()));
        only(&findings, Code::ModelPlaceholder, "holds text");
    }
    // At the end of a file half a letter is none.
    fine(
        &check_model(&folder.file("m.bin", b"abc\xf0\x9f\x98")),
        "not looked into",
    );
}

#[test]
fn formats_of_text_may_hold_text() {
    let folder = Folder::in_memory();
    for (name, text) in [
        ("labels.txt", "ball\nplayer\n"),
        ("net.xml", "<?xml version=\"1.0\"?><net/>"),
        ("trees.model", "tree\nversion=v4\n"),
        ("trees.json", "{\"learner\": {}}"),
        ("yolo.cfg", "[net]\nbatch=1\n"),
    ] {
        fine(
            &check_model(&folder.file(name, text.as_bytes())),
            "not looked into",
        );
        only(
            &check_model(&folder.file(name, POINTER.as_bytes())),
            Code::ModelPlaceholder,
            "git-lfs",
        );
        only(
            &check_model(&folder.file(name, b"<!doctype HTML><p>404")),
            Code::ModelPlaceholder,
            "web page",
        );
        let zeros = check_model(&folder.file(name, &[0; 5000]));
        only(&zeros, Code::ModelCorrupt, "never arrived");
    }
    let declared = ModelNeed {
        format: Some("text".into()),
        ..folder.file("labels", b"ball\nplayer\n")
    };
    fine(&check_model(&declared), "not looked into");
}

/// Weights may well begin with zeros.
#[test]
fn one_bit_that_is_set_is_content() {
    let folder = Folder::in_memory();
    for length in [1, 5000, 40 << 20, 300 << 20] {
        let mut bytes = vec![0; length];
        bytes[length - 1] = 1;
        fine(
            &check_model(&folder.file("m.weights", &bytes)),
            "not looked into",
        );
    }
}

#[test]
fn torch_behind_another_extension() {
    let folder = Folder::in_memory();
    let script = samples::torchscript();
    for name in ["m.bin", "m.ckpt", "m.pkl"] {
        fine(&check_model(&folder.file(name, &script)), "TorchScript");
        only(
            &check_model(&folder.file(name, &script[..script.len() - 1])),
            Code::ModelCorrupt,
            "",
        );
        let old = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
        fine(&check_model(&folder.file(name, old)), "old format");
        let other = folder.file(name, b"\x80\x04\x95\x02\0\0\0\0\0\0\0}.");
        fine(&check_model(&other), "a pickle, which has no checksums");
    }
}
