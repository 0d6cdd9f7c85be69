//! Each test is an attack that works where the manifest grants it, and not where it does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{call, load, runtime, with};
use plugward_core::runtime::Runtime;
use serde_json::{Value, json};
use std::net::TcpListener;

/// The same attack with and without its permission.
fn attack(tool: &str, args: &Value, granted: Value, hint: &str) {
    let rt = with(json!({"permissions": granted, "fails_on": "crash"}));
    let outcome = call(&rt, tool, args.clone());
    assert!(outcome.is_ok(), "{tool}, granted: {:?}", outcome.result);
    refused(&with(json!({"fails_on": "crash"})), tool, args, hint);
}

fn refused(rt: &Runtime, tool: &str, args: &Value, hint: &str) {
    let outcome = call(rt, tool, args.clone());
    let error = outcome.result.expect_err(tool);
    assert!(
        error.message().contains("denied") || error.message().contains("permitted"),
        "{tool}: {error}"
    );
    assert!(
        error.code().as_str().starts_with("PW-PERM") || hint.is_empty(),
        "{tool}: {error}"
    );
    assert!(error.remedy().contains(hint), "{tool}: {error}");
    assert!(
        call(rt, "echo", json!({})).is_ok(),
        "{tool}: the plugin lives on"
    );
}

#[test]
fn writing_outside_the_scratch_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let args = json!({"path": file});
    attack(
        "write",
        &args,
        json!({"write": [folder.path()]}),
        "permissions.write",
    );
    assert_eq!(
        std::fs::read(&file).unwrap(),
        b"x",
        "written only by the one that may"
    );
    let rt = with(json!({}));
    assert!(
        call(&rt, "scratch", json!({})).is_ok(),
        "its own folder is there"
    );
}

#[test]
fn reading_outside_the_named_folders() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "x").unwrap();
    let args = json!({"path": file});
    let rt = with(json!({}));
    assert!(
        call(&rt, "read", args.clone()).is_ok(),
        "reading is free by default"
    );
    let rt = with(json!({"permissions": {"read": [folder.path()]}}));
    assert!(call(&rt, "read", args.clone()).is_ok());
    let rt = with(json!({"permissions": {"read": ["models"]}, "fails_on": "crash"}));
    refused(&rt, "read", &args, "permissions.read");
}

#[test]
fn the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    attack(
        "connect",
        &json!({"port": port}),
        json!({"network": true}),
        "permissions.network = true",
    );
}

#[test]
fn starting_processes() {
    for tool in ["spawn", "orphan"] {
        attack(
            tool,
            &json!({}),
            json!({"subprocess": true}),
            "permissions.subprocess = true",
        );
    }
    let rt = with(json!({"fails_on": "crash"}));
    refused(&rt, "exec", &json!({}), "permissions.subprocess = true");
}

#[test]
fn reaching_into_the_host() {
    for granted in [json!({}), json!({"subprocess": true, "network": true})] {
        let rt = with(json!({"permissions": granted, "fails_on": "crash"}));
        refused(&rt, "ptrace", &json!({}), "");
        refused(&rt, "kill_host", &json!({}), "");
    }
}

#[test]
fn limits_cannot_be_raised_again() {
    let rt = with(json!({"limits": {"open_files": 64}, "fails_on": "crash"}));
    refused(&rt, "raise_limit", &json!({}), "");
}

#[test]
fn the_hosts_environment() {
    let rt = with(json!({}));
    let seen =
        |rt: &Runtime, name: &str| call(rt, "env", json!({"name": name})).result.unwrap().value;
    assert_eq!(seen(&rt, "PATH"), 1);
    assert_eq!(seen(&rt, "CARGO_PKG_NAME"), 0, "not on the list");
    let rt = with(json!({"env": ["CARGO_PKG_NAME"]}));
    assert_eq!(seen(&rt, "CARGO_PKG_NAME"), 1, "named by the manifest");
}

#[test]
fn what_holds_is_reported_and_can_be_required() {
    let rt = runtime();
    let report = load(
        &rt,
        "p",
        json!({"limits": {"memory_mb": 512}, "require_enforcement": true}),
    );
    assert!(report.is_ok(), "{:?}", report.error);
    let how = report.enforcement.unwrap();
    assert!(
        how["permissions.write"]
            .as_str()
            .unwrap()
            .starts_with("Landlock"),
        "{how}"
    );
    assert_eq!(how["permissions.network"], "seccomp");
    assert!(
        how["limits.memory_mb"]
            .as_str()
            .unwrap()
            .contains("512 MiB"),
        "{how}"
    );
    assert!(
        how["limits.memory_mb"]
            .as_str()
            .unwrap()
            .contains("cgroup v2"),
        "in force, or why not: {how}"
    );
    let report = load(
        &rt,
        "q",
        json!({"isolation": "thread", "require_enforcement": true}),
    );
    assert_eq!(report.error.unwrap().code().as_str(), "PW-WORKER-010");
}
