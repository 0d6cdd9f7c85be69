//! Warm spares: the next call after a death, and what must not become of them.
//!
//! One test at a time: they look at the children of this process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{call, code, eventually, is_alive, library, load, runtime, with};
use plugward_core::call::{Args, CallOptions};
use plugward_core::lifecycle::State;
use plugward_core::runtime::Runtime;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let guard = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    eventually("no worker is left of the test before", || {
        children().is_empty()
    });
    guard
}

/// A wait before restarts that is longer than any test: who is back came from a spare.
fn spares(n: u32, max: u32) -> Value {
    json!({"spares": n, "restart":
        {"policy": "on_failure", "max": max, "within_s": 60, "backoff_ms": [600_000, 600_000]}})
}

fn ready(rt: &Runtime, n: u32) {
    eventually("the spares are ready", || {
        rt.plugin_health("p").unwrap().spares == n
    });
}

fn pid(rt: &Runtime) -> u32 {
    rt.plugin_health("p").unwrap().pid.unwrap()
}

/// The living children of this process.
fn children() -> BTreeSet<u32> {
    let own = std::process::id();
    let tasks = std::fs::read_dir(format!("/proc/{own}/task")).unwrap();
    let lists = tasks
        .filter_map(Result::ok)
        .map(|t| t.path().join("children"));
    let text: String = lists
        .filter_map(|list| std::fs::read_to_string(list).ok())
        .collect();
    let pids = text.split_whitespace().filter_map(|p| p.parse().ok());
    pids.filter(|p| is_alive(*p)).collect()
}

fn kill(pid: u32) {
    let pid = pid.to_string();
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid])
        .status();
    assert!(killed.unwrap().success());
}

#[test]
fn the_very_next_call_after_a_death_is_served() {
    let _one = alone();
    let rt = with(spares(1, 100));
    for generation in 2..8 {
        ready(&rt, 1);
        let before = pid(&rt);
        let death = ["segfault", "exit", "kill", "thread_exit"][generation as usize % 4];
        assert!(!call(&rt, death, json!({})).is_ok());
        let outcome = call(&rt, "pid", json!({}));
        assert!(outcome.is_ok(), "{:?}", outcome.result);
        let health = rt.plugin_health("p").unwrap();
        assert_eq!(
            (health.generation, health.restarts),
            (generation, generation - 1)
        );
        assert_ne!(health.pid, Some(before));
        eventually("the dead one is gone", || !is_alive(before));
    }
    let text = rt.metrics_text();
    assert!(
        text.contains("plugward_spares_ready{plugin=\"p\"}"),
        "{text}"
    );
}

#[test]
fn a_call_at_its_deadline_is_followed_by_one_that_is_served() {
    let _one = alone();
    let rt = with(spares(1, 100));
    ready(&rt, 1);
    let options = CallOptions {
        deadline: Some(Duration::from_millis(500)),
        ..CallOptions::default()
    };
    let outcome = rt.call("p", "hang", Args::default(), &options);
    assert_eq!(code(&outcome), "PW-CALL-005");
    assert!(call(&rt, "echo", json!({})).is_ok());
}

#[test]
fn who_dies_idle_is_replaced_at_once() {
    let _one = alone();
    let rt = with(spares(1, 100));
    ready(&rt, 1);
    kill(pid(&rt));
    eventually("the spare took over", || {
        let health = rt.plugin_health("p").unwrap();
        (health.state, health.generation) == (State::Initialized, 2)
    });
    assert!(call(&rt, "echo", json!({})).is_ok());
}

#[test]
fn a_spare_that_dies_is_made_again_and_nobody_notices() {
    let _one = alone();
    let rt = with(json!({"spares": 2, "restart": {"backoff_ms": [10, 20]}}));
    ready(&rt, 2);
    let (serving, all) = (pid(&rt), children());
    assert_eq!(all.len(), 3);
    for spare in all.iter().filter(|p| **p != serving) {
        kill(*spare);
    }
    eventually("both are gone and made anew", || {
        let now = children();
        now.len() == 3 && now.intersection(&all).count() == 1
    });
    ready(&rt, 2);
    let health = rt.plugin_health("p").unwrap();
    assert_eq!((health.generation, health.restarts), (1, 0));
    assert_eq!(health.pid, Some(serving));
}

#[test]
fn spares_that_keep_dying_are_given_up_within_the_budget() {
    let _one = alone();
    let rt =
        with(json!({"spares": 1, "restart": {"max": 2, "within_s": 60, "backoff_ms": [5, 10]}}));
    let serving = pid(&rt);
    let mut killed = BTreeSet::new();
    let gave_up = || {
        let said = |r: &plugward_core::log::Record| r.message.contains("no more warm spares");
        rt.log().recent().iter().any(said)
    };
    while !gave_up() {
        for spare in children().into_iter().filter(|p| *p != serving) {
            // It may have ended meanwhile.
            let _ = std::process::Command::new("kill")
                .args(["-9", &spare.to_string()])
                .status();
            killed.insert(spare);
        }
        assert!(killed.len() < 20, "a storm");
        std::thread::sleep(Duration::from_millis(5));
    }
    let only = BTreeSet::from([serving]);
    eventually("no spare is left", || children() == only);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(children(), only, "none is made any more");
    assert!(call(&rt, "echo", json!({})).is_ok(), "the plugin is well");
}

#[test]
fn the_budget_holds_for_spares_too() {
    let _one = alone();
    let rt = with(spares(2, 2));
    for _ in 0..2 {
        ready(&rt, 2);
        assert_eq!(code(&call(&rt, "abort", json!({}))), "PW-WORKER-004");
        assert!(call(&rt, "echo", json!({})).is_ok());
    }
    assert_eq!(code(&call(&rt, "abort", json!({}))), "PW-WORKER-004");
    let health = rt.plugin_health("p").unwrap();
    assert!(health.quarantined);
    assert_eq!((health.state, health.spares), (State::Failed, 0));
    eventually("the spares of a quarantined plugin end", || {
        children().is_empty()
    });
}

#[test]
fn a_restart_by_hand_begins_anew_and_its_spares_too() {
    let _one = alone();
    let rt = with(spares(1, 3));
    ready(&rt, 1);
    let before = children();
    assert!(rt.restart("p").unwrap().is_ok());
    ready(&rt, 1);
    eventually("all processes are new", || {
        let now = children();
        now.len() == 2 && now.is_disjoint(&before)
    });
}

#[test]
fn spares_end_with_their_plugin_and_their_runtime() {
    let _one = alone();
    let rt = with(spares(2, 3));
    ready(&rt, 2);
    rt.unload("p").unwrap();
    eventually("unloaded", || children().is_empty());
    assert!(load(&rt, "p", spares(2, 3)).is_ok());
    ready(&rt, 2);
    rt.close();
    eventually("closed", || children().is_empty());
    let rt = with(spares(2, 3));
    ready(&rt, 2);
    drop(rt);
    eventually("dropped", || children().is_empty());
}

#[test]
fn spares_that_nobody_would_use_are_not_kept_and_that_is_said() {
    let _one = alone();
    let rt = runtime();
    let more = json!({"spares": 2, "restart": {"policy": "never"}});
    let report = load(&rt, "p", more);
    assert!(report.is_ok());
    assert!(report.assumptions.iter().any(|a| a.key == "spares"));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(children().len(), 1);
}

#[test]
fn three_hundred_deaths_with_spares_leave_nothing_behind() {
    let _one = alone();
    let count = |what: &str| {
        std::fs::read_dir(format!("/proc/self/{what}"))
            .unwrap()
            .count()
    };
    let _ = library();
    let held = || (count("fd"), count("task"));
    let ended = |rt: Runtime| {
        rt.close();
        drop(rt);
        eventually("no worker is left", || children().is_empty());
    };
    let warm = with(spares(1, 1000));
    ready(&warm, 1);
    ended(warm);
    let (mut before, mut same) = (held(), 0);
    eventually("what the first left is gone", || {
        let now = held();
        same = if now == before { same + 1 } else { 0 };
        before = now;
        same == 50
    });
    let rt = with(spares(1, 1000));
    for _ in 0..300 {
        ready(&rt, 1);
        assert!(!call(&rt, "exit", json!({})).is_ok());
        assert!(call(&rt, "echo", json!({})).is_ok());
    }
    ready(&rt, 1);
    assert_eq!(children().len(), 2);
    let health = rt.plugin_health("p").unwrap();
    assert_eq!((health.generation, health.restarts), (301, 300));
    ended(rt);
    eventually("no descriptor and no thread is left", || held() == before);
}
