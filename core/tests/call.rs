//! Calls through the whole core: every kind of fault, inline and on a thread.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::{call, call_with, eventually, load, raised, runtime};
use plugward_core::Code;
use plugward_core::call::{Args, CallOptions, Effect, Fault};
use plugward_core::lifecycle::State;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const LEVELS: [&str; 2] = ["inline", "thread"];

#[test]
fn a_good_call_answers_and_leaves_the_plugin_initialized() {
    for level in LEVELS {
        let rt = runtime();
        load(&rt, "p", json!({"isolation": level}), |c| {
            Ok(c.args.value().clone().into())
        });
        let outcome = call_with(&rt, "p", json!({"x": 1}), Some(30_000));
        assert_eq!(outcome.result.unwrap().value, json!({"x": 1}), "{level}");
        assert_eq!(outcome.ended.effect, Effect::Completed);
        let health = rt.plugin_health("p").unwrap();
        assert_eq!(
            (health.state, health.success_count, health.in_flight),
            (State::Initialized, 1, 0)
        );
        assert!(health.last_used.is_some() && health.uptime_seconds.is_some());
    }
}

#[test]
fn every_fault_is_an_outcome_and_ends_the_generation() {
    for level in LEVELS {
        for (fault, code) in [
            (raised("ValueError"), Code::CallPluginError),
            (
                Fault::Exited {
                    status: "3".into(),
                    traceback: None,
                },
                Code::CallExited,
            ),
            (
                Fault::Memory {
                    message: "too much".into(),
                },
                Code::CallMemory,
            ),
        ] {
            let rt = runtime();
            let given = fault.clone();
            load(&rt, "p", json!({"isolation": level}), move |_| {
                Err(given.clone())
            });
            let error = call(&rt, "p").result.unwrap_err();
            assert_eq!(error.code(), code, "{level}");
            let health = rt.plugin_health("p").unwrap();
            assert_eq!((health.state, health.error_count), (State::Failed, 1));
            assert!(health.reason.unwrap().contains(error.message()));
            let refused = call(&rt, "p").result.unwrap_err();
            assert_eq!(refused.code(), Code::CallPluginFailed);
            assert!(refused.message().contains(error.message()), "{refused}");
        }
    }
}

#[test]
fn a_panic_is_contained_and_named() {
    for level in LEVELS {
        let rt = runtime();
        load(&rt, "p", json!({"isolation": level}), |_| {
            panic!("on purpose")
        });
        let error = call(&rt, "p").result.unwrap_err();
        assert_eq!(error.code(), Code::CallPanicked);
        assert!(error.message().contains("on purpose"));
        assert_eq!(rt.plugin_health("p").unwrap().state, State::Failed);
    }
}

#[test]
fn fails_on_crash_keeps_the_plugin_after_an_exception() {
    let rt = runtime();
    load(&rt, "p", json!({"fails_on": "crash"}), |_| {
        Err(raised("ValueError"))
    });
    for n in 1..4 {
        assert_eq!(call(&rt, "p").result.unwrap_err().kind(), "ValueError");
        let health = rt.plugin_health("p").unwrap();
        assert_eq!((health.state, health.error_count), (State::Initialized, n));
    }
}

#[test]
fn bad_input_never_reaches_the_plugin_nor_harms_it() {
    let rt = runtime();
    let entered = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&entered);
    let schema =
        json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let tools = json!({"tools": [{"id": "t", "input_schema": schema}]});
    load(&rt, "p", tools, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Err(Fault::RefusedInput {
            message: "n is odd".into(),
        })
    });
    let error = call_with(&rt, "p", json!({"n": "x"}), None)
        .result
        .unwrap_err();
    assert_eq!(error.code(), Code::CallInvalidInput);
    assert_eq!(entered.load(Ordering::Relaxed), 0);
    let error = call_with(&rt, "p", json!({"n": 1}), None)
        .result
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::CallRefusedInput, "n is odd")
    );
    let health = rt.plugin_health("p").unwrap();
    assert_eq!((health.state, health.error_count), (State::Initialized, 0));
}

#[test]
fn a_broken_promise_on_the_result_is_an_error_but_no_fault() {
    let rt = runtime();
    let tools = json!({"tools": [{"id": "t", "output_schema": {"type": "integer"}}]});
    load(&rt, "p", tools, |_| Ok(json!("text").into()));
    assert_eq!(
        call(&rt, "p").result.unwrap_err().code(),
        Code::CallInvalidOutput
    );
    assert_eq!(rt.plugin_health("p").unwrap().state, State::Initialized);
}

#[test]
fn an_error_field_counts_as_an_error() {
    let rt = runtime();
    load(&rt, "p", json!({"error_field": "error"}), |c| {
        Ok(c.args.value().clone().into())
    });
    assert!(call_with(&rt, "p", json!({"error": null}), None).is_ok());
    let error = call_with(&rt, "p", json!({"error": "no model"}), None)
        .result
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::CallErrorField, "no model")
    );
    assert_eq!(rt.plugin_health("p").unwrap().error_count, 1);
}

#[test]
fn a_hang_on_a_thread_costs_its_caller_only_the_deadline() {
    let rt = runtime();
    let (release, gate) = mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    load(&rt, "p", json!({"isolation": "thread"}), move |_| {
        let _ = gate.lock().recv_timeout(Duration::from_secs(60));
        Ok(json!("late").into())
    });
    let since = Instant::now();
    let outcome = call_with(&rt, "p", json!({}), Some(1000));
    assert!(since.elapsed() >= Duration::from_secs(1));
    // It is stuck still: whoever had waited for it would have its late answer.
    assert_eq!(outcome.ended.effect, Effect::MayHaveRun);
    assert_eq!(outcome.result.unwrap_err().code(), Code::CallDeadline);
    let health = rt.plugin_health("p").unwrap();
    assert_eq!(
        (health.state, health.abandoned_threads, health.in_flight),
        (State::Failed, 1, 0)
    );

    let report = rt.restart("p").unwrap();
    assert_eq!((report.state, report.generation), (State::Initialized, 2));
    assert_eq!(
        rt.plugin_health("p").unwrap().abandoned_threads,
        1,
        "still stuck, still named"
    );
    release.send(()).unwrap();
    eventually("the late answer is counted", || {
        rt.plugin_health("p").unwrap().late_results == 1
    });
    eventually("its thread is back", || {
        rt.plugin_health("p").unwrap().abandoned_threads == 0
    });
    let health = rt.plugin_health("p").unwrap();
    assert_eq!((health.late_results, health.abandoned_threads), (1, 0));
    assert_eq!(
        health.state,
        State::Initialized,
        "the late answer changed nothing"
    );
}

#[test]
fn an_inline_call_that_overstays_says_so_and_flags_the_plugin_at_its_deadline() {
    let rt = runtime();
    let (release, gate) = mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    load(&rt, "p", json!({"isolation": "inline"}), move |_| {
        let _ = gate.lock().recv();
        Ok(json!(1).into())
    });
    let other = rt.clone();
    let caller = std::thread::spawn(move || call_with(&other, "p", json!({}), Some(50)));
    eventually("it is flagged while it still hangs", || {
        rt.plugin_health("p").unwrap().state == State::Failed
    });
    release.send(()).unwrap();
    let outcome = caller.join().unwrap();
    assert_eq!(outcome.ended.effect, Effect::Completed);
    let error = outcome.result.unwrap_err();
    assert_eq!(error.code(), Code::CallDeadline);
    assert!(error.message().contains("came back late"), "{error}");
}

#[test]
fn what_stops_at_its_deadline_was_stopped_by_it_however_soon_that_is() {
    for level in LEVELS {
        let rt = runtime();
        load(&rt, "p", json!({"isolation": level}), |c| {
            // It never sleeps: it is quicker than whoever watches the clock.
            while !(c.should_stop)() {
                std::hint::spin_loop();
            }
            Err(Fault::Cancelled)
        });
        for _ in 0..5 {
            let outcome = call_with(&rt, "p", json!({}), Some(100));
            let code = outcome.result.unwrap_err().code();
            assert_eq!(code, Code::CallDeadline, "{level}");
            if level == "inline" {
                assert_eq!(outcome.ended.effect, Effect::Stopped);
            }
            assert_eq!(rt.plugin_health("p").unwrap().state, State::Failed);
            assert!(rt.restart("p").unwrap().is_ok());
        }
    }
}

#[test]
fn a_result_of_an_old_generation_is_refused() {
    let rt = runtime();
    let (entered, inside) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    load(&rt, "p", json!({}), move |_| {
        entered.send(()).unwrap();
        let _ = gate.lock().recv();
        Ok(json!(1).into())
    });
    let other = rt.clone();
    let caller = std::thread::spawn(move || call(&other, "p"));
    inside.recv().unwrap();
    rt.restart("p").unwrap();
    release.send(()).unwrap();
    assert_eq!(
        caller.join().unwrap().result.unwrap_err().code(),
        Code::LifecycleStale
    );
    let health = rt.plugin_health("p").unwrap();
    assert_eq!(
        (health.state, health.success_count, health.restarts),
        (State::Initialized, 0, 1)
    );
}

#[test]
fn concurrency_is_bounded_the_queue_too_and_waiters_get_their_turn() {
    let rt = runtime();
    let (release, gate) = mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    let limits = json!({"limits": {"concurrency": 1, "queue": 1}});
    load(&rt, "p", limits, move |_| {
        let _ = gate.lock().recv();
        Ok(json!(1).into())
    });
    let spawn = |ms| {
        let rt = rt.clone();
        std::thread::spawn(move || call_with(&rt, "p", json!({}), ms))
    };
    let in_flight = || rt.plugin_health("p").unwrap().in_flight == 1;
    let first = spawn(None);
    eventually("it runs", in_flight);
    let second = spawn(None);
    eventually("it waits", || rt.plugin_health("p").unwrap().waiting == 1);
    assert_eq!(call(&rt, "p").result.unwrap_err().code(), Code::CallBusy);
    release.send(()).unwrap();
    release.send(()).unwrap();
    assert!(first.join().unwrap().is_ok());
    assert!(second.join().unwrap().is_ok());
    let third = spawn(None);
    eventually("it runs", in_flight);
    let late = call_with(&rt, "p", json!({}), Some(50));
    assert_eq!(late.result.unwrap_err().code(), Code::CallQueueTimeout);
    assert_eq!(late.ended.effect, Effect::NotStarted);
    release.send(()).unwrap();
    assert!(third.join().unwrap().is_ok());
    assert_eq!(
        rt.plugin_health("p").unwrap().state,
        State::Initialized,
        "waiting is no fault"
    );
}

#[test]
fn waiters_learn_that_the_plugin_failed() {
    let rt = runtime();
    let (release, gate) = mpsc::channel::<()>();
    let gate = parking_lot::Mutex::new(gate);
    load(&rt, "p", json!({"limits": {"concurrency": 1}}), move |_| {
        let _ = gate.lock().recv();
        Err(raised("ValueError"))
    });
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let rt = rt.clone();
            std::thread::spawn(move || call(&rt, "p").result.unwrap_err().code())
        })
        .collect();
    eventually("the others wait", || {
        rt.plugin_health("p").unwrap().waiting == 3
    });
    release.send(()).unwrap();
    let mut codes: Vec<_> = calls.into_iter().map(|c| c.join().unwrap()).collect();
    codes.sort();
    let failed = Code::CallPluginFailed;
    assert_eq!(codes, [Code::CallPluginError, failed, failed, failed]);
}

#[test]
fn progress_runs_on_the_callers_thread_and_can_cancel() {
    for level in LEVELS {
        let rt = runtime();
        load(&rt, "p", json!({"isolation": level}), |c| {
            for n in 1..=10 {
                if !(c.progress)(n, 10) {
                    return Err(Fault::Cancelled);
                }
            }
            Ok(json!(10).into())
        });
        let here = std::thread::current().id();
        let seen = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&seen);
        let progress: Arc<dyn Fn(u64, u64) -> bool + Send + Sync> = Arc::new(move |n, of| {
            assert_eq!((std::thread::current().id(), of), (here, 10));
            count.fetch_add(1, Ordering::Relaxed);
            n < 5
        });
        let options = CallOptions {
            deadline: Some(Duration::from_secs(30)),
            progress: Some(progress),
        };
        let outcome = rt.call("p", "t", Args::default(), &options);
        assert_eq!(
            outcome.result.unwrap_err().code(),
            Code::CallCancelled,
            "{level}"
        );
        assert_eq!(seen.load(Ordering::Relaxed), 5, "{level}");
    }
}

#[test]
fn plugins_that_call_one_another_for_ever_are_stopped() {
    let rt = runtime();
    let inner = rt.clone();
    load(
        &rt,
        "p",
        json!({"isolation": "inline", "fails_on": "crash"}),
        move |_| match call(&inner, "p").result {
            Ok(reply) => Ok(reply),
            Err(e) => Err(Fault::Error(e)),
        },
    );
    assert_eq!(call(&rt, "p").result.unwrap_err().code(), Code::CallNested);
    assert_eq!(rt.plugin_health("p").unwrap().in_flight, 0);
}

#[test]
fn unknown_names_come_with_a_hint() {
    let rt = runtime();
    load(&rt, "videotracker", json!({}), |_| Ok(json!(1).into()));
    let error = call(&rt, "videotraker").result.unwrap_err();
    assert_eq!(error.code(), Code::RegistryUnknownPlugin);
    assert!(error.message().contains("\"videotracker\""), "{error}");
    let outcome = rt.call(
        "videotracker",
        "track",
        Args::default(),
        &CallOptions::default(),
    );
    let error = outcome.result.unwrap_err();
    assert_eq!(error.code(), Code::RegistryUnknownTool);
    assert!(error.message().contains("it has: t"), "{error}");
}

/// Progress reports once came before the deadline, so a plugin that floods them was never cut.
#[test]
fn a_flood_of_progress_does_not_outlive_the_deadline() {
    let rt = runtime();
    load(&rt, "p", json!({"isolation": "thread"}), |c| {
        let until = Instant::now() + Duration::from_secs(120);
        while Instant::now() < until && (c.progress)(1, 2) {}
        Ok(json!(1).into())
    });
    let progress: Arc<dyn Fn(u64, u64) -> bool + Send + Sync> = Arc::new(|_, _| true);
    let deadline = Some(Duration::from_secs(1));
    let since = Instant::now();
    let options = CallOptions {
        deadline,
        progress: Some(progress),
    };
    let outcome = rt.call("p", "t", Args::default(), &options);
    assert_eq!(outcome.result.unwrap_err().code(), Code::CallDeadline);
    assert!(since.elapsed() < Duration::from_secs(60));
}
