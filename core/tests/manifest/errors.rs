//! Every error: its code, its place, its words.

use super::{problems, refuse, with};
use plugward_core::Code;
use plugward_core::manifest::Manifest;
use serde_json::{Value, json};

/// One problem only: its code and text.
fn one(more: Value) -> (Code, String) {
    let error = refuse(with(more));
    let all = problems(&error);
    assert_eq!(all.len(), 1, "{all:?}");
    (error.code(), all[0].clone())
}

#[test]
fn unknown_keys_name_the_nearest_at_every_level() {
    let cases = [
        (
            json!({"verison": "1"}),
            r#": unknown key "verison"; did you mean "version"?"#,
        ),
        (
            json!({"limits": {"memroy_mb": 1}}),
            r#"/limits: unknown key "memroy_mb"; did you mean "memory_mb"?"#,
        ),
        (
            json!({"gpu": {"min_memory": 1}}),
            r#"/gpu: unknown key "min_memory"; did you mean "min_memory_mb"?"#,
        ),
        (
            json!({"models": {"m": {"path": "x", "sha": ""}}}),
            r#"/models/m: unknown key "sha"; did you mean "sha256"?"#,
        ),
        (
            json!({"tools": [{"id": "t", "need": []}]}),
            r#"/tools/0: unknown key "need"; did you mean "needs"?"#,
        ),
        (
            json!({"probe": {"tool": "t", "arg": 1}}),
            r#"/probe: unknown key "arg"; did you mean "args"?"#,
        ),
        (
            json!({"permissions": {"netwrok": true}}),
            r#"/permissions: unknown key "netwrok"; did you mean "network"?"#,
        ),
        (
            json!({"restart": {"polcy": "never"}}),
            r#"/restart: unknown key "polcy"; did you mean "policy"?"#,
        ),
        (
            json!({"memory_mb": 3}),
            r#": unknown key "memory_mb"; it belongs in "limits""#,
        ),
        (
            json!({"gpu": {"zzz": 1}}),
            r#"/gpu: unknown key "zzz"; known here: min_memory_mb, min_compute"#,
        ),
    ];
    for (more, text) in cases {
        assert_eq!(one(more), (Code::ManifestUnknownKey, text.to_owned()));
    }
}

#[test]
fn the_remedy_is_the_one_for_this_key() {
    let error = refuse(with(json!({"limits": {"quue": 1}})));
    assert_eq!(error.remedy(), r#"rename "quue" to "queue", or remove it"#);
}

#[test]
fn missing_keys_are_named() {
    let error = refuse(json!({}));
    assert_eq!(error.code(), Code::ManifestMissingKey);
    let all = problems(&error).join("\n");
    for key in ["name", "kind", "entrypoint"] {
        assert!(
            all.contains(&format!("the required key \"{key}\" is missing")),
            "{all}"
        );
    }
    assert!(
        error.message().ends_with("(and 2 more problems)"),
        "{error}"
    );
    assert_eq!(
        one(json!({"models": {"m": {}}})).1,
        r#"/models/m: the required key "path" is missing"#
    );
    assert_eq!(
        one(json!({"tools": [{}]})).1,
        r#"/tools/0: the required key "id" is missing"#
    );
}

#[test]
fn a_misspelt_required_key_is_the_first_problem() {
    let error = refuse(json!({"nmae": "p", "kind": "python", "entrypoint": "a:B"}));
    assert_eq!(error.code(), Code::ManifestUnknownKey);
    assert!(error.message().contains("did you mean \"name\""), "{error}");
    assert_eq!(problems(&error).len(), 2);
}

#[test]
fn wrong_values_name_place_value_and_what_is_allowed() {
    let cases = [
        (
            json!({"limits": {"deadline_ms": "fast"}}),
            r#"/limits/deadline_ms: "fast" is not allowed; expected an integer of 1 to 604800000, or null"#,
        ),
        (
            json!({"limits": {"queue": -1}}),
            "/limits/queue: -1 is not allowed; expected an integer of 0 to 1048576",
        ),
        (
            json!({"limits": {"memory_mb": 0}}),
            "/limits/memory_mb: 0 is not allowed; expected an integer of 1 to 16777216, or null",
        ),
        (
            json!({"limits": {"memory_mb": 1.5}}),
            "/limits/memory_mb: 1.5 is not allowed; expected an integer of 1 to 16777216, or null",
        ),
        (
            json!({"isolation": "proces"}),
            r#"/isolation: "proces" is not allowed; expected "inline", "thread", "process" or null; did you mean "process"?"#,
        ),
        (
            json!({"requires_gpu": "yes"}),
            r#"/requires_gpu: "yes" is not allowed; expected true or false"#,
        ),
        (
            json!({"gpu": {"min_compute": "seven"}}),
            r#"/gpu/min_compute: "seven" is not allowed; expected a compute capability as in "7.0", or null"#,
        ),
        (
            json!({"restart": {"backoff_ms": [1]}}),
            "/restart/backoff_ms: [1] is not allowed; expected a list of two integers [shortest, longest]",
        ),
        (
            json!({"restart": {"backoff_ms": [9, 1]}}),
            "/restart/backoff_ms: [9,1] is not allowed; the first must not exceed the second",
        ),
        (
            json!({"models": {"m": {"path": "x", "sha256": "12"}}}),
            r#"/models/m/sha256: "12" is not allowed; expected 64 hexadecimal digits, or null"#,
        ),
        (
            json!({"env": ["A=B"]}),
            r#"/env/0: "A=B" is not allowed; expected the name of an environment variable"#,
        ),
        (
            json!({"depends_on": ["p"]}),
            "/depends_on/0: the plugin cannot depend on itself",
        ),
        (
            json!({"kind": "pyton"}),
            r#"/kind: "pyton" is not allowed; expected "python", "node", "native" or "host"; did you mean "python"?"#,
        ),
        (
            json!({"spares": 1000}),
            "/spares: 1000 is not allowed; expected an integer of 0 to 64",
        ),
        (
            json!({"tools": 5}),
            "/tools: 5 is not allowed; expected a list of at most 4096 items",
        ),
    ];
    for (more, text) in cases {
        assert_eq!(one(more), (Code::ManifestInvalid, text.to_owned()));
    }
}

#[test]
fn names_that_would_not_survive_a_path_or_a_log_are_refused() {
    let long = "x".repeat(129);
    for name in [
        "",
        "a/b",
        "a\\b",
        "a\nb",
        "\u{0}",
        "\u{7f}",
        ".",
        "..",
        " a",
        "a ",
        long.as_str(),
    ] {
        let (code, text) = one(json!({"name": name}));
        assert_eq!(code, Code::ManifestInvalid);
        assert!(
            text.starts_with("/name: ") && text.contains("expected a name of 1 to 128"),
            "{text}"
        );
    }
    for name in [
        "a",
        "Größe",
        "my plugin",
        "a.b-c_d",
        "a:b",
        &"x".repeat(128),
    ] {
        super::read(with(json!({"name": name})));
    }
    assert!(
        one(json!({"tools": ["a/b"]}))
            .1
            .starts_with("/tools/0/id: ")
    );
    assert!(
        one(json!({"entrypoint": ""}))
            .1
            .starts_with("/entrypoint: ")
    );
}

#[test]
fn the_root_must_be_an_object() {
    for value in [json!([]), json!("x"), json!(1), Value::Null] {
        let error = refuse(value);
        assert_eq!(error.code(), Code::ManifestInvalid);
        assert!(error.message().contains("expected an object"), "{error}");
    }
}

#[test]
fn bad_schemas_name_their_tool() {
    for schema in [
        json!({"type": "strin"}),
        json!({"$ref": "#/nowhere"}),
        json!({"pattern": "("}),
        json!({"$ref": "http://127.0.0.1:9/schema.json"}),
        json!({"$schema": "urn:no-such-draft"}),
    ] {
        for key in ["input_schema", "output_schema"] {
            let (code, text) = one(json!({"tools": [{"id": "ok"}, {"id": "track", key: schema}]}));
            assert_eq!(code, Code::ManifestBadSchema, "{schema}");
            assert!(
                text.starts_with(&format!("/tools/1/{key}: tool \"track\": {key} is not")),
                "{text}"
            );
        }
    }
    let (code, text) = one(json!({"probe": {"tool": "t", "expect_schema": {"type": 1}}}));
    assert_eq!(code, Code::ManifestBadSchema);
    assert!(text.starts_with("/probe/expect_schema: probe: "), "{text}");
}

#[test]
fn tool_ids_are_unique_and_the_probe_knows_its_tool() {
    let (_, text) = one(json!({"tools": ["a", "b", "a"]}));
    assert_eq!(text, "/tools/2/id: the tool id \"a\" is used twice");
    let (_, text) = one(json!({"tools": ["a", "b"], "probe": {"tool": "c"}}));
    assert_eq!(text, "/probe/tool: unknown tool \"c\"; the tools are a, b");
    super::read(with(json!({"probe": {"tool": "c"}})));
}

#[test]
fn all_problems_are_told_at_once() {
    let error = refuse(with(json!({
        "limits": {"queue": "x", "memroy_mb": 1}, "isolation": "no",
        "tools": [{"id": "t", "input_schema": {"type": 1}}, {"id": "t"}]
    })));
    assert_eq!(error.code(), Code::ManifestUnknownKey);
    assert_eq!(problems(&error).len(), 5, "{:#?}", problems(&error));
    assert!(error.message().contains("(and 4 more problems)"), "{error}");
    assert_eq!(error.details().unwrap()["problem_count"], 5);
    assert_eq!(
        error.details().unwrap()["problems"][0]["code"],
        "PW-MAN-003"
    );
}

#[test]
fn syntax_errors_name_line_and_column() {
    let json = Manifest::from_json_str("{\n  \"name\": \"p\",\n  \"kind\" \"x\"\n}").unwrap_err();
    assert_eq!(json.code(), Code::ManifestSyntax);
    assert!(
        json.message()
            .starts_with("line 3, column 10: not valid JSON: expected `:`"),
        "{json}"
    );
    let toml = Manifest::from_toml_str("name = \"p\"\nkind = = 1\n").unwrap_err();
    assert_eq!(toml.code(), Code::ManifestSyntax);
    assert!(
        toml.message()
            .starts_with("line 2, column 8: not valid TOML: "),
        "{toml}"
    );
    for empty in [
        Manifest::from_json_str(" \n"),
        Manifest::from_toml_str("\u{feff}"),
    ] {
        assert!(
            empty
                .unwrap_err()
                .message()
                .starts_with("it is empty (line 1")
        );
    }
}

#[test]
fn a_key_that_stands_twice_is_a_syntax_error() {
    let text = "{\"name\": \"p\",\n \"limits\": {\"queue\": 1, \"queue\": 2}}";
    let error = Manifest::from_json_str(text).unwrap_err();
    assert_eq!(error.code(), Code::ManifestSyntax);
    assert!(
        error.message().contains("line 2")
            && error.message().contains("\"queue\" stands here twice"),
        "{error}"
    );
    let toml = Manifest::from_toml_str("name = \"a\"\nname = \"b\"\n").unwrap_err();
    assert_eq!(toml.code(), Code::ManifestSyntax);
    assert!(toml.message().starts_with("line 2"), "{toml}");
}

#[test]
fn numbers_without_a_json_form_are_refused() {
    let error = Manifest::from_toml_str("name = 'p'\n[limits]\nqueue = nan\n").unwrap_err();
    assert_eq!(error.code(), Code::ManifestInvalid);
    let error = Manifest::from_json_str("{\"limits\": {\"queue\": 1e999}}").unwrap_err();
    assert_eq!(error.code(), Code::ManifestSyntax);
}
