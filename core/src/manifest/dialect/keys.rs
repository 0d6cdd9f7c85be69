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
const FOREIGN: [&str; 15] = [
    "author",
    "authors",
    "categories",
    "contributors",
    "display_name",
    "engines",
    "homepage",
    "icon",
    "keywords",
    "license",
    "private",
    "repository",
    "tags",
    "title",
    "url",
];

/// Gives keys their own names. Where both are there, Plugward's own stands.
pub(super) fn rename(map: &mut Map<String, Value>, notes: &mut Notes) {
    if map.get("id") == map.get("name") {
        map.remove("id");
    }
    alias(map, "name", "id", notes);
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

/// Drops the keys that only other hosts use, and says so.
pub(super) fn drop_foreign(map: &mut Map<String, Value>, notes: &mut Notes) {
    for key in FOREIGN {
        if map.remove(key).is_some() {
            notes.add(key, "not used by Plugward; ignored");
        }
    }
}
