//! Failed plugins come back by themselves, within their budget.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{call, code, eventually, load, with};
use plugward_core::call::{Args, CallOptions};
use plugward_core::lifecycle::State;
use plugward_core::runtime::Runtime;
use serde_json::{Value, json};
use std::time::Duration;

fn state(rt: &Runtime, name: &str) -> (State, u32) {
    let health = rt.plugin_health(name).unwrap();
    (health.state, health.generation)
}

fn kill(rt: &Runtime) {
    let pid = rt.plugin_health("p").unwrap().pid.unwrap().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid])
        .status();
    assert!(killed.unwrap().success());
}

fn policy(max: u32) -> Value {
    json!({"restart": {"policy": "on_failure", "max": max, "within_s": 60, "backoff_ms": [10, 50]}})
}

#[test]
fn only_the_one_that_failed_is_restarted() {
    let rt = with(policy(3));
    assert!(load(&rt, "sibling", policy(3)).is_ok());
    let pid = rt.plugin_health("sibling").unwrap().pid;
    let outcome = std::thread::scope(|scope| {
        let during = scope.spawn(|| {
            let args = Args::from(json!({"ms": "300"}));
            rt.call("sibling", "sleep", args, &CallOptions::default())
        });
        assert_eq!(code(&call(&rt, "segfault", json!({}))), "PW-WORKER-004");
        eventually("it is back", || state(&rt, "p") == (State::Initialized, 2));
        during.join().unwrap()
    });
    assert!(outcome.is_ok(), "a sibling's call in flight is not touched");
    assert_eq!(state(&rt, "sibling"), (State::Initialized, 1));
    assert_eq!(rt.plugin_health("sibling").unwrap().pid, pid);
    assert!(call(&rt, "echo", json!({})).is_ok());
    assert_eq!(rt.plugin_health("p").unwrap().restarts, 1);
}

#[test]
fn who_dies_idle_comes_back_too() {
    let rt = with(policy(3));
    kill(&rt);
    eventually("it is back", || state(&rt, "p") == (State::Initialized, 2));
}

#[test]
fn who_calls_between_fault_and_restart_is_told_when_to_come_again() {
    let policy = json!({"restart": {"policy": "on_failure", "max": 3, "within_s": 60, "backoff_ms": [60_000, 60_000]}});
    let rt = with(policy);
    assert_eq!(code(&call(&rt, "abort", json!({}))), "PW-WORKER-004");
    let outcome = call(&rt, "echo", json!({}));
    assert_eq!(code(&outcome), "PW-SUP-002");
    assert_eq!(outcome.ended.effect.as_str(), "not_started");
    let error = outcome.result.unwrap_err();
    assert!(error.retryable(), "{error}");
    let wait = error.details().unwrap()["retry_after_ms"].as_u64().unwrap();
    assert!((20_000..=60_000).contains(&wait), "{wait}");
    assert!(error.cause().contains("PW-WORKER-004"), "{}", error.cause());
}

#[test]
fn who_waits_for_a_turn_goes_to_the_next_generation() {
    let mut more = policy(3);
    more["limits"] = json!({"concurrency": 1});
    let rt = with(more);
    std::thread::scope(|scope| {
        let hangs = scope.spawn(|| call(&rt, "hang", json!({})));
        eventually("it hangs", || rt.plugin_health("p").unwrap().in_flight == 1);
        let waits: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| call(&rt, "pid", json!({}))))
            .collect();
        eventually("they wait", || rt.plugin_health("p").unwrap().waiting == 4);
        kill(&rt);
        assert_eq!(code(&hangs.join().unwrap()), "PW-WORKER-004");
        for one in waits {
            let outcome = one.join().unwrap();
            assert!(outcome.is_ok(), "{:?}", outcome.result);
            assert_eq!(outcome.ended.generation, 2);
        }
    });
}

#[test]
fn who_waits_in_vain_is_told_so() {
    let mut more = policy(0);
    more["limits"] = json!({"concurrency": 1});
    let rt = with(more);
    std::thread::scope(|scope| {
        let hangs = scope.spawn(|| call(&rt, "hang", json!({})));
        eventually("it hangs", || rt.plugin_health("p").unwrap().in_flight == 1);
        let waits = scope.spawn(|| call(&rt, "echo", json!({})));
        eventually("it waits", || rt.plugin_health("p").unwrap().waiting == 1);
        kill(&rt);
        assert_eq!(code(&hangs.join().unwrap()), "PW-WORKER-004");
        let outcome = waits.join().unwrap();
        assert!(["PW-SUP-001", "PW-CALL-006"].contains(&code(&outcome)));
    });
}

#[test]
fn more_calls_than_lanes_wait_and_none_is_lost() {
    let rt = with(json!({"limits": {"concurrency": 512, "queue": 1000}}));
    let said = serde_json::to_value(rt.plugin_health("p").unwrap()).unwrap();
    assert!(said["assumptions"].to_string().contains("is 64"), "{said}");
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..200)
            .map(|_| scope.spawn(|| call(&rt, "sleep", json!({"ms": "50"}))))
            .collect();
        for one in calls {
            let outcome = one.join().unwrap();
            assert!(outcome.is_ok(), "{:?}", outcome.result);
        }
    });
}

#[test]
fn a_spent_budget_quarantines_until_somebody_releases_it() {
    let rt = with(policy(2));
    for generation in 1..=3 {
        eventually("it is ready", || {
            state(&rt, "p") == (State::Initialized, generation)
        });
        assert_eq!(code(&call(&rt, "abort", json!({}))), "PW-WORKER-004");
    }
    eventually("quarantine", || rt.plugin_health("p").unwrap().quarantined);
    assert_eq!(state(&rt, "p").0, State::Failed);
    let reason = rt.plugin_health("p").unwrap().quarantine_reason.unwrap();
    assert!(reason.contains("2 restarts within 60 s"), "{reason}");
    assert!(reason.contains("[PW-WORKER-004]"), "{reason}");
    let metrics = rt.metrics_text();
    assert!(
        !metrics.contains("plugward_worker_resident_bytes{"),
        "no worker"
    );
    let outcome = call(&rt, "echo", json!({}));
    assert_eq!(code(&outcome), "PW-SUP-001");
    assert!(
        outcome
            .result
            .unwrap_err()
            .message()
            .contains("2 restarts within 60 s")
    );
    assert_eq!(rt.restart("p").unwrap_err().code().as_str(), "PW-SUP-001");
    rt.release("p").unwrap();
    assert!(!rt.plugin_health("p").unwrap().quarantined);
    assert!(rt.plugin_health("p").unwrap().quarantine_reason.is_none());
    assert!(rt.restart("p").unwrap().is_ok());
    assert!(call(&rt, "echo", json!({})).is_ok());
    let metrics = rt.metrics_text();
    assert!(
        metrics.contains("plugward_worker_resident_bytes{plugin=\"p\"}"),
        "{metrics}"
    );
}

#[test]
fn nobody_is_restarted_against_the_manifest_or_after_the_end() {
    let rt = with(json!({"restart": {"policy": "never"}}));
    assert_eq!(code(&call(&rt, "exit", json!({}))), "PW-WORKER-005");
    assert!(load(&rt, "q", policy(3)).is_ok());
    let options = CallOptions::default();
    let outcome = rt.call("q", "exit", Args::default(), &options);
    assert_eq!(code(&outcome), "PW-WORKER-005");
    rt.unload("q").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(state(&rt, "p"), (State::Failed, 1));
    assert!(rt.plugin_health("q").is_none());
}
