//! Archives of torch: what their pickles say, what their headers say, and what they cost.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod check_samples;

use check_samples::{
    self as samples, Folder, TorchZip, check_model, fine, forget_peak_memory, only, peak_memory_kb,
    torch_zip,
};
use plugward_core::Code;
use plugward_core::check::Finding;

/// A tensor of 16 floats in the record `0`.
const PICKLE: &[u8] = b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x10tQ.";

fn check(entries: &[(&str, &[u8], bool)]) -> Vec<Finding> {
    let folder = Folder::in_memory();
    check_model(&folder.file("m.pt", &torch_zip(entries).bytes))
}

/// A tuple in a tuple, a million times: the process must not need a stack as deep.
#[test]
fn a_nested_pickle_does_not_end_the_host() {
    let deep = 1_000_000;
    for (open, close) in [
        (&b"N"[..], &b"\x85"[..]),
        (b"N", b"N\x86"),
        (b"N", b"NN\x87"),
    ] {
        let pickle = [b"\x80\x02", open, &close.repeat(deep), b"."].concat();
        fine(&check(&[("m/data.pkl", &pickle, false)]), "torch archive");
        fine(&check(&[("m/data.pkl", &pickle, true)]), "torch archive");
    }
    let marks = [b"(".repeat(deep), b"t".repeat(deep), b".".to_vec()].concat();
    fine(&check(&[("m/data.pkl", &marks, false)]), "torch archive");
}

/// 15 MB that recall a text of 255 bytes again and again.
#[test]
fn a_greedy_pickle_needs_little_memory() {
    let long = [&b"\x80\x02\x8c\xff"[..], &[b'x'; 255], b"q\x00"].concat();
    let folder = Folder::new();
    let needs: Vec<_> = [
        b"(h\x00h\x00h\x00h\x00h\x00t".repeat(1_250_000),
        b"h\x00".repeat(1_500_000),
        b"(".repeat(15_000_000),
        (0..1_500_000_u32)
            .flat_map(|n| {
                let [a, b, c, d] = n.to_le_bytes();
                [b'r', a, b, c, d]
            })
            .collect(),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, body)| {
        let pickle = [long.clone(), body].concat();
        let bytes = torch_zip(&[("m/data.pkl", &pickle, false)]).bytes;
        folder.file(&format!("{number}.pt"), &bytes)
    })
    .collect();
    forget_peak_memory();
    let before = peak_memory_kb();
    for need in &needs {
        fine(&check_model(need), "not compared with their records");
    }
    let more = peak_memory_kb().saturating_sub(before);
    assert!(more < 128 << 10, "{more} kB");
}

#[test]
fn a_record_is_compared_whatever_hides_it() {
    let short: &[u8] = &[1; 63];
    let whole: &[u8] = &[1; 64];
    for deflate in [false, true] {
        let entries = [
            ("m/data.pkl", PICKLE, deflate),
            ("m/data/0", short, deflate),
        ];
        only(&check(&entries), Code::ModelCorrupt, "its tensor needs 64");
        let entries = [
            ("m/data.pkl", PICKLE, deflate),
            ("m/data/0", whole, deflate),
        ];
        fine(&check(&entries), "2 files, checksums verified");
    }
    let twice = [
        ("m/data.pkl", PICKLE, false),
        ("m/data/0", whole, false),
        ("m/data/0", short, false),
    ];
    only(&check(&twice), Code::ModelCorrupt, "occurs twice");
    let absent = [("m/data.pkl", PICKLE, false)];
    only(&check(&absent), Code::ModelCorrupt, "m/data/0 is missing");
    let cut = [
        ("m/data.pkl", &PICKLE[..20], false),
        ("m/data/0", whole, false),
    ];
    only(&check(&cut), Code::ModelCorrupt, "is no pickle");
    let lost = [("m/constants.pkl", &b"\x80\x02)."[..], false)];
    only(&check(&lost), Code::ModelCorrupt, "no data.pkl");
}

/// No verdict is not a good verdict: the finding tells which it is.
#[test]
fn what_was_not_compared_is_told() {
    let strange = [&b"\x80\x02\xc8"[..], PICKLE].concat();
    let entries = [
        ("m/data.pkl", &strange[..], false),
        ("m/data/0", b"x", false),
    ];
    fine(
        &check(&entries),
        "tensors were not compared with their records: data.pkl: opcode 0xc8",
    );
    let mut large = b"\x80\x02B\x00\x00\x00\x01".to_vec();
    large.resize(large.len() + (1 << 24), 7);
    large.extend(b"0}.");
    fine(
        &check(&[("m/data.pkl", &large, true)]),
        "data.pkl is larger than 16 MiB",
    );
}

#[test]
fn an_unknown_method_is_never_called_verified() {
    let mut bytes = samples::torchscript();
    let at = bytes
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    let folder = Folder::in_memory();
    for method in [12_u8, 93, 99] {
        (bytes[8], bytes[at + 10]) = (method, method);
        let findings = check_model(&folder.file("m.pt", &bytes));
        only(&findings, Code::ModelCorrupt, "torch cannot read");
    }
}

#[test]
fn headers_that_contradict_each_other_or_promise_other_disks() {
    let folder = Folder::in_memory();
    let plain = samples::torchscript();
    let directory = plain
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    let end = plain.len() - 22;
    for (places, word) in [
        (&[6, directory + 8][..], "is encrypted"),
        (&[14], "contradict"),
        (&[18], "contradict"),
        (&[22], "contradict"),
        (&[directory + 34], "disk"),
        (&[end + 4], "disks"),
        (&[end + 6], "disks"),
        (&[end + 8], "two numbers of files"),
        (&[end + 12], "directory"),
        (&[end + 16], "directory"),
    ] {
        let mut bytes = plain.clone();
        places.iter().for_each(|place| bytes[*place] ^= 1);
        only(
            &check_model(&folder.file("m.pt", &bytes)),
            Code::ModelCorrupt,
            word,
        );
    }
    let longer = [&plain[..], b"\0"].concat();
    only(
        &check_model(&folder.file("m.pt", &longer)),
        Code::ModelCorrupt,
        "does not end",
    );
}

/// `torch.utils.serialization.config.save.compute_crc32 = False` writes zeros instead.
#[test]
fn an_archive_without_checksums_is_fine_and_told() {
    let mut zip = torch_zip(&[("m/data.pkl", PICKLE, false), ("m/data/0", &[1; 64], false)]);
    let directory = zip
        .bytes
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    let second = directory + 46 + "m/data.pkl".len();
    let behind = [zip.content[0].end + 4, zip.content[1].end + 4];
    for at in behind.into_iter().chain([directory + 16, second + 16]) {
        zip.bytes[at..at + 4].fill(0);
    }
    let folder = Folder::in_memory();
    fine(
        &check_model(&folder.file("m.pt", &zip.bytes)),
        "written without checksums",
    );
    zip.bytes[second + 18] = 1;
    zip.bytes[behind[1] + 2] = 1;
    only(
        &check_model(&folder.file("m.pt", &zip.bytes)),
        Code::ModelCorrupt,
        "is damaged",
    );
}

/// On the device `meta` a tensor has a shape and no content.
#[test]
fn a_tensor_without_content_needs_no_record() {
    let meta = PICKLE.to_vec();
    let at = meta.windows(3).position(|three| three == b"cpu").unwrap();
    let meta = [&meta[..at - 4], b"\x04\0\0\0meta", &meta[at + 3..]].concat();
    fine(
        &check(&[("m/data.pkl", &meta, false), ("m/data/0", b"", false)]),
        "2 files",
    );
}

#[test]
fn other_archives_of_torch() {
    let package = [
        ("m/.data/extern_modules", &b"x"[..], false),
        ("m/m.pkl", b"}.", false),
    ];
    fine(&check(&package), "torch.package with 2 files");
    let export = [
        ("m/archive_format", &b"pt2"[..], false),
        ("m/models/m.json", b"{}", true),
    ];
    fine(&check(&export), "torch.export with 2 files");
}

#[test]
fn an_archive_as_torch_writes_it_is_fine() {
    let TorchZip { bytes, .. } = torch_zip(&[
        ("m/data.pkl", PICKLE, false),
        ("m/.format_version", b"1", false),
        ("m/data/0", &[1; 64], false),
        ("m/data/1", b"", false),
        (
            "m/code/__torch__.py",
            &b"def forward(self, x):\n".repeat(9),
            true,
        ),
    ]);
    let folder = Folder::in_memory();
    fine(
        &check_model(&folder.file("m.pt", &bytes)),
        "5 files, checksums verified",
    );
}

/// The models that ship with the VideoTracker are real ones.
#[test]
fn the_models_that_ship_are_fine() {
    let models = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../plugins/videotracker/models"
    );
    let mut seen = 0;
    for entry in std::fs::read_dir(models).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pt") {
            let mut need = Folder::new().need("m.pt");
            need.path = path;
            let findings = check_model(&need);
            fine(&findings, "checksums verified");
            assert!(
                !findings[0].message.contains("not compared"),
                "{findings:?}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}
