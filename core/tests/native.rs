//! Native plugins through dlopen, with the plugins of `tests/plugins_native`, compiled here.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]
#![cfg(unix)]

use plugward_abi::DType;
use plugward_core::call::{Args, CallOptions, OwnedTensor};
use plugward_core::error::Code;
use plugward_core::lifecycle::State;
use plugward_core::manifest::Manifest;
use plugward_core::runtime::{LoadReport, Runtime, RuntimeOptions};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the compiled plugins, made once.
fn plugins() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/plugins_native/build.sh"
        );
        let built = Command::new("bash")
            .arg(script)
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        folder
    });
    folder.path()
}

fn load(rt: &Runtime, name: &str, isolation: &str) -> LoadReport {
    let manifest = json!({
        "name": name, "kind": "native", "isolation": isolation,
        "entrypoint": plugins().join(format!("lib{name}.so")),
        "tools": [{"id": "echo"}, {"id": "count"}, {"id": "input"}, {"id": "odd"}, {"id": "t"}],
    });
    rt.load(Manifest::from_value(manifest).unwrap())
}

fn runtime() -> Runtime {
    Runtime::new(RuntimeOptions::default()).unwrap()
}

fn call(rt: &Runtime, plugin: &str, tool: &str, args: Value) -> Result<Value, Code> {
    let outcome = rt.call(plugin, tool, Args::from(args), &CallOptions::default());
    outcome.result.map(|r| r.value).map_err(|e| e.code())
}

#[test]
fn a_good_plugin_answers_in_both_isolations_and_over_generations() {
    for isolation in ["inline", "thread"] {
        let rt = runtime();
        let report = load(&rt, "good_c", isolation);
        assert_eq!(report.error, None);
        assert_eq!(
            call(&rt, "good_c", "echo", json!({"a": [1]})),
            Ok(json!({"a": [1]}))
        );
        assert_eq!(call(&rt, "good_c", "count", json!({})), Ok(json!(10)));
        assert_eq!(
            call(&rt, "good_c", "input", json!({})),
            Err(Code::CallRefusedInput)
        );
        assert_eq!(
            call(&rt, "good_c", "odd", json!({})),
            Err(Code::CallPluginError)
        );
        assert_eq!(rt.plugin_health("good_c").unwrap().state, State::Failed);
        assert_eq!(rt.restart("good_c").unwrap().generation, 2);
        assert_eq!(call(&rt, "good_c", "echo", json!({})), Ok(json!({})));
    }
}

#[test]
fn tensors_are_copied_there_and_back() {
    let rt = runtime();
    assert!(load(&rt, "good_c", "thread").is_ok());
    let frame = OwnedTensor {
        dtype: DType::U8,
        shape: vec![2, 2],
        data: vec![1, 2, 3, 4].into(),
    };
    let args = Args::from(json!({})).with_tensors(vec![frame.clone()]);
    let outcome = rt.call("good_c", "echo", args, &CallOptions::default());
    assert_eq!(outcome.result.unwrap().tensors, vec![frame]);
}

#[test]
fn exceptions_end_at_the_edge_wherever_they_are_thrown() {
    for isolation in ["inline", "thread"] {
        let rt = runtime();
        assert!(load(&rt, "throws_call", isolation).is_ok());
        assert_eq!(
            call(&rt, "throws_call", "t", json!({})),
            Err(Code::CallPanicked)
        );
        assert!(rt.restart("throws_call").unwrap().is_ok());
        assert_eq!(
            call(&rt, "throws_call", "odd", json!({})),
            Err(Code::CallPanicked)
        );
        for (name, code) in [
            ("throws_create", Code::LoadConstruct),
            ("throws_validate", Code::LoadValidate),
            ("throws_entry", Code::NativeTable),
        ] {
            let error = load(&rt, name, isolation).error.unwrap();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.message().contains("thrown in"), "{error}");
        }
        assert!(load(&rt, "throws_destroy", isolation).is_ok());
        rt.unload("throws_destroy").unwrap();
    }
}

#[test]
fn what_cannot_be_a_plugin_is_refused_by_its_cause() {
    let rt = runtime();
    for (name, code) in [
        ("bad_version", Code::NativeVersion),
        ("no_symbol", Code::NativeSymbol),
        ("truncated", Code::NativeTable),
        ("null_table", Code::NativeTable),
        ("no_call", Code::NativeTable),
        ("no_create", Code::NativeTable),
        ("create_fails", Code::LoadConstruct),
        ("garbage", Code::NativeOpen),
        ("absent", Code::NativeOpen),
    ] {
        let report = load(&rt, name, "thread");
        assert_eq!(report.error.map(|e| e.code()), Some(code), "{name}");
        assert_eq!(report.state, State::Failed, "{name}");
    }
    assert!(load(&rt, "newer_minor", "thread").is_ok());
    assert!(load(&rt, "silent", "thread").is_ok());
    assert_eq!(call(&rt, "silent", "t", json!({})), Ok(Value::Null));
}
