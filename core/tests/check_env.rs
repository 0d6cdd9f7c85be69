//! Environment variables, programs, and a whole manifest in one list.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

use plugward_core::check::{
    CheckOptions, Finding, check, check_env, check_env_in, check_executable, check_executable_in,
    check_with,
};
use plugward_core::{Code, manifest::Manifest};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

#[test]
fn variables() {
    let names = ["SET", "EMPTY", "ABSENT", "A=B", ""].map(str::to_owned);
    let findings = check_env_in(&names, |name| match name {
        "SET" => Some(OsString::from("a secret")),
        "EMPTY" => Some(OsString::new()),
        _ => None,
    });
    let ok: Vec<_> = findings.iter().map(|f| f.ok).collect();
    assert_eq!(ok, [true, false, false, false, false]);
    let causes: Vec<_> = findings[1..].iter().map(|f| f.cause.as_str()).collect();
    let none = "no variable can have this name";
    assert_eq!(
        causes,
        ["it is set to nothing", "it is not set", none, none]
    );
    assert!(
        findings[1..]
            .iter()
            .all(|f| f.code == Some(Code::CheckEnvironment))
    );
    assert!(
        !format!("{findings:?}").contains("a secret"),
        "values are never shown"
    );
    assert!(check_env(&["PATH".into()])[0].ok);
}

#[test]
fn programs() {
    assert!(check_executable("sh").ok);
    assert!(check_executable("/bin/sh").ok);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("tool");
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let search = Some(folder.path().as_os_str());
    let cause = |name: &str| check_executable_in(name, search).cause;
    assert!(
        cause("tool").contains("not marked as executable"),
        "{}",
        cause("tool")
    );
    assert!(
        cause("other").contains("no folder of PATH"),
        "{}",
        cause("other")
    );
    assert!(cause("").contains("names no program"), "{}", cause(""));
    assert!(cause("/etc").contains("is no file"), "{}", cause("/etc"));
    let missing = check_executable_in("other", None);
    assert_eq!(missing.code, Some(Code::CheckExecutable));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        check_executable_in("tool", search).message,
        path.display().to_string()
    );
}

fn manifest(folder: &TempDir) -> Manifest {
    let text = r#"{
        "name": "tracker", "kind": "python", "entrypoint": "p.py:Plugin", "requires_gpu": true,
        "models": {"detector": {"path": "models/d.pt"}, "ball": {"path": "ball.onnx"}},
        "env": ["PLUGWARD_SURELY_UNSET"], "executables": ["sh", "surely-no-such-program"]}"#;
    fs::write(folder.path().join("manifest.json"), text).unwrap();
    fs::write(folder.path().join("ball.onnx"), "placeholder").unwrap();
    Manifest::from_path(folder.path()).unwrap().manifest
}

/// A machine without a driver, whatever the real one has.
fn options() -> CheckOptions {
    let mut options = CheckOptions::default();
    options.gpu.nvml = "libsurely-no-nvml.so.1".into();
    options.gpu.cuda = "libsurely-no-cuda.so.1".into();
    options
}

#[test]
fn a_manifest_gets_every_finding_at_once() {
    let folder = TempDir::new().unwrap();
    let mut manifest = manifest(&folder);
    let found = |findings: &[Finding]| -> Vec<(String, Option<Code>)> {
        findings
            .iter()
            .map(|f| (format!("{} {}", f.kind, f.subject), f.code))
            .collect()
    };
    let gpu = ("gpu driver".to_owned(), Some(Code::GpuNoDriver));
    let mut all = vec![
        ("platform machine".to_owned(), None),
        gpu.clone(),
        ("model ball".to_owned(), Some(Code::ModelPlaceholder)),
        ("model detector".to_owned(), Some(Code::ModelMissing)),
        (
            "env PLUGWARD_SURELY_UNSET".to_owned(),
            Some(Code::CheckEnvironment),
        ),
        ("executable sh".to_owned(), None),
        (
            "executable surely-no-such-program".to_owned(),
            Some(Code::CheckExecutable),
        ),
    ];
    assert_eq!(found(&check_with(&manifest, &options())), all);
    manifest.requires_gpu = false;
    all.retain(|finding| *finding != gpu);
    assert_eq!(
        found(&check(&manifest)),
        all,
        "a plugin that needs no GPU is not asked about it"
    );
}

#[test]
fn findings_are_json() {
    let folder = TempDir::new().unwrap();
    let value = serde_json::to_value(check_with(&manifest(&folder), &options())).unwrap();
    let first = value[1].as_object().unwrap();
    let keys = [
        "kind", "subject", "ok", "code", "cause", "message", "remedy", "took_us",
    ];
    assert_eq!(first.len(), keys.len());
    assert!(keys.iter().all(|key| first.contains_key(*key)), "{first:?}");
    assert_eq!(first["code"], "PW-GPU-001");
}

#[test]
fn a_program_that_is_optional_is_told_and_keeps_nothing_from_loading() {
    let folder = TempDir::new().unwrap();
    let text = r#"{"name": "p", "kind": "native", "entrypoint": "lib.so",
        "optional_executables": ["sh", "surely-no-such-program"]}"#;
    fs::write(folder.path().join("manifest.json"), text).unwrap();
    let manifest = Manifest::from_path(folder.path()).unwrap().manifest;
    assert!(check_with(&manifest, &options()).iter().all(|f| f.ok));
    let told = plugward_core::check::check_beyond(&manifest);
    let program = |name: &str| told.iter().find(|f| f.subject == name).unwrap();
    assert!(program("sh").ok);
    let missing = program("surely-no-such-program");
    assert!(!missing.ok && missing.remedy.contains("install"));
}
