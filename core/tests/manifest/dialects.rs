//! Other hosts' manifests: what they become, and that each assumption is told.

use super::{problems, read, refuse, with};
use plugward_core::manifest::{Kind, Parsed};
use serde_json::{Value, json};

/// The keys that something was assumed about.
fn assumed(parsed: &Parsed) -> Vec<&str> {
    parsed.assumptions.iter().map(|a| a.key.as_str()).collect()
}

#[test]
fn entrypoint_has_three_other_names() {
    for key in ["entry_point", "entryPoint", "main"] {
        let parsed = read(json!({"name": "p", key: "index.js"}));
        assert_eq!(parsed.manifest.entrypoint, "index.js");
        assert_eq!(assumed(&parsed), [key, "kind"]);
    }
    let both = read(with(json!({"main": "other.js"})));
    assert_eq!(both.manifest.entrypoint, "p:Plugin");
    assert!(both.assumptions[0].message.contains("ignored"));
}

#[test]
fn id_is_the_name_unless_the_name_is_one() {
    let only = read(json!({"id": "ocr", "kind": "python", "entrypoint": "a:B"}));
    assert_eq!(
        (only.manifest.name.as_str(), assumed(&only)),
        ("ocr", vec!["id"])
    );
    let both = read(with(json!({"id": "one", "name": "two"})));
    assert_eq!(
        (both.manifest.name.as_str(), assumed(&both)),
        ("two", vec!["id"])
    );
    assert!(read(with(json!({"id": "p"}))).assumptions.is_empty());
}

#[test]
fn kind_is_told_from_the_entrypoint() {
    let cases = [
        ("plugin.py", Kind::Python),
        ("sub/plugin.py:Plugin", Kind::Python),
        ("pkg.module:Plugin", Kind::Python),
        ("plugin.js", Kind::Node),
        ("a.mjs", Kind::Node),
        ("a.cjs", Kind::Node),
        ("src/a.ts", Kind::Node),
        ("libx.so", Kind::Native),
        ("libx.so.1", Kind::Native),
        ("x.dll", Kind::Native),
        ("libx.dylib", Kind::Native),
    ];
    for (entrypoint, kind) in cases {
        let parsed = read(json!({"name": "p", "entrypoint": entrypoint}));
        assert_eq!(parsed.manifest.kind, kind, "{entrypoint}");
        assert_eq!(assumed(&parsed), ["kind"]);
    }
    for entrypoint in ["plugin", "pkg.module", "what is this", "a b:C"] {
        let error = refuse(json!({"name": "p", "entrypoint": entrypoint}));
        assert!(
            error.message().contains("\"kind\" is missing"),
            "{entrypoint}: {error}"
        );
    }
}

#[test]
fn kind_has_other_words_and_other_keys() {
    for (key, word, kind) in [
        ("kind", "nodejs", Kind::Node),
        ("type", "javascript", Kind::Node),
        ("runtime", "nodejs", Kind::Node),
        ("type", "python3", Kind::Python),
        ("language", "c++", Kind::Native),
    ] {
        let parsed = read(json!({"name": "p", "entrypoint": "x", key: word}));
        assert_eq!(
            (parsed.manifest.kind, assumed(&parsed)),
            (kind, vec![key]),
            "{key} {word}"
        );
    }
    let other = read(json!({"name": "p", "entrypoint": "a:B", "type": "vision"}));
    assert_eq!(
        (other.manifest.kind, assumed(&other)),
        (Kind::Python, vec!["type", "kind"])
    );
}

#[test]
fn dependencies_may_be_an_object() {
    let of = |more: Value| read(with(more)).manifest;
    let python =
        of(json!({"dependencies": {"numpy": ">=1.26", "torch": "2.4", "pillow": "*", "a": null}}));
    assert_eq!(
        python.dependencies,
        ["numpy>=1.26", "torch==2.4", "pillow", "a"],
        "as they are written"
    );
    let node = of(json!({"kind": "node", "dependencies": {"ws": "^8.1", "express": "latest"}}));
    assert_eq!(node.dependencies, ["ws@^8.1", "express"]);
    assert_eq!(of(json!({"dependencies": "numpy"})).dependencies, ["numpy"]);
    // A caret is no Python range: told, not guessed.
    let error = refuse(with(json!({"dependencies": {"numpy": "^1.2"}})));
    assert_eq!(
        problems(&error),
        [
            r#"/dependencies: {"numpy":"^1.2"} is not allowed; expected a list of at most 4096 items"#
        ]
    );
}

#[test]
fn models_may_be_a_list_or_paths() {
    let list = read(with(
        json!({"models": ["models/a.pt", {"path": "b.onnx"}, {"name": "c", "path": "x"}]}),
    ));
    let names: Vec<&str> = list.manifest.models.keys().map(String::as_str).collect();
    assert_eq!(
        (names, assumed(&list)),
        (vec!["a", "b", "c"], vec!["models"])
    );
    let one = read(with(json!({"models": "w.pt"})));
    assert_eq!(one.manifest.models["w"].path.to_str(), Some("w.pt"));
    let short = read(with(json!({"models": {"d": "m/d.pt"}})));
    assert_eq!(short.manifest.models["d"].path.to_str(), Some("m/d.pt"));
    assert!(
        short.assumptions.is_empty(),
        "a path is Plugward's own short form"
    );
    // Two files of one stem: no name may be lost.
    refuse(with(json!({"models": ["a/m.pt", "b/m.pt"]})));
}

#[test]
fn tools_may_be_names_or_an_object() {
    let names = read(with(json!({"tools": ["a", {"id": "b"}]})));
    assert_eq!(names.manifest.tools[1].id, "b");
    assert_eq!(assumed(&names), ["tools"]);
    let object = read(with(
        json!({"tools": {"x": {"description": "d", "handler": "run"}, "y": "words", "z": null}}),
    ));
    let tools: Vec<(&str, &str)> = object
        .manifest
        .tools
        .iter()
        .map(|t| (t.id.as_str(), t.description.as_str()))
        .collect();
    assert_eq!(tools, [("x", "d"), ("y", "words"), ("z", "")]);
    assert_eq!(assumed(&object), ["tools", "tools.x.handler"]);
}

#[test]
fn tools_in_other_words() {
    let parsed = read(with(json!({"tools": [
        {"name": "m", "inputSchema": {"type": "object"}, "title": "M"},
        {"id": "f", "parameters": {"type": "object"}}
    ]})));
    let tools = &parsed.manifest.tools;
    assert_eq!(
        (tools[0].id.as_str(), &tools[0].input_schema),
        ("m", &Some(json!({"type": "object"})))
    );
    assert_eq!(tools[1].input_schema, Some(json!({"type": "object"})));
    for key in ["tools.m.name", "tools.0.inputSchema", "tools.f.parameters"] {
        assert!(
            assumed(&parsed).contains(&key),
            "{key} in {:?}",
            parsed.assumptions
        );
    }
}

#[test]
fn gpu_may_be_a_yes_or_no() {
    let parsed = read(with(json!({"gpu": true})));
    assert!(parsed.manifest.requires_gpu);
    assert_eq!(assumed(&parsed), ["gpu"]);
}

#[test]
fn camel_case_nulls_and_whole_floats() {
    let parsed = read(with(json!({
        "requiresGpu": true, "limits": {"deadlineMs": 60000.0, "queue": null}, "description": null,
        "dependsOn": ["sql"]
    })));
    let m = &parsed.manifest;
    assert!(m.requires_gpu && m.description.is_empty() && m.depends_on == ["sql"]);
    assert_eq!((m.limits.deadline_ms, m.limits.queue), (Some(60_000), 64));
    for key in [
        "requiresGpu",
        "limits.deadlineMs",
        "limits.queue",
        "description",
        "dependsOn",
    ] {
        assert!(
            assumed(&parsed).contains(&key),
            "{key} in {:?}",
            parsed.assumptions
        );
    }
}

#[test]
fn keys_that_only_other_hosts_use_are_told() {
    let parsed = read(with(
        json!({"author": "a", "keywords": ["x"], "$schema": "s"}),
    ));
    assert_eq!(assumed(&parsed), ["author", "keywords"]);
}
