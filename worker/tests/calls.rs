//! Calls that go well, through real worker processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{call, code, runtime, with};
use plugward_core::call::{Args, CallOptions, OwnedTensor};
use plugward_core::lifecycle::State;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn bytes(n: usize) -> OwnedTensor {
    let dtype = plugward_abi::DType::U8;
    OwnedTensor {
        dtype,
        shape: vec![n as i64],
        data: vec![1; n].into(),
    }
}

#[test]
fn a_call_comes_back_from_another_process() {
    let rt = with(json!({}));
    let pid = call(&rt, "pid", json!({})).result.unwrap().value;
    assert_ne!(pid, json!(std::process::id()));
    let health = rt.plugin_health("p").unwrap();
    assert_eq!(json!(health.pid), pid);
    assert_eq!(health.isolation.as_str(), "process");
    let args = json!({"text": "ü", "n": [1, 2.5, null]});
    assert_eq!(call(&rt, "echo", args.clone()).result.unwrap().value, args);
    assert_eq!(rt.plugin_health("p").unwrap().state, State::Initialized);
}

#[test]
fn arrays_of_any_size_go_in_and_out() {
    let rt = with(json!({}));
    for size in [0, 1, 4096, 6_220_800, 40 << 20] {
        let args = Args::from(json!({})).with_tensors(vec![bytes(size)]);
        let outcome = rt.call("p", "sum", args, &CallOptions::default());
        assert_eq!(outcome.result.unwrap().value, json!(size), "{size}");
    }
    let reply = call(&rt, "big", json!({"mb": "20"})).result.unwrap();
    assert_eq!(*reply.tensors[0].data, vec![7; 20 << 20]);
}

#[test]
fn payloads_beyond_their_bound_are_refused_without_a_trace() {
    let rt = with(json!({"limits": {"result_mb": 8, "concurrency": 1}}));
    let huge = call(&rt, "big", json!({"mb": "9"}));
    assert_eq!(code(&huge), "PW-WORKER-007");
    let args = Args::from(json!({})).with_tensors(vec![bytes(257 << 20)]);
    let outcome = rt.call("p", "sum", args, &CallOptions::default());
    assert_eq!(code(&outcome), "PW-WORKER-006");
    assert!(call(&rt, "echo", json!({})).is_ok());
}

#[test]
fn many_callers_share_one_worker() {
    let rt = with(json!({"limits": {"concurrency": 4}}));
    std::thread::scope(|scope| {
        for n in 0..8 {
            let rt = &rt;
            scope.spawn(move || {
                for i in 0..200 {
                    let args = json!({"caller": n, "call": i});
                    assert_eq!(call(rt, "echo", args.clone()).result.unwrap().value, args);
                }
            });
        }
    });
    assert_eq!(rt.plugin_health("p").unwrap().success_count, 1600);
}

#[test]
fn progress_reaches_the_caller_and_may_end_the_call() {
    let rt = with(json!({}));
    let seen = Arc::new(AtomicU64::new(0));
    let there = Arc::clone(&seen);
    let options = CallOptions {
        progress: Some(Arc::new(move |n, of| {
            there.store(n, Ordering::Relaxed);
            of == 5 && n <= 5
        })),
        ..CallOptions::default()
    };
    assert!(rt.call("p", "progress", Args::default(), &options).is_ok());
    assert!(seen.load(Ordering::Relaxed) > 0);
    let options = CallOptions {
        progress: Some(Arc::new(|_, _| false)),
        ..CallOptions::default()
    };
    let outcome = rt.call("p", "until_cancelled", Args::default(), &options);
    assert_eq!(code(&outcome), "PW-CALL-013");
    assert!(
        call(&rt, "echo", json!({})).is_ok(),
        "a cancelled call costs nothing else"
    );
}

#[test]
fn a_plugins_own_error_keeps_its_words() {
    let rt = with(json!({"fails_on": "crash"}));
    let outcome = call(&rt, "raise", json!({"why": "not today"}));
    let error = outcome.result.unwrap_err();
    assert_eq!((error.kind(), error.message()), ("ValueError", "not today"));
}

#[test]
fn what_a_plugin_prints_is_logged_under_its_name() {
    let rt = with(json!({}));
    assert!(call(&rt, "stdout", json!({})).is_ok());
    common::eventually("the line is logged", || {
        let recent = rt.log().recent();
        recent
            .iter()
            .any(|r| r.message == "said on stdout" && r.plugin.as_deref() == Some("p"))
    });
}

#[test]
fn restart_gives_another_process_and_ends_the_old_one() {
    let rt = with(json!({}));
    let old = rt.plugin_health("p").unwrap().pid.unwrap();
    assert!(rt.restart("p").unwrap().is_ok());
    let new = rt.plugin_health("p").unwrap().pid.unwrap();
    assert_ne!(old, new);
    common::eventually("the old worker ends", || !common::is_alive(old));
    assert!(call(&rt, "echo", json!({})).is_ok());
    rt.close();
    common::eventually("close ends the worker", || !common::is_alive(new));
}

#[test]
fn who_names_an_isolation_gets_it() {
    let rt = runtime();
    let report = common::load(&rt, "p", json!({"isolation": "inline"}));
    assert!(report.is_ok(), "{:?}", report.error);
    let pid = call(&rt, "pid", json!({})).result.unwrap().value;
    assert_eq!(pid, json!(std::process::id()));
}

#[test]
fn an_answer_of_an_earlier_call_is_never_taken_for_a_later_ones() {
    for tool in ["scribbles_words", "scribbles"] {
        let rt = with(json!({"limits": {"concurrency": 1}}));
        let first = call(&rt, "echo", json!({"text": "of the first call"}));
        assert!(first.is_ok(), "{:?}", first.result);
        // Its worker cannot say where its own answer is: the first one still lies there.
        let second = call(&rt, tool, json!({}));
        assert_eq!(code(&second), "PW-WORKER-008", "{:?}", second.result);
        assert_eq!(rt.plugin_health("p").unwrap().state, State::Failed);
    }
}
