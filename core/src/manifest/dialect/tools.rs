//! `tools` as ids, as an object, or in other hosts' words.

use super::Notes;
use super::keys::alias;
use serde_json::{Map, Value, json};

/// Keys of a tool that only other hosts use.
const FOREIGN: [&str; 3] = ["annotations", "handler", "title"];

/// Makes `tools` a list of objects in Plugward's words.
pub(super) fn shape(map: &mut Map<String, Value>, notes: &mut Notes) {
    match map.get_mut("tools") {
        Some(Value::Object(tools)) => {
            let list: Vec<Value> = std::mem::take(tools).into_iter().map(keyed).collect();
            notes.add(
                "tools",
                "the object is read as a list; its keys are the tools' ids",
            );
            map.insert("tools".into(), list.into());
        }
        Some(Value::Array(tools)) if tools.iter().any(Value::is_string) => {
            notes.add("tools", "names are read as tools that have only an id");
            for tool in tools.iter_mut().filter(|tool| tool.is_string()) {
                *tool = json!({ "id": tool.take() });
            }
        }
        _ => {}
    }
    let Some(Value::Array(tools)) = map.get_mut("tools") else {
        return;
    };
    for (index, tool) in tools.iter_mut().enumerate() {
        if let Value::Object(tool) = tool {
            words(tool, index, notes);
        }
    }
}

/// `{"id": {...}}`, `{"id": "description"}` or `{"id": null}`.
fn keyed((id, tool): (String, Value)) -> Value {
    match tool {
        Value::Null => json!({ "id": id }),
        Value::String(description) => json!({ "id": id, "description": description }),
        Value::Object(mut tool) => {
            tool.insert("id".into(), id.into());
            tool.into()
        }
        other => other,
    }
}

fn words(tool: &mut Map<String, Value>, index: usize, notes: &mut Notes) {
    let mut own = Notes::default();
    alias(tool, "id", "name", &mut own);
    for other in ["inputSchema", "parameters"] {
        alias(tool, "input_schema", other, &mut own);
    }
    alias(tool, "output_schema", "outputSchema", &mut own);
    for key in FOREIGN {
        if tool.remove(key).is_some() {
            own.add(key, "not used by Plugward; ignored");
        }
    }
    let place = match tool.get("id").and_then(Value::as_str) {
        Some(id) => format!("tools.{id}"),
        None => format!("tools.{index}"),
    };
    for note in own.0 {
        notes.add(format!("{place}.{}", note.key), note.message);
    }
}
