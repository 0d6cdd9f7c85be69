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

fn state(rt: &Runtime, name: &str) -> (State, u32) {
    let health = rt.plugin_health(name).unwrap();
    (health.state, health.generation)
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
    let pid = rt.plugin_health("p").unwrap().pid.unwrap().to_string();
    std::process::Command::new("kill")
        .args(["-9", &pid])
        .status()
        .unwrap();
    eventually("it is back", || state(&rt, "p") == (State::Initialized, 2));
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
    assert!(rt.restart("p").unwrap().is_ok());
    assert!(call(&rt, "echo", json!({})).is_ok());
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
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(state(&rt, "p"), (State::Failed, 1));
    assert!(rt.plugin_health("q").is_none());
}
