//! Replays `tests/conformance/*.json` on the core itself; the doors replay the same files.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{eventually, load, runtime};
use plugward_core::Error;
use plugward_core::call::{Args, Call, CallOptions, Fault, Reply};
use plugward_core::lifecycle::Event;
use plugward_core::runtime::{LoadReport, Runtime};
use serde_json::{Value, json};
use std::time::Duration;

const DOOR: &str = "core";

fn behave(call: &Call<'_>) -> Result<Reply, Fault> {
    let args = call.args.value();
    let text = |key: &str| args[key].as_str().unwrap_or_default().to_owned();
    match call.tool.spec.id.as_str() {
        "echo" => Ok(args.clone().into()),
        "text" => Ok(json!("text").into()),
        "raise" => Err(Fault::Raised {
            kind: text("type"),
            message: text("message"),
            traceback: None,
        }),
        "refuse" => Err(Fault::RefusedInput {
            message: text("message"),
        }),
        "hang" => {
            std::thread::sleep(Duration::from_secs(4));
            Ok(json!("late").into())
        }
        other => panic!("no tool {other}"),
    }
}

fn event(name: &str) -> Event {
    match name {
        "ready" => Event::Ready,
        "call_began" => Event::CallBegan,
        "call_ended" => Event::CallEnded,
        "fault" => Event::Fault,
        "dependency_missing" => Event::DependencyMissing,
        "restart" => Event::Restart,
        other => panic!("no event {other}"),
    }
}

fn code(result: Result<(), Error>) -> Value {
    json!({"code": result.err().map(|e| e.code().as_str())})
}

fn report(report: Result<LoadReport, Error>) -> Value {
    match report {
        Ok(r) => {
            json!({"state": r.state, "generation": r.generation, "code": r.error.map(|e| e.code().as_str())})
        }
        Err(e) => json!({"code": e.code().as_str()}),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn call(rt: &Runtime, step: &Value) -> Value {
    let deadline = step["deadline_ms"].as_u64().map(Duration::from_millis);
    let options = CallOptions {
        deadline,
        progress: None,
    };
    rt.call(
        text(step, "plugin"),
        text(step, "tool"),
        Args::from(step["args"].clone()),
        &options,
    )
    .to_value()
}

fn health(rt: &Runtime, name: &str) -> Value {
    rt.plugin_health(name)
        .map_or(json!({"missing": true}), |h| {
            serde_json::to_value(h).unwrap()
        })
}

fn take(rt: &Runtime, step: &Value) -> Value {
    let (verb, what) = step
        .as_object()
        .unwrap()
        .iter()
        .find(|(key, _)| !matches!(key.as_str(), "expect" | "only"))
        .unwrap();
    match verb.as_str() {
        "load" => report(Ok(load(rt, text(what, "name"), what.clone(), behave))),
        "call" => call(rt, what),
        "restart" => report(rt.restart(what.as_str().unwrap())),
        "reload" => report(rt.reload(what.as_str().unwrap())),
        "stop" => report(rt.stop(what.as_str().unwrap())),
        "unload" => code(rt.unload(what.as_str().unwrap())),
        "health" => health(rt, what.as_str().unwrap()),
        "list" => json!({"names": rt.health().into_iter().map(|h| h.name).collect::<Vec<_>>()}),
        "register" => code(rt.register(
            text(what, "name"),
            text(what, "description"),
            text(what, "version"),
        )),
        "mark" => match rt.mark(
            text(what, "name"),
            event(text(what, "event")),
            text(what, "reason"),
        ) {
            Ok(state) => json!({"state": state}),
            Err(e) => json!({"code": e.code().as_str()}),
        },
        "record" => code(rt.record(
            text(what, "name"),
            what["ok"] == true,
            what["elapsed_ms"].as_f64(),
        )),
        "close" => {
            rt.close();
            json!({})
        }
        "wait" => wait(rt, what),
        other => panic!("no step {other}"),
    }
}

fn wait(rt: &Runtime, what: &Value) -> Value {
    let (field, value) = what
        .as_object()
        .unwrap()
        .iter()
        .find(|(k, _)| *k != "plugin")
        .unwrap();
    eventually(&format!("{field} is {value}"), || {
        health(rt, text(what, "plugin"))[field] == *value
    });
    json!({})
}

fn compare(place: &str, expect: &Value, seen: &Value) {
    for (key, want) in expect.as_object().into_iter().flatten() {
        if let Some(field) = key.strip_suffix("_contains") {
            let wants = want
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![want.clone()]);
            for part in wants {
                let has = text(seen, field).contains(part.as_str().unwrap());
                assert!(has, "{place}: {field} lacks {part}: {seen}");
            }
        } else {
            assert!(
                seen.get(key).is_some(),
                "{place}: {key} is missing in {seen}"
            );
            assert_eq!(&seen[key], want, "{place}: {key} in {seen}");
        }
    }
}

#[test]
fn every_story_plays_out_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance");
    let mut steps = 0;
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let mut stories: Vec<_> = files
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    stories.sort();
    for path in &stories {
        let story: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let rt = runtime();
        for (n, step) in story["steps"].as_array().unwrap().iter().enumerate() {
            let only = step["only"].as_array();
            if only.is_some_and(|doors| !doors.contains(&json!(DOOR))) {
                continue;
            }
            let place = format!("{} step {}", path.file_name().unwrap().display(), n + 1);
            compare(&place, &step["expect"], &take(&rt, step));
            steps += 1;
        }
    }
    assert!(
        stories.len() >= 14 && steps >= 110,
        "{} stories, {steps} steps",
        stories.len()
    );
}
