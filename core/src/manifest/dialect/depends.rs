//! `dependencies` as an object: package to range.

use super::Notes;
use serde_json::{Map, Value};

/// Turns the object into a list of requirements, if every entry is understood.
pub(super) fn flatten(map: &mut Map<String, Value>, notes: &mut Notes) {
    let node = map.get("kind").and_then(Value::as_str) == Some("node");
    if let Some(Value::String(one)) = map.get("dependencies") {
        let list = Value::Array(vec![one.as_str().into()]);
        notes.add(
            "dependencies",
            "a single requirement is read as a list of one",
        );
        map.insert("dependencies".into(), list);
    }
    let Some(Value::Object(ranges)) = map.get("dependencies") else {
        return;
    };
    let read = ranges.iter().map(|(name, range)| match range {
        Value::String(range) => requirement(name, range, node),
        Value::Null => Some(name.clone()),
        _ => None,
    });
    let Some(list) = read.collect::<Option<Vec<String>>>() else {
        return;
    };
    notes.add(
        "dependencies",
        format!("the object is read as the list [{}]", list.join(", ")),
    );
    map.insert("dependencies".into(), list.into());
}

/// `name@range` for npm, PEP 508 else. `None` for a range that Python does not have (`^1.2`).
fn requirement(name: &str, range: &str, node: bool) -> Option<String> {
    let range = range.trim();
    if matches!(range, "" | "*" | "latest") {
        return Some(name.to_owned());
    }
    if node {
        return Some(format!("{name}@{range}"));
    }
    match range.chars().next()? {
        '<' | '>' | '=' | '!' => Some(format!("{name}{range}")),
        '~' if range.starts_with("~=") => Some(format!("{name}{range}")),
        digit if digit.is_ascii_digit() => Some(format!("{name}=={range}")),
        _ => None,
    }
}
