//! What the schema itself shows how to read: `camelCase` keys, nulls for defaults, `60.0` for 60.

use super::Notes;
use crate::manifest::expect::allows;
use crate::manifest::problem::join;
use serde_json::{Map, Value};

/// Follows data and schema together; the schema bounds the depth.
pub(super) fn lower(value: &mut Value, node: &Value, place: &str, notes: &mut Notes) {
    match value {
        Value::Object(map) => object(map, node, place, notes),
        Value::Array(items) => {
            let Some(inner) = node.get("items") else {
                return;
            };
            for (index, item) in items.iter_mut().enumerate() {
                lower(item, inner, &join(place, &index.to_string()), notes);
            }
        }
        Value::Number(_) => whole(value, node, place, notes),
        _ => {}
    }
}

fn object(map: &mut Map<String, Value>, node: &Value, place: &str, notes: &mut Notes) {
    let known = node.get("properties").and_then(Value::as_object);
    let other = node
        .get("additionalProperties")
        .filter(|inner| inner.is_object());
    if let Some(known) = known {
        snake_keys(map, known, place, notes);
        nulls(map, known, place, notes);
    }
    for (key, value) in map.iter_mut() {
        if let Some(inner) = known.and_then(|known| known.get(key)).or(other) {
            lower(value, inner, &join(place, key), notes);
        }
    }
}

/// `requiresGpu` for `requires_gpu`.
fn snake_keys(
    map: &mut Map<String, Value>,
    known: &Map<String, Value>,
    place: &str,
    notes: &mut Notes,
) {
    let foreign: Vec<String> = map
        .keys()
        .filter(|key| !known.contains_key(*key))
        .cloned()
        .collect();
    for key in foreign {
        let own = snake(&key);
        if !known.contains_key(&own) || map.contains_key(&own) {
            continue;
        }
        if let Some(value) = map.remove(&key) {
            notes.add(dotted(&join(place, &key)), format!("read as \"{own}\""));
            map.insert(own, value);
        }
    }
}

fn snake(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(if letter == '-' {
            '_'
        } else {
            letter.to_ascii_lowercase()
        });
    }
    out
}

/// null where the schema has no null but a default.
fn nulls(map: &mut Map<String, Value>, known: &Map<String, Value>, place: &str, notes: &mut Notes) {
    map.retain(|key, value| {
        let Some(node) = known.get(key).filter(|_| value.is_null()) else {
            return true;
        };
        let keep = allows(node, "null") || node.get("default").is_none();
        if !keep {
            notes.add(dotted(&join(place, key)), "null is read as the default");
        }
        keep
    });
}

/// A whole number written with a decimal point.
fn whole(value: &mut Value, node: &Value, place: &str, notes: &mut Notes) {
    /// Above this not every integer has a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let Some(number) = value.as_f64().filter(|_| value.is_f64()) else {
        return;
    };
    let integer = node.get("type").is_some() && allows(node, "integer") && !allows(node, "number");
    if integer && number.fract() == 0.0 && number.abs() < EXACT {
        let number = number as i64;
        notes.add(dotted(place), format!("read as {number}"));
        *value = number.into();
    }
}

fn dotted(place: &str) -> String {
    place.trim_start_matches('/').replace('/', ".")
}
