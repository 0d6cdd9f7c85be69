//! A cancelled call ends: at once where the plugin listens, by force where it does not, at nobody's expense.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{call, code, eventually, said, with};
use plugward_core::call::{Args, CallOptions, Outcome};
use plugward_core::lifecycle::State;
use plugward_core::runtime::{Awaited, Begun, Runtime};
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Without any budget: a single failure would quarantine it.
fn strict(concurrency: u32) -> Value {
    json!({
        "restart": {"policy": "on_failure", "max": 0, "within_s": 60, "backoff_ms": [10, 50]},
        "limits": {"concurrency": concurrency},
    })
}

fn start(rt: &Runtime, tool: &str, args: Value) -> (Awaited, Receiver<Outcome>) {
    let (told, outcome) = channel();
    let done = Box::new(move |outcome| {
        let _ = told.send(outcome);
    });
    match rt.start("p", tool, Args::from(args), CallOptions::default(), done) {
        Begun::Awaited(awaited) => (awaited, outcome),
        Begun::Over(outcome) => panic!("{:?}", outcome.result.err()),
        Begun::Elsewhere(..) => panic!("this kernel cannot wait for several futexes"),
    }
}

/// Begins a call and cancels it once it runs.
fn cancelled(rt: &Runtime, tool: &str, number: u32) {
    let line = format!("say {number}");
    let (awaited, _outcome) = start(rt, tool, json!({"say": line}));
    said(rt, &line);
    awaited.cancel();
}

fn settled(rt: &Runtime, generation: u32) {
    eventually("nothing is under way", || {
        let health = rt.plugin_health("p").unwrap();
        (health.state, health.generation, health.in_flight) == (State::Initialized, generation, 0)
    });
    let health = rt.plugin_health("p").unwrap();
    assert_eq!((health.error_count, health.quarantined), (0, false));
}

#[test]
fn one_that_listens_ends_at_once() {
    let rt = with(strict(1));
    cancelled(&rt, "until_cancelled", 1);
    settled(&rt, 1);
    assert!(call(&rt, "echo", json!({})).is_ok());
}

#[test]
fn one_that_does_not_is_ended_and_its_plugin_is_not_blamed() {
    let rt = with(strict(1));
    for generation in 1..=3 {
        cancelled(&rt, "hang", generation);
        let outcome = call(&rt, "echo", json!({}));
        assert!(outcome.is_ok(), "{outcome:?}");
        settled(&rt, generation + 1);
    }
}

#[test]
fn beside_a_sibling_it_waits_until_that_has_ended() {
    let rt = with(strict(2));
    let (_sibling, outcome) = start(&rt, "sleep", json!({"ms": "2500"}));
    cancelled(&rt, "hang", 1);
    let sibling = outcome.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(sibling.is_ok(), "{sibling:?}");
    assert_eq!(sibling.ended.generation, 1);
    settled(&rt, 2);
}

#[test]
fn nobody_waits_for_a_generation_that_will_not_come() {
    let rt = with(strict(1));
    let (awaited, _) = start(&rt, "hang", json!({"say": "say it"}));
    let waiting: Vec<_> = (0..3).map(|_| start(&rt, "echo", json!({})).1).collect();
    said(&rt, "say it");
    awaited.cancel();
    // About when it is ended by force: either of them may come first.
    std::thread::sleep(Duration::from_millis(900));
    rt.unload("p").unwrap();
    for outcome in waiting {
        let outcome = outcome.recv_timeout(Duration::from_secs(60)).unwrap();
        // Served by the next generation, or told that there is none.
        assert!(
            outcome.is_ok() || code(&outcome) == "PW-REG-001",
            "{outcome:?}"
        );
    }
}
