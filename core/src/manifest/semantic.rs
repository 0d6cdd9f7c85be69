//! The rules that the schema cannot say. They run on data, also where the schema was broken, so
//! that everything is told at once.

use super::problem::{Problem, cut, join, show};
use super::validate::item;
use crate::error::Code;
use serde_json::Value;
use std::collections::HashSet;

/// Every breach.
pub(super) fn check(value: &Value) -> Vec<Problem> {
    let mut problems = tools(value);
    problems.extend(probe(value));
    problems.extend(backoff(value));
    problems.extend(depends_on_itself(value));
    problems
}

/// Why `schema` is not a valid JSON Schema; `None` when it is.
pub(super) fn schema_problem(schema: &Value) -> Option<String> {
    let wrong = match jsonschema::meta::validate(schema) {
        Err(wrong) => wrong.to_owned(),
        // Building also finds what the meta-schema cannot: dead `$ref`s and broken patterns.
        Ok(()) => jsonschema::validator_for(schema).err()?,
    };
    let place = wrong.instance_path().as_str();
    let said = cut(wrong.to_string(), 400);
    Some(if place.is_empty() {
        said
    } else {
        format!("at {place}: {said}")
    })
}

fn tools(value: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut ids = HashSet::new();
    for (index, tool) in list(value, "tools").iter().enumerate() {
        let place = item("/tools", index);
        let id = tool.get("id").and_then(Value::as_str);
        if let Some(id) = id.filter(|id| !ids.insert(*id)) {
            let text = format!("the tool id {} is used twice", show(&id.into()));
            problems.push(Problem::new(
                Code::ManifestInvalid,
                join(&place, "id"),
                text,
            ));
        }
        for key in ["input_schema", "output_schema"] {
            problems.extend(schema(tool, key, &place, &named(id, index)));
        }
    }
    problems
}

fn named(id: Option<&str>, index: usize) -> String {
    id.map_or_else(
        || format!("tool {index}"),
        |id| format!("tool {}", show(&id.into())),
    )
}

fn schema(owner: &Value, key: &str, place: &str, whose: &str) -> Option<Problem> {
    let schema = owner.get(key).filter(|schema| schema.is_object())?;
    let wrong = schema_problem(schema)?;
    let text = format!("{whose}: {key} is not a valid JSON Schema: {wrong}");
    Some(Problem::new(
        Code::ManifestBadSchema,
        join(place, key),
        text,
    ))
}

fn probe(value: &Value) -> Vec<Problem> {
    let Some(probe) = value.get("probe") else {
        return Vec::new();
    };
    let mut problems: Vec<Problem> = schema(probe, "expect_schema", "/probe", "probe")
        .into_iter()
        .collect();
    let known: Vec<&str> = list(value, "tools")
        .iter()
        .filter_map(|tool| tool.get("id")?.as_str())
        .collect();
    // Without tools the plugin itself names them, at load.
    if let Some(tool) = probe.get("tool").and_then(Value::as_str)
        && !known.is_empty()
        && !known.contains(&tool)
    {
        let text = format!(
            "unknown tool {}; the tools are {}",
            show(&tool.into()),
            known.join(", ")
        );
        problems.push(Problem::new(Code::ManifestInvalid, "/probe/tool", text));
    }
    problems
}

fn backoff(value: &Value) -> Option<Problem> {
    let pair = value.get("restart")?.get("backoff_ms")?;
    let (low, high) = (pair.get(0)?.as_u64()?, pair.get(1)?.as_u64()?);
    (low > high).then(|| {
        let text = format!(
            "{} is not allowed; the first must not exceed the second",
            show(pair)
        );
        Problem::new(Code::ManifestInvalid, "/restart/backoff_ms", text)
    })
}

fn depends_on_itself(value: &Value) -> Option<Problem> {
    let name = value.get("name")?.as_str()?;
    let index = list(value, "depends_on")
        .iter()
        .position(|other| other == name)?;
    let text = "the plugin cannot depend on itself";
    Some(Problem::new(
        Code::ManifestInvalid,
        item("/depends_on", index),
        text,
    ))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
