//! ONNX models whose weights lie in files of their own.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod check_samples;

use check_samples::{Folder, check_model, codes, field, fine, only, onnx_external, onnx_with};
use plugward_core::Code;
use plugward_core::check::{Finding, ModelNeed};
use std::fs::{self, File};

/// A model with one initializer of 24 bytes, which says this of its place.
fn model(folder: &Folder, entries: &[(&str, &str)]) -> ModelNeed {
    folder.file("m.onnx", &onnx_with(&[field(5, &onnx_external(entries))]))
}

fn check(folder: &Folder, entries: &[(&str, &str)]) -> Vec<Finding> {
    check_model(&model(folder, entries))
}

#[test]
fn weights_that_are_there() {
    let folder = Folder::new();
    fs::write(folder.path("w.bin"), [1; 24]).unwrap();
    fine(
        &check(&folder, &[("location", "w.bin")]),
        "24 bytes in 1 files",
    );
    fs::create_dir(folder.path("deep")).unwrap();
    fs::write(folder.path("deep/w.bin"), [1; 4096 + 24]).unwrap();
    let entries = [
        ("location", "./deep/w.bin"),
        ("offset", "4096"),
        ("length", "24"),
        ("checksum", "00"),
    ];
    fine(&check(&folder, &entries), "4120 bytes");
}

#[test]
fn weights_that_are_missing_or_cut_off_at_any_place() {
    let folder = Folder::new();
    let entries = [("location", "w.bin"), ("offset", "2048"), ("length", "24")];
    only(&check(&folder, &entries), Code::ModelMissing, "w.bin");
    for length in (0..2048 + 24).step_by(24) {
        fs::write(folder.path("w.bin"), vec![1; length]).unwrap();
        only(
            &check(&folder, &entries),
            Code::ModelCorrupt,
            &format!(
                "need 2072 bytes of {}, which has {length}",
                folder.path("w.bin").display()
            ),
        );
    }
    fs::write(folder.path("w.bin"), vec![1; 2072]).unwrap();
    fine(&check(&folder, &entries), "ONNX");
}

/// Where no length is given, shape and type tell it.
#[test]
fn the_length_follows_from_the_shape() {
    let folder = Folder::new();
    fs::write(folder.path("w.bin"), [1; 23]).unwrap();
    only(
        &check(&folder, &[("location", "w.bin")]),
        Code::ModelCorrupt,
        "need 24 bytes",
    );
}

#[test]
fn a_placeholder_of_git_lfs() {
    let folder = Folder::new();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9999\n";
    fs::write(folder.path("w.bin"), pointer).unwrap();
    let entries = [("location", "w.bin"), ("length", "9999")];
    only(&check(&folder, &entries), Code::ModelPlaceholder, "git-lfs");
}

#[test]
fn places_outside_of_the_folder_are_refused() {
    let folder = Folder::new();
    for place in ["/etc/passwd", "../w.bin", "a/../../w.bin", "..", "w\0.bin"] {
        only(
            &check(&folder, &[("location", place)]),
            Code::ModelCorrupt,
            "outside of the model's folder",
        );
    }
}

#[test]
fn what_is_no_file() {
    let folder = Folder::new();
    fs::create_dir(folder.path("w.bin")).unwrap();
    only(
        &check(&folder, &[("location", "w.bin")]),
        Code::ModelCorrupt,
        "no file",
    );
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    only(
        &check(&folder, &[("location", "pipe")]),
        Code::ModelCorrupt,
        "no file",
    );
}

#[test]
fn places_that_make_no_sense() {
    let folder = Folder::new();
    for (entries, word) in [
        (vec![], "does not say in which"),
        (vec![("location", "")], "does not say in which"),
        (
            vec![("location", "w"), ("offset", "-1")],
            "offset of external data",
        ),
        (
            vec![("location", "w"), ("length", "many")],
            "length of external data",
        ),
        (
            vec![
                ("location", "w"),
                ("offset", "18446744073709551615"),
                ("length", "9"),
            ],
            "beyond every file",
        ),
    ] {
        only(&check(&folder, &entries), Code::ModelCorrupt, word);
    }
    let long = "x".repeat(5000);
    only(
        &check(&folder, &[("location", &long)]),
        Code::ModelCorrupt,
        "has 5000 bytes",
    );
}

/// Attributes of nodes, their subgraphs, sparse weights: wherever onnx allows a tensor.
#[test]
fn tensors_deep_inside() {
    let folder = Folder::new();
    let tensor = onnx_external(&[("location", "gone.bin")]);
    let node = |attribute: Vec<u8>| field(1, &field(5, &attribute));
    let subgraph = node(field(6, &field(5, &tensor)));
    let places = [
        field(15, &field(1, &tensor)),
        node(field(5, &tensor)),
        node(field(10, &tensor)),
        node(field(22, &field(2, &tensor))),
        node(field(11, &subgraph)),
    ];
    for part in places {
        let need = folder.file("m.onnx", &onnx_with(&[part]));
        only(&check_model(&need), Code::ModelMissing, "gone.bin");
    }
}

#[test]
fn graphs_without_end_are_not_followed_for_ever() {
    let folder = Folder::new();
    let mut graph = field(5, &onnx_external(&[("location", "gone.bin")]));
    for _ in 0..3000 {
        graph = field(1, &field(5, &field(6, &graph)));
    }
    let need = folder.file("m.onnx", &onnx_with(&[graph]));
    fine(&check_model(&need), "ONNX with 1 nodes");
}

#[test]
fn a_huge_sparse_file_of_weights_takes_no_time() {
    let folder = Folder::new();
    let file = File::create(folder.path("w.bin")).unwrap();
    file.set_len(1 << 42).unwrap();
    let entries = [
        ("location", "w.bin"),
        ("offset", "4398046511080"),
        ("length", "24"),
    ];
    fine(&check(&folder, &entries), "4398046511104 bytes");
    let entries = [
        ("location", "w.bin"),
        ("offset", "4398046511081"),
        ("length", "24"),
    ];
    only(&check(&folder, &entries), Code::ModelCorrupt, "need");
}

#[test]
fn every_truncation_and_every_changed_byte_is_an_answer() {
    let folder = Folder::new();
    fs::write(folder.path("w.bin"), [1; 24]).unwrap();
    let need = model(
        &folder,
        &[("location", "w.bin"), ("offset", "0"), ("length", "24")],
    );
    let bytes = fs::read(&need.path).unwrap();
    for length in 1..bytes.len() {
        let findings = check_model(&folder.file("m.onnx", &bytes[..length]));
        assert_eq!(codes(&findings).len(), 1, "cut to {length}: {findings:?}");
    }
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 0xff;
        let findings = check_model(&folder.file("m.onnx", &changed));
        assert_eq!(findings.len(), 1, "{place}: {findings:?}");
        for code in [Code::RuntimeInternal, Code::ModelTimeout] {
            assert_ne!(findings[0].code, Some(code), "{place}: {findings:?}");
        }
    }
}
