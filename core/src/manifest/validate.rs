//! Data against the published schema, told in a user's words.

use super::expect::expected;
use super::nearest::nearest;
use super::problem::{Problem, join, show};
use crate::error::Code;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::LazyLock;

/// The schema as data.
#[expect(
    clippy::expect_used,
    reason = "schema.json is part of this source; tests build it"
)]
pub(super) static TREE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(super::SCHEMA).expect("schema.json is JSON"));

#[expect(
    clippy::expect_used,
    reason = "schema.json is part of this source; tests build it"
)]
static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&TREE).expect("schema.json is a JSON Schema"));

/// Every breach of the schema, one per place and kind.
pub(super) fn against_schema(value: &Value) -> Vec<Problem> {
    let mut seen = HashSet::new();
    VALIDATOR
        .iter_errors(value)
        .flat_map(|wrong| explain(&wrong))
        .filter(|problem| seen.insert((problem.place.clone(), problem.text.clone())))
        .collect()
}

fn explain(wrong: &ValidationError<'_>) -> Vec<Problem> {
    let place = wrong.instance_path().as_str();
    let node = owner(wrong.schema_path().as_str());
    match wrong.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|key| unknown(place, key, node))
            .collect(),
        ValidationErrorKind::Required { property } => {
            vec![missing(place, property.as_str().unwrap_or_default())]
        }
        _ => vec![not_allowed(place, wrong.instance(), node)],
    }
}

/// The schema node whose keyword failed.
fn owner(schema_path: &str) -> &'static Value {
    let parent = schema_path
        .rsplit_once('/')
        .map_or("", |(parent, _)| parent);
    TREE.pointer(parent).unwrap_or(&Value::Null)
}

fn unknown(place: &str, key: &str, node: &Value) -> Problem {
    let known: Vec<&str> = keys(node).filter(|key| *key != "$schema").collect();
    let shown = show(&Value::from(key));
    let (hint, remedy) = if let Some(meant) = nearest(key, known.iter().copied()) {
        (
            format!("did you mean \"{meant}\"?"),
            format!("rename {shown} to \"{meant}\", or remove it"),
        )
    } else if let Some(section) = home(key).filter(|_| place.is_empty()) {
        (
            format!("it belongs in \"{section}\""),
            format!("move {shown} into \"{section}\""),
        )
    } else {
        (
            format!("known here: {}", known.join(", ")),
            format!("remove {shown}"),
        )
    };
    let text = format!("unknown key {shown}; {hint}");
    Problem::new(Code::ManifestUnknownKey, place, text).with_remedy(remedy)
}

fn missing(place: &str, key: &str) -> Problem {
    let text = format!("the required key \"{key}\" is missing");
    Problem::new(Code::ManifestMissingKey, place, text).with_remedy(format!("add \"{key}\""))
}

fn not_allowed(place: &str, value: &Value, node: &Value) -> Problem {
    let mut text = format!(
        "{} is not allowed; expected {}",
        show(value),
        expected(node)
    );
    if let (Some(word), Some(Value::Array(options))) = (value.as_str(), node.get("enum"))
        && let Some(meant) = nearest(word, options.iter().filter_map(Value::as_str))
    {
        text.push_str(&format!("; did you mean \"{meant}\"?"));
    }
    Problem::new(Code::ManifestInvalid, place, text)
}

fn keys(node: &Value) -> impl Iterator<Item = &str> {
    node.get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, _)| &**key)
}

/// The section of the manifest that has `key`, for a key that was put at the top.
fn home(key: &str) -> Option<&'static str> {
    let sections = TREE.get("properties")?.as_object()?;
    sections
        .iter()
        .find(|(_, node)| keys(node).any(|known| known == key))
        .map(|(name, _)| &**name)
}

/// The place of a list's item.
pub(super) fn item(place: &str, index: usize) -> String {
    join(place, &index.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every property is described and has a default, except the three that cannot have one.
    fn visit(node: &Value, place: &str, wrong: &mut Vec<String>) {
        let required: Vec<&str> = node["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (key, child) in node["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}/{key}");
            let bare = required.contains(&key.as_str()) || place == "/entrypoint";
            if child.get("description").is_none() || (child.get("default").is_none() && !bare) {
                wrong.push(place.clone());
            }
            visit(child, &place, wrong);
        }
        for inner in ["items", "additionalProperties"] {
            if node[inner].is_object() {
                visit(&node[inner], &format!("{place}/{inner}"), wrong);
            }
        }
        if node.get("properties").is_some() && node["additionalProperties"] != Value::Bool(false) {
            wrong.push(format!("{place} takes unknown keys"));
        }
    }

    #[test]
    fn the_schema_is_valid_described_and_closed() {
        assert!(jsonschema::meta::is_valid(&TREE));
        let mut wrong = Vec::new();
        visit(&TREE, "", &mut wrong);
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
