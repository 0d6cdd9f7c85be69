//! Keys that other hosts call differently, or that only they use.

use super::Notes;
use serde_json::{Map, Value};

/// Other names of a key, in the order of preference.
const ALIASES: [(&str, &[&str]); 4] = [
    ("entrypoint", &["entry_point", "entryPoint", "main"]),
    ("dependencies", &["requirements", "required_packages"]),
    ("models", &["model_paths", "requires_models"]),
    ("executables", &["programs"]),
];

/// Keys of other hosts that say nothing about running the plugin safely.
const FOREIGN: [&str; 21] = [
    "activation_criteria",
    "author",
    "authors",
    "capabilities",
    "categories",
    "config_schema",
    "contributors",
    "coordination",
    "display_name",
    "engines",
    "homepage",
    "icon",
    "keywords",
    "license",
    "private",
    "repository",
    "runtime_interface",
    "tags",
    "title",
    "translation_plugins",
    "url",
];

/// Gives keys their own names. Where both are there, Plugward's own stands.
pub(super) fn rename(map: &mut Map<String, Value>, notes: &mut Notes) {
    identity(map, notes);
    for (own, others) in ALIASES {
        for other in others {
            alias(map, own, other, notes);
        }
    }
}

/// Moves `other` to `own`.
pub(super) fn alias(map: &mut Map<String, Value>, own: &str, other: &str, notes: &mut Notes) {
    let Some(value) = map.remove(other) else {
        return;
    };
    if map.contains_key(own) {
        notes.add(
            other,
            format!("\"{own}\" stands too and is used; this is ignored"),
        );
    } else {
        notes.add(other, format!("read as \"{own}\""));
        map.insert(own.into(), value);
    }
}

/// `id` and `name`: with both, hosts use `id` to call the plugin and `name` as a title, if it
/// looks like a title.
fn identity(map: &mut Map<String, Value>, notes: &mut Notes) {
    let title = map.get("name").and_then(Value::as_str).map(str::to_owned);
    let id = map.get("id").and_then(Value::as_str);
    match (id, title) {
        (Some(id), Some(title)) if id == title => {
            map.remove("id");
        }
        (Some(id), Some(title)) if is_title(&title) && !is_title(id) => {
            notes.add(
                "id",
                format!("used as \"name\"; \"{title}\" is taken for a title"),
            );
            let id = map.remove("id").unwrap_or_default();
            map.insert("name".into(), id);
        }
        _ => alias(map, "name", "id", notes),
    }
}

fn is_title(name: &str) -> bool {
    name.contains(char::is_whitespace)
}

/// Drops the keys that only other hosts use, and says so.
pub(super) fn drop_foreign(map: &mut Map<String, Value>, notes: &mut Notes) {
    for key in FOREIGN {
        if map.remove(key).is_some() {
            notes.add(key, "not used by Plugward; ignored");
        }
    }
}
