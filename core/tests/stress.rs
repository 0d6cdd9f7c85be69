//! A thousand callers and health readers against ten writers: nobody stalls, nothing tears.
//!
//! Runs for `PLUGWARD_STRESS_SECONDS`, 60 where it is not set; every thread must make progress in
//! every sixth of the run.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod common;

use common::{call_with, load, runtime};
use plugward_core::Code;
use plugward_core::call::Fault;
use plugward_core::lifecycle::State;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PLUGINS: usize = 50;
const CALLERS: usize = 500;
const READERS: usize = 500;
const WRITERS: usize = 10;
const WINDOWS: u32 = 6;
/// Between two steps of a thread, so that the test measures locks and not the scheduler.
const PAUSE: Duration = Duration::from_millis(50);

fn seconds() -> u64 {
    std::env::var("PLUGWARD_STRESS_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(60)
}

fn name(n: usize) -> String {
    format!("plugin-{:02}", n % PLUGINS)
}

fn what(at: usize) -> String {
    match at {
        at if at < CALLERS => format!("caller {at}"),
        at if at < CALLERS + READERS => format!("reader {at}"),
        at => format!("writer {at}"),
    }
}

struct Progress {
    stop: AtomicBool,
    counts: Vec<AtomicU64>,
}

fn spawn(
    progress: &Arc<Progress>,
    at: usize,
    mut step: impl FnMut(usize) + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let progress = Arc::clone(progress);
    let body = move || {
        let mut n = at;
        while !progress.stop.load(Ordering::Relaxed) {
            step(n);
            n = n.wrapping_add(7);
            progress.counts[at].fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(PAUSE);
        }
    };
    std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(body)
        .unwrap()
}

#[test]
fn a_thousand_callers_and_readers_against_ten_writers() {
    let rt = runtime();
    for n in 0..PLUGINS {
        load(&rt, &name(n), json!({"isolation": "inline"}), |c| {
            match c.args.value().get("fail") {
                Some(_) => Err(common::raised("ValueError")),
                None => Ok(c.args.value().clone().into()),
            }
        });
    }
    let threads = CALLERS + READERS + WRITERS;
    let counts = (0..threads).map(|_| AtomicU64::new(0)).collect();
    let progress = Arc::new(Progress {
        stop: AtomicBool::new(false),
        counts,
    });
    let mut handles = Vec::new();
    for at in 0..CALLERS {
        let rt = rt.clone();
        handles.push(spawn(&progress, at, move |n| {
            let outcome = call_with(&rt, &name(n), json!({"n": n}), Some(30_000));
            if let Ok(reply) = &outcome.result {
                assert_eq!(reply.value["n"], n);
            }
        }));
    }
    for at in CALLERS..CALLERS + READERS {
        let rt = rt.clone();
        handles.push(spawn(&progress, at, move |n| {
            let health = rt.plugin_health(&name(n)).unwrap();
            let explained = health.reason.is_some() && health.last_error.is_some();
            assert_eq!(health.state == State::Failed, explained, "{health:?}");
            let counted = health.in_flight > 0;
            match health.state {
                State::Loaded | State::Initialized => assert!(!counted, "{health:?}"),
                State::Running => assert!(counted, "{health:?}"),
                State::Failed | State::Unavailable => {}
            }
        }));
    }
    for at in CALLERS + READERS..threads {
        let rt = rt.clone();
        handles.push(spawn(&progress, at, move |n| {
            let plugin = name(n);
            let failed = call_with(&rt, &plugin, json!({"fail": true}), Some(30_000));
            assert!(failed.result.is_err());
            // With a thousand runnable threads on two cores the holder of a lock may not be
            // scheduled for a second: then "busy" is the promised answer, and nothing hangs.
            match rt.restart(&plugin) {
                Ok(report) => assert!(report.generation > 1),
                Err(error) => assert_eq!(error.code(), Code::RegistryBusy, "{error}"),
            }
        }));
    }
    let window = Duration::from_millis(seconds() * 1000 / u64::from(WINDOWS));
    // A thousand threads take their time to start, above all under a sanitizer.
    let begin = Instant::now();
    while progress
        .counts
        .iter()
        .any(|c| c.load(Ordering::Relaxed) == 0)
    {
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "some threads never began"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let count = || {
        progress
            .counts
            .iter()
            .map(|c| c.load(Ordering::Relaxed))
            .collect::<Vec<u64>>()
    };
    let mut before = count();
    for n in 1..=WINDOWS {
        let until = Instant::now() + window;
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        let now = count();
        let stalled: Vec<String> = (0..threads)
            .filter(|at| now[*at] == before[*at])
            .map(what)
            .collect();
        assert!(stalled.is_empty(), "no progress in window {n}: {stalled:?}");
        before = now;
    }
    progress.stop.store(true, Ordering::Relaxed);
    for handle in handles {
        handle.join().unwrap();
    }
    for health in rt.health() {
        assert_eq!(health.in_flight, 0, "{health:?}");
        assert_eq!(health.waiting, 0);
    }
    let calls: u64 = before[..CALLERS].iter().sum();
    let reads: u64 = before[CALLERS..CALLERS + READERS].iter().sum();
    let writes: u64 = before[CALLERS + READERS..].iter().sum();
    println!("calls {calls}, reads {reads}, restarts {writes}");
}

#[test]
fn calls_of_many_threads_with_short_deadlines_lose_nothing() {
    let rt = runtime();
    load(
        &rt,
        "p",
        json!({"isolation": "thread", "fails_on": "crash"}),
        |c| match c.args.value()["n"].as_u64() {
            Some(n) if n % 3 == 0 => Err(Fault::RefusedInput {
                message: "three".into(),
            }),
            _ => Ok(c.args.value().clone().into()),
        },
    );
    let answered = Arc::new(AtomicU64::new(0));
    std::thread::scope(|s| {
        for t in 0..16_u64 {
            let (rt, answered) = (rt.clone(), Arc::clone(&answered));
            s.spawn(move || {
                for n in 0..500 {
                    let n = t * 1000 + n;
                    let outcome = call_with(&rt, "p", json!({"n": n}), Some(30_000));
                    assert_eq!(outcome.is_ok(), n % 3 != 0, "{:?}", outcome.result);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(answered.load(Ordering::Relaxed), 8000);
    let health = rt.plugin_health("p").unwrap();
    assert_eq!((health.in_flight, health.abandoned_threads), (0, 0));
}
