//! Complete manifests: every key, the defaults, the round trip.

use super::{read, with};
use plugward_core::manifest::{
    FailsOn, Isolation, Kind, Manifest, RestartPolicy, SCHEMA, ToolSpec,
};
use serde_json::{Value, json};
use std::path::PathBuf;

fn complete() -> Value {
    json!({
        "name": "videotracker", "version": "1.2.3", "description": "Tracks players.",
        "kind": "native", "entrypoint": "libvideotracker.so", "isolation": "process",
        "requires_gpu": true, "gpu": {"min_memory_mb": 2000, "min_compute": "7.5"},
        "dependencies": ["torch>=2.4"], "python": ">=3.10", "env": ["HF_HOME"],
        "executables": ["ffmpeg"], "optional_executables": [],
        "models": {"detector": {"path": "models/d.pt", "sha256": "ab".repeat(32), "format": "torchscript"}},
        "limits": {"deadline_ms": 60000, "memory_mb": 1024, "concurrency": 1, "queue": 8,
                   "cpu_s": 90, "open_files": 256, "file_size_mb": 64, "processes": 32, "payload_mb": 64, "result_mb": 256},
        "fails_on": "crash",
        "restart": {"policy": "never", "max": 5, "within_s": 30, "backoff_ms": [50, 1000]},
        "spares": 1,
        "permissions": {"read": ["models"], "write": ["out"], "network": true, "subprocess": true, "devices": ["gpu"]},
        "require_enforcement": true, "depends_on": ["sql"],
        "probe": {"tool": "track", "args": {"n": 1}, "expect_schema": {"type": "object"}},
        "config": {}, "error_field": "error",
        "tools": [{"id": "track", "description": "d", "input_schema": {"type": "object"},
                   "output_schema": {"type": "array"}, "needs": ["notes/{id}/vector"], "deadline_ms": 5}]
    })
}

#[test]
fn every_key_arrives() {
    let parsed = read(complete());
    assert!(parsed.assumptions.is_empty(), "{:?}", parsed.assumptions);
    let m = parsed.manifest;
    assert_eq!(
        (m.kind, m.isolation),
        (Kind::Native, Some(Isolation::Process))
    );
    assert_eq!(
        (m.gpu.min_memory_mb, m.gpu.min_compute),
        (Some(2000), Some((7, 5)))
    );
    assert_eq!(m.models["detector"].path, PathBuf::from("models/d.pt"));
    assert_eq!((m.limits.queue, m.limits.result_mb), (8, Some(256)));
    assert_eq!(m.limits.file_size_mb, Some(64));
    assert_eq!(m.limits.payload_mb, Some(64));
    assert_eq!(
        (m.fails_on, m.restart.policy),
        (FailsOn::Crash, RestartPolicy::Never)
    );
    assert_eq!(m.restart.backoff_ms, (50, 1000));
    assert_eq!(m.tools[0].needs, ["notes/{id}/vector"]);
    assert_eq!(m.probe.unwrap().args, json!({"n": 1}));
}

#[test]
fn to_value_is_read_back_as_the_same_manifest() {
    for value in [
        complete(),
        with(json!({})),
        with(json!({"kind": "host", "entrypoint": ""})),
    ] {
        let first = read(value).manifest;
        let again = read(first.to_value());
        assert!(again.assumptions.is_empty(), "{:?}", again.assumptions);
        assert_eq!(again.manifest, first);
    }
    let host = Manifest::host("callables");
    assert_eq!(read(host.to_value()).manifest, host);
}

#[test]
fn to_value_of_the_complete_manifest_is_the_complete_manifest() {
    assert_eq!(read(complete()).manifest.to_value(), complete());
}

/// The schema publishes the defaults; the structs give them. They must agree.
fn compare(schema: &Value, value: &Value, place: &str) {
    for (key, node) in schema["properties"].as_object().unwrap() {
        let place = format!("{place}/{key}");
        if key == "$schema" || node.get("default").is_none() {
            continue;
        }
        if node.get("properties").is_some() && value[key].is_object() {
            compare(node, &value[key], &place);
        } else {
            assert_eq!(value[key], node["default"], "{place}");
        }
    }
}

#[test]
fn the_defaults_are_those_of_the_schema() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let value = read(with(
        json!({"tools": ["t"], "probe": {"tool": "t"}, "models": {"m": "m.pt"}}),
    ));
    let mut value = value.manifest.to_value();
    let of = |pointer: &str| schema.pointer(pointer).unwrap();
    compare(
        of("/properties/tools/items"),
        &value["tools"][0],
        "/tools/0",
    );
    compare(of("/properties/probe"), &value["probe"], "/probe");
    compare(
        of("/properties/models/additionalProperties"),
        &value["models"]["m"],
        "/models/m",
    );
    value["tools"] = json!([]);
    value["probe"] = Value::Null;
    value["models"] = json!({});
    compare(&schema, &value, "");
}

#[test]
fn toml_says_the_same() {
    let text = r#"
        name = "p"
        kind = "python"
        entrypoint = "plugin.py:Plugin"
        version = "2.0"
        dependencies = ["numpy"]
        [limits]
        deadline_ms = 60000.0
        [gpu]
        min_compute = 7.0
        [models]
        detector = "models/d.pt"
        [[tools]]
        id = "go"
        [tools.input_schema]
        type = "object"
    "#;
    let m = Manifest::from_toml_str(text).unwrap().manifest;
    assert_eq!(m.limits.deadline_ms, Some(60_000));
    assert_eq!(m.gpu.min_compute, Some((7, 0)));
    assert_eq!(m.tools[0].input_schema, Some(json!({"type": "object"})));
    assert_eq!(m.models["detector"].path, PathBuf::from("models/d.pt"));
}

#[test]
fn a_tool_from_elsewhere_is_checked_the_same_way() {
    let good = ToolSpec {
        id: "t".into(),
        input_schema: Some(json!({})),
        ..ToolSpec::default()
    };
    good.check().unwrap();
    let bad = ToolSpec {
        output_schema: Some(json!({"type": "strin"})),
        ..good
    };
    let error = bad.check().unwrap_err();
    assert_eq!(error.code().as_str(), "PW-MAN-006");
    assert!(
        error.message().contains("tool \"t\": output_schema"),
        "{error}"
    );
}
