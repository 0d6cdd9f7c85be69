//! Hot swap and stop of plugins in processes of their own, from manifests on disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{call, code, eventually, is_alive, keeper, keeper_manifest, runtime, said};
use plugward_core::call::{Args, CallOptions};
use plugward_core::lifecycle::State;
use plugward_core::runtime::{LoadReport, Runtime};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Writes the manifest of the plugin of that name; `flags` make its edition.
fn write(folder: &Path, name: &str, flags: &[&str], more: Value) {
    let edition: String = flags
        .concat()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let file = format!("{}-{name}-{edition}", folder.file_name().unwrap().display());
    let manifest = keeper_manifest(name, &keeper(&file, flags), more);
    let text = serde_json::to_string(&manifest).unwrap();
    std::fs::write(folder.join(format!("{name}.json")), text).unwrap();
}

fn load(rt: &Runtime, folder: &Path, name: &str) -> LoadReport {
    let mut reports = rt.load_path(&folder.join(format!("{name}.json")));
    assert_eq!(reports.len(), 1);
    reports.pop().unwrap()
}

fn ask(rt: &Runtime, tool: &str, args: Value) -> Value {
    call(rt, tool, args).result.unwrap().value
}

fn pid(rt: &Runtime, name: &str) -> u32 {
    rt.plugin_health(name).unwrap().pid.unwrap()
}

const SECOND: &[&str] = &["-DEDITION=\"two\""];

#[test]
fn a_long_call_ends_well_in_the_old_process_while_the_new_one_serves() {
    let (rt, folder) = (runtime(), tempfile::tempdir().unwrap());
    write(folder.path(), "p", &[], json!({}));
    write(folder.path(), "sibling", &[], json!({}));
    for name in ["p", "sibling"] {
        assert!(load(&rt, folder.path(), name).is_ok());
    }
    let (old, sibling) = (pid(&rt, "p"), pid(&rt, "sibling"));
    ask(&rt, "count", json!({}));
    write(
        folder.path(),
        "p",
        SECOND,
        json!({"description": "the second"}),
    );
    let (file, other) = (folder.path().join("go"), folder.path().join("go_too"));
    std::thread::scope(|scope| {
        let long = scope.spawn(|| ask(&rt, "nap", json!({"until": file})));
        let beside = scope.spawn(|| {
            let args = Args::from(json!({"until": other}));
            rt.call("sibling", "nap", args, &CallOptions::default())
        });
        for file in [&file, &other] {
            said(&rt, &format!("naps until {}", file.display()));
        }
        let reload = scope.spawn(|| rt.reload("p").unwrap());
        eventually("the second serves", || {
            rt.plugin_health("p").unwrap().generation == 2
        });
        let seen = ask(&rt, "look", json!({}));
        assert_eq!(
            (&seen["edition"], &seen["count"]),
            (&json!("two"), &json!(1))
        );
        assert_ne!(seen["pid"], old);
        assert!(is_alive(old), "it still has a call");
        for file in [&file, &other] {
            std::fs::write(file, "").unwrap();
        }
        let long = long.join().unwrap();
        assert_eq!(
            (&long["pid"], &long["edition"]),
            (&json!(old), &json!("one"))
        );
        let report = reload.join().unwrap();
        assert_eq!(
            (report.is_ok(), report.cut_off),
            (true, 0),
            "{:?}",
            report.error
        );
        assert!(beside.join().unwrap().is_ok());
    });
    eventually("the old process is gone", || !is_alive(old));
    let health = rt.plugin_health("p").unwrap();
    assert_eq!(
        (health.description.as_deref(), health.restarts),
        (Some("the second"), 0)
    );
    assert_eq!(pid(&rt, "sibling"), sibling);
    assert_eq!(rt.plugin_health("sibling").unwrap().generation, 1);
}

#[test]
fn a_new_version_that_is_broken_changes_nothing() {
    let (rt, folder) = (runtime(), tempfile::tempdir().unwrap());
    write(folder.path(), "p", &[], json!({}));
    assert!(load(&rt, folder.path(), "p").is_ok());
    let old = pid(&rt, "p");
    ask(&rt, "count", json!({}));
    let manifest = folder.path().join("p.json");
    let broken: [(&str, &dyn Fn()); 5] = [
        ("PW-LOAD-005", &|| {
            write(folder.path(), "p", &["-DUNFIT"], json!({}))
        }),
        ("PW-LOAD-009", &|| {
            write(folder.path(), "p", &["-DREFUSES"], json!({}))
        }),
        ("PW-MODEL-001", &|| {
            write(
                folder.path(),
                "p",
                SECOND,
                json!({"models": {"m": "/nowhere/m.pt"}}),
            );
        }),
        ("PW-MAN-002", &|| std::fs::write(&manifest, "{").unwrap()),
        ("PW-MAN-004", &|| {
            write(folder.path(), "q", SECOND, json!({}));
            std::fs::rename(folder.path().join("q.json"), &manifest).unwrap();
        }),
    ];
    for (expected, break_it) in broken {
        break_it();
        let report = rt.reload("p").unwrap();
        let error = report.error.expect(expected);
        assert_eq!(error.code().as_str(), expected, "{error}");
        assert_eq!((report.state, report.generation), (State::Initialized, 1));
        assert_eq!(pid(&rt, "p"), old);
        assert_eq!(ask(&rt, "look", json!({}))["count"], 1);
    }
    write(folder.path(), "p", SECOND, json!({}));
    assert!(rt.reload("p").unwrap().is_ok());
    assert_eq!(ask(&rt, "look", json!({}))["count"], 1);
}

#[test]
fn under_load_from_eight_threads_not_one_call_is_lost() {
    let (rt, folder) = (runtime(), tempfile::tempdir().unwrap());
    write(
        folder.path(),
        "p",
        &[],
        json!({"limits": {"concurrency": 4}}),
    );
    assert!(load(&rt, folder.path(), "p").is_ok());
    let (done, calls) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let outcome = call(&rt, "nap", json!({"ms": 1}));
                    assert!(outcome.is_ok(), "{:?}", outcome.result);
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for n in 2..=8 {
            let report = rt.reload("p").unwrap();
            assert_eq!(
                (report.is_ok(), report.generation),
                (true, n),
                "{:?}",
                report.error
            );
        }
        done.store(true, Ordering::SeqCst);
    });
    let health = rt.plugin_health("p").unwrap();
    assert_eq!(
        (health.generation, health.error_count, health.late_results),
        (8, 0, 0)
    );
    assert_eq!(
        health.success_count,
        u64::from(calls.load(Ordering::SeqCst))
    );
}

#[test]
fn a_stopped_plugin_has_no_process_and_is_not_revived() {
    let (rt, folder) = (runtime(), tempfile::tempdir().unwrap());
    write(folder.path(), "p", &[], json!({"spares": 1}));
    assert!(load(&rt, folder.path(), "p").is_ok());
    eventually("a spare is ready", || {
        rt.plugin_health("p").unwrap().spares == 1
    });
    let old = pid(&rt, "p");
    ask(&rt, "count", json!({}));
    let long = std::thread::scope(|scope| {
        let long = scope.spawn(|| ask(&rt, "nap", json!({"ms": 300})));
        eventually("the call runs", || {
            rt.plugin_health("p").unwrap().in_flight == 1
        });
        assert_eq!(rt.stop("p").unwrap().cut_off, 0);
        long.join().unwrap()
    });
    assert_eq!(long["pid"], old, "it ended well");
    assert!(!is_alive(old));
    let health = rt.plugin_health("p").unwrap();
    assert_eq!(
        (health.state, health.pid, health.spares),
        (State::Unavailable, None, 0)
    );
    assert_eq!(code(&call(&rt, "look", json!({}))), "PW-LIFE-003");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let health = rt.plugin_health("p").unwrap();
    assert_eq!(
        (health.state, health.spares),
        (State::Unavailable, 0),
        "nobody revives it"
    );
    assert!(rt.restart("p").unwrap().is_ok());
    assert_eq!(
        ask(&rt, "look", json!({}))["count"],
        1,
        "what it kept is there"
    );
    eventually("spares again", || {
        rt.plugin_health("p").unwrap().spares == 1
    });
}

#[test]
fn who_dies_while_its_successor_fails_to_come_up_is_restarted() {
    let (rt, folder) = (runtime(), tempfile::tempdir().unwrap());
    write(folder.path(), "p", &[], json!({}));
    assert!(load(&rt, folder.path(), "p").is_ok());
    // A probe that waits and then fails: time enough to die.
    let file = folder.path().join("go");
    let probe =
        json!({"tool": "nap", "args": {"until": file}, "expect_schema": {"type": "string"}});
    write(folder.path(), "p", SECOND, json!({"probe": probe}));
    let report = std::thread::scope(|scope| {
        let reload = scope.spawn(|| rt.reload("p").unwrap());
        said(&rt, &format!("naps until {}", file.display()));
        assert_eq!(code(&call(&rt, "die", json!({}))), "PW-WORKER-004");
        // Its restart is due meanwhile, and finds the reload under way.
        std::thread::sleep(std::time::Duration::from_millis(200));
        std::fs::write(&file, "").unwrap();
        reload.join().unwrap()
    });
    assert_eq!(report.error.unwrap().code().as_str(), "PW-LOAD-006");
    eventually("the old version is back", || {
        let health = rt.plugin_health("p").unwrap();
        (health.state, health.generation) == (State::Initialized, 2)
    });
    assert_eq!(ask(&rt, "look", json!({}))["edition"], "one");
}
