//! Where a model should be: what else may stand there, storage that is silent, checksums.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod check_samples;
mod nobody;

use check_samples::{
    self as samples, Folder, check_model, codes, fine, only, peak_memory_kb, sha256,
};
use nobody::as_nobody;
use plugward_core::Code;
use plugward_core::check::{ModelNeed, ModelOptions, check_model_with, silent_places};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn what_stands_in_the_place_of_a_model() {
    let folder = Folder::new();
    only(
        &check_model(&folder.need("none.pt")),
        Code::ModelMissing,
        "no such file",
    );
    let lost = folder.need("a/b/none.pt");
    only(
        &check_model(&lost),
        Code::ModelMissing,
        folder.0.path().to_str().unwrap(),
    );
    std::os::unix::fs::symlink("gone.pt", folder.path("link.pt")).unwrap();
    only(
        &check_model(&folder.need("link.pt")),
        Code::ModelMissing,
        "a link to gone.pt",
    );
    only(
        &check_model(&folder.file("empty.pt", b"")),
        Code::ModelEmpty,
        "0 bytes",
    );
    fs::create_dir(folder.path("folder.pt")).unwrap();
    only(
        &check_model(&folder.need("folder.pt")),
        Code::ModelNotAFile,
        "folder",
    );
    let inside = folder.need("empty.pt/m.pt");
    only(&check_model(&inside), Code::ModelMissing, "no such file");
    let mut need = folder.need("x");
    need.path = "/dev/zero".into();
    only(&check_model(&need), Code::ModelNotAFile, "device");
    need.path = "with\0nul".into();
    only(&check_model(&need), Code::ModelMissing, "NUL");
}

#[test]
fn checksums() {
    let folder = Folder::new();
    let bytes = samples::onnx();
    let mut need = folder.file("m.onnx", &bytes);
    need.sha256 = Some("0".repeat(64));
    only(&check_model(&need), Code::ModelChecksum, &sha256(&bytes));
    need.sha256 = Some(format!("sha256:{}", sha256(&bytes)));
    fine(&check_model(&need), "as pinned");
    need.sha256 = Some("none".into());
    only(&check_model(&need), Code::ModelChecksum, "is no sha256");
    let mut broken = folder.file("m.onnx", &bytes[..20]);
    broken.sha256 = Some(sha256(&bytes));
    // What is not the pinned file is not parsed.
    only(
        &check_model(&broken),
        Code::ModelChecksum,
        &sha256(&bytes[..20]),
    );
}

#[test]
fn a_file_is_read_once_until_it_changes() {
    let folder = Folder::new();
    let mut bytes = samples::onnx();
    let mut need = folder.file("m.onnx", &bytes);
    need.sha256 = Some(sha256(&bytes));
    std::thread::sleep(Duration::from_millis(60));
    let message = |need: &ModelNeed| check_model(need)[0].message.clone();
    assert!(!message(&need).contains("known"), "{}", message(&need));
    assert!(
        message(&need).contains("known from an earlier check"),
        "{}",
        message(&need)
    );
    // The same size and the same modification time, and still seen.
    let time = fs::metadata(&need.path).unwrap().modified().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&need.path, &bytes).unwrap();
    File::options()
        .write(true)
        .open(&need.path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    assert!(codes(&check_model(&need)).contains(&Code::ModelChecksum));
}

#[test]
fn a_huge_sparse_file_needs_neither_memory_nor_time() {
    let folder = Folder::new();
    let start = Instant::now();
    for (name, head) in [
        ("m.pt", b"PK\x03\x04".as_slice()),
        ("zero.pt", &[0; 4]),
        ("zero.engine", &[0; 4]),
        ("m.safetensors", &[0, 0, 0, 0, 4, 0, 0, 0]),
        ("m.onnx", &[8, 8, 0x3a]),
        (
            "m.gguf",
            b"GGUF\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\x00",
        ),
    ] {
        let need = folder.file(name, head);
        let file = File::options().write(true).open(&need.path).unwrap();
        if let Err(error) = file.set_len(1 << 40) {
            println!("SKIPPED: this file system has no sparse files of 1 TiB: {error}");
            return;
        }
        let findings = check_model(&need);
        assert_eq!(
            codes(&findings),
            [Code::ModelCorrupt],
            "{name}: {findings:?}"
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
    assert!(peak_memory_kb() < 48 << 10, "{} kB", peak_memory_kb());
}

#[test]
fn reading_reports_its_progress() {
    let folder = Folder::new();
    let mut need = folder.file("m.engine", b"");
    File::options()
        .write(true)
        .open(&need.path)
        .unwrap()
        .set_len(40 << 20)
        .unwrap();
    need.sha256 = Some("0".repeat(64));
    let (calls, last) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (count, end) = (Arc::clone(&calls), Arc::clone(&last));
    let progress = move |_: &Path, done: u64, all: u64| {
        assert!(done <= all);
        assert!(done > end.swap(done, Ordering::Relaxed), "it goes forward");
        count.fetch_add(1, Ordering::Relaxed);
    };
    let options = ModelOptions {
        progress: Some(Arc::new(progress)),
        ..ModelOptions::default()
    };
    assert_eq!(
        codes(&check_model_with(&need, &options)),
        [Code::ModelChecksum]
    );
    assert!(calls.load(Ordering::Relaxed) >= 3);
    assert_eq!(last.load(Ordering::Relaxed), 40 << 20);
}

#[test]
fn a_callback_that_panics_is_contained() {
    let folder = Folder::new();
    let mut need = folder.file("m.engine", b"\x01");
    need.sha256 = Some("0".repeat(64));
    let progress = |_: &Path, _: u64, _: u64| panic!("on purpose");
    let options = ModelOptions {
        progress: Some(Arc::new(progress)),
        ..ModelOptions::default()
    };
    assert_eq!(
        codes(&check_model_with(&need, &options)),
        [Code::RuntimeInternal]
    );
}

#[test]
fn a_pipe_is_never_waited_for() {
    let folder = Folder::new();
    make_fifo(&folder.path("m.pt"));
    let start = Instant::now();
    only(
        &check_model(&folder.need("m.pt")),
        Code::ModelNotAFile,
        "FIFO",
    );
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

fn make_fifo(path: &Path) {
    let status = std::process::Command::new("mkfifo")
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

/// Read permission as another user sees it: root may read everything.
#[test]
fn an_unreadable_file() {
    let folder = Folder::new();
    let need = folder.file("m.pt", &samples::torchscript());
    fs::set_permissions(&need.path, fs::Permissions::from_mode(0o000)).unwrap();
    if let Some(findings) = as_nobody(folder.0.path(), || check_model(&need)) {
        only(&findings, Code::ModelUnreadable, "ermission");
    }
}

/// A mount whose server is silent: FUSE, mounted here, whose requests nobody answers.
#[test]
fn a_dead_mount_is_given_up_once() {
    let folder = Folder::new();
    let Some(_mount) = samples::DeadMount::new(folder.0.path()) else {
        println!("SKIPPED: a file system cannot be mounted here (needs root and /dev/fuse)");
        return;
    };
    let options = ModelOptions {
        bound: Duration::from_millis(150),
        ..ModelOptions::default()
    };
    let need = folder.need("m.pt");
    let before = silent_places();
    let start = Instant::now();
    only(
        &check_model_with(&need, &options),
        Code::ModelTimeout,
        "nothing was heard",
    );
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(silent_places(), before + 1);
    let start = Instant::now();
    only(&check_model(&need), Code::ModelTimeout, "nothing was heard");
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "no second thread waits there"
    );
    assert_eq!(silent_places(), before + 1);
}
