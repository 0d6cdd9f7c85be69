//! `models` as a list, or as paths.

use super::Notes;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Makes every model an object under a name of its own.
pub(super) fn shape(map: &mut Map<String, Value>, notes: &mut Notes) {
    let listed = match map.get("models") {
        Some(Value::String(path)) => named(&[path.as_str().into()]),
        Some(Value::Array(items)) => named(items),
        _ => None,
    };
    if let Some(models) = listed {
        let names: Vec<&str> = models.keys().map(String::as_str).collect();
        notes.add(
            "models",
            format!("named after their files: {}", names.join(", ")),
        );
        map.insert("models".into(), models.into());
    }
    // A path instead of an object is Plugward's own short form: nothing is assumed.
    if let Some(Value::Object(models)) = map.get_mut("models") {
        for model in models.values_mut().filter(|model| model.is_string()) {
            *model = json!({ "path": model.take() });
        }
    }
}

/// `None` when an item is neither a path nor an object with one.
fn named(items: &[Value]) -> Option<Map<String, Value>> {
    let mut models = Map::new();
    for item in items {
        let (name, model) = one(item)?;
        if models.insert(name, model).is_some() {
            return None;
        }
    }
    Some(models)
}

fn one(item: &Value) -> Option<(String, Value)> {
    if let Value::String(path) = item {
        return Some((stem(path), json!({ "path": path })));
    }
    let mut model = item.as_object()?.clone();
    let name = match model.remove("name") {
        Some(Value::String(name)) => name,
        Some(_) => return None,
        None => stem(model.get("path")?.as_str()?),
    };
    Some((name, model.into()))
}

fn stem(path: &str) -> String {
    let stem = Path::new(path)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    if stem.is_empty() {
        path.to_owned()
    } else {
        stem.into_owned()
    }
}
