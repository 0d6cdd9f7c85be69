//! What a place in the manifest allows, in words, told from the schema.

use super::problem::show;
use serde_json::Value;

/// `an integer of 1 to 64, or null`.
pub(super) fn expected(node: &Value) -> String {
    let base = match (
        node.get("x-allowed").and_then(Value::as_str),
        node.get("enum"),
    ) {
        (Some(words), _) => words.to_owned(),
        (None, Some(Value::Array(options))) => return one_of(options),
        _ => typed(node),
    };
    if allows(node, "null") {
        format!("{base}, or null")
    } else {
        base
    }
}

/// Whether a schema node's `type` or `enum` has room for `kind`.
pub(super) fn allows(node: &Value, kind: &str) -> bool {
    if let Some(Value::Array(options)) = node.get("enum") {
        return kind == "null" && options.iter().any(Value::is_null);
    }
    match node.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(many)) => many.iter().any(|one| one == kind),
        _ => true,
    }
}

fn one_of(options: &[Value]) -> String {
    let words: Vec<String> = options.iter().map(show).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.join(""),
    }
}

fn typed(node: &Value) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("string", "a string"),
        ("integer", "an integer"),
        ("number", "a number"),
        ("boolean", "true or false"),
        ("array", "a list"),
        ("object", "an object"),
    ];
    let known: Vec<String> = WORDS
        .iter()
        .filter(|(kind, _)| allows(node, kind))
        .map(|(kind, words)| format!("{words}{}", bounds(node, kind)))
        .collect();
    known.join(" or ")
}

/// The range that the schema states for that type.
fn bounds(node: &Value, kind: &str) -> String {
    let (low, high, unit) = match kind {
        "string" => ("minLength", "maxLength", " characters"),
        "integer" | "number" => ("minimum", "maximum", ""),
        "array" => ("minItems", "maxItems", " items"),
        "object" => ("minProperties", "maxProperties", " keys"),
        _ => return String::new(),
    };
    let of = |key| node.get(key).and_then(Value::as_i64);
    match (of(low), of(high)) {
        (Some(low), Some(high)) => format!(" of {low} to {high}{unit}"),
        (Some(low), None) => format!(" of at least {low}{unit}"),
        (None, Some(high)) => format!(" of at most {high}{unit}"),
        (None, None) => String::new(),
    }
}
