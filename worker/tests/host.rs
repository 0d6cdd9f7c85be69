//! What the host's own process must not suffer; one test at a time, because they look at it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{WORKER, call, eventually, is_alive, load, with};
use plugward_core::call::{Args, CallOptions};
use plugward_core::runtime::{Runtime, RuntimeOptions};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn a_flood_of_output_neither_blocks_nor_fills_the_host() {
    let rt = with(json!({}));
    let before = resident();
    let options = CallOptions {
        deadline: Some(Duration::from_secs(3)),
        ..CallOptions::default()
    };
    // 60 MB of lines: it may end or be cut at its deadline, either way the host is well.
    let _ = rt.call("p", "flood", Args::default(), &options);
    assert!(
        resident() < before + (32 << 20),
        "{} then {}",
        before,
        resident()
    );
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

const CHILD: &str = "PLUGWARD_TEST_HOST";

/// Run by `no_worker_outlives_its_host` in a process of its own.
#[test]
fn a_host_that_waits_to_be_killed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let options = RuntimeOptions {
        worker: Some(WORKER.into()),
        ..RuntimeOptions::default()
    };
    let rt = Runtime::new(options).unwrap();
    let _ = load(&rt, "p", json!({"permissions": {"subprocess": true}}));
    let child = call(&rt, "orphan", json!({})).result.unwrap().value;
    let escaped = ["session", "group", "daemon", "spawn_session"].map(|how| {
        let answer = call(&rt, "escape", json!({"how": how}));
        answer.result.unwrap().value.to_string()
    });
    println!(
        "\nPIDS {} {child} {}",
        rt.plugin_health("p").unwrap().pid.unwrap(),
        escaped.join(" ")
    );
    let _ = call(&rt, "hang", json!({}));
}

/// Run by `no_worker_outlives_its_host` as well.
#[test]
fn a_host_that_only_begins() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let rt = with(json!({}));
    let pid = std::process::id().to_string();
    eventually("only its own folder is left", || {
        let names = left_in(&std::env::temp_dir());
        names.len() == 1 && names[0].contains(&pid)
    });
    rt.close();
}

/// Run by `a_host_that_ends_without_a_word_leaves_no_folder`.
#[test]
fn a_host_that_forgets_to_close() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let rt = with(json!({}));
    assert!(call(&rt, "scratch", json!({})).is_ok());
    assert_eq!(left_in(&std::env::temp_dir()).len(), 1);
    std::mem::forget(rt);
}

/// Run by `a_worker_that_ends_with_its_host_takes_its_children_along`: its worker is told to end, and nobody is left
/// to see to what it leaves behind.
#[test]
fn a_host_that_lets_go_and_dies() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let rt = with(json!({"permissions": {"subprocess": true}}));
    assert!(call(&rt, "family", json!({"mb": "1"})).is_ok());
    println!("\nPID {}", rt.plugin_health("p").unwrap().pid.unwrap());
    drop(rt);
    std::process::abort();
}

#[test]
fn a_worker_that_ends_with_its_host_takes_its_children_along() {
    for _ in 0..3 {
        let host = Command::new(std::env::current_exe().unwrap())
            .args(["a_host_that_lets_go_and_dies", "--exact", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&host.stdout).into_owned();
        let pid = said.lines().find_map(|l| l.strip_prefix("PID ")).unwrap();
        eventually("its group is empty", || members(pid.trim()) == 0);
    }
}

/// How many processes are in a group, zombies left out.
fn members(group: &str) -> usize {
    let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let text = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields[0] != "Z" && fields[2] == group)
    });
    stats.filter(|counts| *counts).count()
}

#[test]
fn a_host_that_ends_without_a_word_leaves_no_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["a_host_that_forgets_to_close", "--exact"])
        .env(CHILD, "1")
        .env("TMPDIR", temporary.path())
        .status();
    assert!(status.unwrap().success());
    assert!(left_in(temporary.path()).is_empty());
}

fn left_in(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn no_worker_outlives_its_host() {
    let temporary = tempfile::tempdir().unwrap();
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["a_host_that_waits_to_be_killed", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find(|l| l.starts_with("PIDS"))
        .unwrap();
    let pids: Vec<u32> = line
        .split(' ')
        .skip(1)
        .map(|p| p.parse().unwrap())
        .collect();
    assert_eq!(pids.len(), 6);
    assert!(pids.iter().all(|p| is_alive(*p)));
    host.kill().unwrap();
    host.wait().unwrap();
    eventually("worker and grandchild are gone", || {
        !pids.iter().any(|p| is_alive(*p))
    });
    assert_eq!(left_in(temporary.path()).len(), 1, "its scratch folder");
    let next = Command::new(std::env::current_exe().unwrap())
        .args(["a_host_that_only_begins", "--exact"])
        .env(CHILD, "1")
        .env("TMPDIR", temporary.path())
        .status();
    assert!(next.unwrap().success(), "the next host clears it away");
    assert!(left_in(temporary.path()).is_empty());
}
