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
    println!(
        "\nPIDS {} {child}",
        rt.plugin_health("p").unwrap().pid.unwrap()
    );
    let _ = call(&rt, "hang", json!({}));
}

#[test]
fn no_worker_outlives_its_host() {
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["a_host_that_waits_to_be_killed", "--exact", "--nocapture"])
        .env(CHILD, "1")
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
    assert!(pids.iter().all(|p| is_alive(*p)));
    host.kill().unwrap();
    host.wait().unwrap();
    eventually("worker and grandchild are gone", || {
        !pids.iter().any(|p| is_alive(*p))
    });
}
