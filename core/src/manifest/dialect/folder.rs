//! What the manifest's folder tells when the manifest does not.

use super::Notes;
use crate::manifest::file::{fallback_name, script_in};
use serde_json::{Map, Value};
use std::path::Path;

/// Fills in `name` from the folder's name and `entrypoint` from its well-known script.
pub(super) fn fill(map: &mut Map<String, Value>, dir: Option<&Path>, notes: &mut Notes) {
    let Some(dir) = dir else { return };
    if !map.contains_key("name") {
        let name = fallback_name(dir);
        notes.add("name", format!("\"{name}\", the name of the folder"));
        map.insert("name".into(), name.into());
    }
    if !map.contains_key("entrypoint") && map.get("kind") != Some(&"host".into()) {
        script(map, dir, notes);
    }
}

fn script(map: &mut Map<String, Value>, dir: &Path, notes: &mut Notes) {
    let found = script_in(dir);
    let file = found
        .as_deref()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    if let Some(file) = file {
        notes.add(
            "entrypoint",
            format!("\"{file}\", which lies beside the manifest"),
        );
        map.insert("entrypoint".into(), file.into());
    }
}
