//! `permissions` as a list of words, `resources`, and short forms of `gpu`.

use super::Notes;
use serde_json::{Map, Value, json};

/// A list of words becomes the object; only words that are surely understood grant anything.
pub(super) fn shape(map: &mut Map<String, Value>, notes: &mut Notes) {
    let Some(Value::Array(words)) = map.get("permissions") else {
        return;
    };
    let Some(words) = words.iter().map(Value::as_str).collect::<Option<Vec<_>>>() else {
        return;
    };
    let mut granted = Map::new();
    for word in words {
        match word {
            "network" | "net" => granted.insert("network".into(), true.into()),
            "subprocess" => granted.insert("subprocess".into(), true.into()),
            "gpu" | "cuda" => granted.insert("devices".into(), json!(["gpu"])),
            _ => {
                notes.add(
                    "permissions",
                    format!("\"{word}\" is not known and grants nothing"),
                );
                continue;
            }
        };
        notes.add("permissions", format!("\"{word}\" is granted"));
    }
    map.insert("permissions".into(), granted.into());
}

/// `resources: {maxMemoryMB}` becomes `limits.memory_mb`.
pub(super) fn resources(map: &mut Map<String, Value>, notes: &mut Notes) {
    if !map.get("resources").is_some_and(Value::is_object) {
        return;
    }
    let Some(Value::Object(resources)) = map.remove("resources") else {
        return;
    };
    for (key, value) in resources {
        if matches!(key.as_str(), "maxMemoryMB" | "max_memory_mb" | "memory_mb") {
            memory(map, &key, value, notes);
        } else {
            notes.add(format!("resources.{key}"), "not used by Plugward; ignored");
        }
    }
}

fn memory(map: &mut Map<String, Value>, key: &str, value: Value, notes: &mut Notes) {
    let limits = map.entry("limits").or_insert_with(|| json!({}));
    let Some(limits) = limits.as_object_mut() else {
        return;
    };
    notes.add(format!("resources.{key}"), "read as limits.memory_mb");
    limits.entry("memory_mb").or_insert(value);
}

/// `gpu: true`, and a compute capability written as a number.
pub(super) fn gpu(map: &mut Map<String, Value>, notes: &mut Notes) {
    if let Some(Value::Bool(needed)) = map.get("gpu").cloned() {
        map.remove("gpu");
        notes.add("gpu", "read as requires_gpu");
        map.entry("requires_gpu").or_insert(needed.into());
    }
    let Some(compute) = map
        .get_mut("gpu")
        .and_then(|gpu| gpu.get_mut("min_compute"))
    else {
        return;
    };
    if let Some(number) = compute.as_f64() {
        let text = if number.fract() == 0.0 {
            format!("{number:.1}")
        } else {
            number.to_string()
        };
        notes.add(
            "gpu.min_compute",
            format!("the number is read as \"{text}\""),
        );
        *compute = text.into();
    }
}
