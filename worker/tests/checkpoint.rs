//! What a plugin has kept is there for its next generation, however the last one ended.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{call, code, eventually, keeper, keeper_manifest, runtime};
use plugward_core::lifecycle::State;
use plugward_core::manifest::Manifest;
use plugward_core::runtime::{LoadReport, Runtime};
use serde_json::{Value, json};

fn load(rt: &Runtime, name: &str, flags: &[&str], more: Value) -> LoadReport {
    let manifest = keeper_manifest("p", &keeper(name, flags), more);
    rt.load(Manifest::from_value(manifest).unwrap())
}

fn ask(rt: &Runtime, tool: &str) -> Value {
    call(rt, tool, json!({})).result.unwrap().value
}

fn generation(rt: &Runtime) -> (State, u32) {
    let health = rt.plugin_health("p").unwrap();
    (health.state, health.generation)
}

#[test]
fn it_survives_the_workers_death_and_a_restart_by_hand() {
    let rt = runtime();
    assert!(load(&rt, "keeper", &[], json!({})).is_ok());
    let first = ask(&rt, "count");
    assert_eq!(
        (&first["count"], &first["restored"]),
        (&json!(1), &json!(false))
    );
    assert_ne!(first["pid"], std::process::id(), "it has its own process");
    ask(&rt, "count");
    assert_eq!(code(&call(&rt, "die", json!({}))), "PW-WORKER-004");
    eventually("it is back", || generation(&rt) == (State::Initialized, 2));
    let second = ask(&rt, "look");
    assert_eq!(
        (&second["count"], &second["restored"]),
        (&json!(2), &json!(true))
    );
    assert_ne!(second["pid"], first["pid"]);
    // Nothing new was kept in this generation: what it was given counts on.
    assert!(rt.restart("p").unwrap().is_ok());
    assert_eq!(ask(&rt, "count")["count"], 3);
    rt.unload("p").unwrap();
    assert!(load(&rt, "keeper", &[], json!({})).is_ok());
    assert_eq!(ask(&rt, "look")["restored"], false, "another plugin's life");
}

#[test]
fn it_is_bounded_and_a_refused_one_changes_nothing() {
    let rt = runtime();
    assert!(
        load(
            &rt,
            "keeper_huge",
            &[],
            json!({"limits": {"memory_mb": 64}})
        )
        .is_ok()
    );
    ask(&rt, "count");
    assert_eq!(ask(&rt, "huge"), "refused");
    assert!(rt.restart("p").unwrap().is_ok());
    assert_eq!(ask(&rt, "look")["count"], 1);
    let said = |r: &plugward_core::log::Record| r.message.contains("a checkpoint of 16.0 MiB");
    eventually("the reason is in the log", || {
        rt.log().recent().iter().any(said)
    });
}

#[test]
fn a_state_that_cannot_be_taken_up_fails_two_loads_and_is_given_up() {
    for (flag, expected) in [("-DREFUSES", "PW-LOAD-009"), ("-DCRASHES", "PW-WORKER-004")] {
        let rt = runtime();
        let never = json!({"restart": {"policy": "never"}});
        assert!(load(&rt, &format!("keeper{flag}"), &[flag], never).is_ok());
        ask(&rt, "count");
        for generation in 2..=3 {
            let report = rt.restart("p").unwrap();
            let error = report.error.expect("it cannot take its state up");
            assert_eq!(
                (report.generation, error.code().as_str()),
                (generation, expected)
            );
        }
        assert!(rt.restart("p").unwrap().is_ok(), "the third begins afresh");
        assert_eq!(ask(&rt, "look")["restored"], false);
    }
}

#[test]
fn in_process_plugins_keep_theirs_too() {
    for isolation in ["inline", "thread"] {
        let rt = runtime();
        assert!(load(&rt, "keeper_in", &[], json!({"isolation": isolation})).is_ok());
        ask(&rt, "count");
        assert_eq!(ask(&rt, "huge"), "refused");
        assert!(rt.restart("p").unwrap().is_ok());
        let seen = ask(&rt, "look");
        assert_eq!(
            (&seen["count"], &seen["restored"]),
            (&json!(1), &json!(true))
        );
    }
}

#[test]
fn a_warm_spare_takes_it_up_as_well() {
    let rt = runtime();
    let more = json!({"spares": 1, "restart": {"policy": "on_failure", "max": 5, "within_s": 60,
        "backoff_ms": [600_000, 600_000]}});
    assert!(load(&rt, "keeper_spare", &[], more).is_ok());
    for deaths in 1..=3 {
        eventually("a spare is ready", || {
            rt.plugin_health("p").unwrap().spares == 1
        });
        assert_eq!(ask(&rt, "count")["count"], deaths);
        assert_eq!(code(&call(&rt, "die", json!({}))), "PW-WORKER-004");
        eventually("it is back", || {
            generation(&rt) == (State::Initialized, deaths + 1)
        });
        let seen = ask(&rt, "look");
        assert_eq!(
            (&seen["count"], &seen["restored"]),
            (&json!(deaths), &json!(true))
        );
    }
}
