//! `kind`: stated, stated in other words, or told from the entrypoint.

use super::Notes;
use serde_json::{Map, Value};

/// Keys under which other hosts state the kind, or something else entirely.
const ELSEWHERE: [&str; 3] = ["type", "runtime", "language"];

/// Makes sure of `kind`, if it can be told.
pub(super) fn settle(map: &mut Map<String, Value>, notes: &mut Notes) {
    own_word(map, notes);
    for key in ELSEWHERE {
        elsewhere(map, key, notes);
    }
    if !map.contains_key("kind") {
        infer(map, notes);
    }
}

/// `nodejs` and the like under `kind` itself.
fn own_word(map: &mut Map<String, Value>, notes: &mut Notes) {
    let Some(said) = map.get("kind").and_then(Value::as_str) else {
        return;
    };
    if let Some(kind) = of_word(said).filter(|kind| *kind != said) {
        notes.add("kind", format!("\"{said}\" is read as \"{kind}\""));
        map.insert("kind".into(), kind.into());
    }
}

fn elsewhere(map: &mut Map<String, Value>, key: &str, notes: &mut Notes) {
    let Some(said) = map.get(key).and_then(Value::as_str).map(str::to_owned) else {
        return;
    };
    map.remove(key);
    match of_word(&said) {
        Some(kind) if !map.contains_key("kind") => {
            notes.add(key, format!("\"{said}\" is read as kind \"{kind}\""));
            map.insert("kind".into(), kind.into());
        }
        Some(_) => notes.add(key, "the kind is known already; ignored"),
        None => notes.add(
            key,
            format!("\"{said}\" is no kind that Plugward knows; ignored"),
        ),
    }
}

fn infer(map: &mut Map<String, Value>, notes: &mut Notes) {
    let Some(entrypoint) = map.get("entrypoint").and_then(Value::as_str) else {
        return;
    };
    if let Some(kind) = of_entrypoint(entrypoint) {
        notes.add(
            "kind",
            format!("\"{kind}\", told from the entrypoint \"{entrypoint}\""),
        );
        map.insert("kind".into(), kind.into());
    }
}

fn of_word(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "python" | "python3" | "py" => "python",
        "node" | "nodejs" | "node.js" | "javascript" | "js" | "typescript" | "ts" => "node",
        "native" | "rust" | "c" | "cpp" | "c++" | "cdylib" => "native",
        "host" => "host",
        _ => return None,
    })
}

/// `plugin.py:Class`, `index.js`, `libx.so`, `pkg.module:Class`.
fn of_entrypoint(entrypoint: &str) -> Option<&'static str> {
    let dotted = |text: &str| text.split('.').all(is_identifier);
    let (place, object) = match entrypoint.rsplit_once(':') {
        Some((place, object)) => (place, Some(object)),
        None => (entrypoint, None),
    };
    let module = || object.is_some_and(dotted) && dotted(place);
    of_file(place)
        .or_else(|| of_file(entrypoint))
        .or_else(|| module().then_some("python"))
}

/// The kind that a file's ending tells.
pub(in crate::manifest) fn of_file(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".py"]) {
        Some("python")
    } else if ends(&[".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"]) {
        Some("node")
    } else if ends(&[".so", ".dll", ".dylib"]) || name.contains(".so.") {
        Some("native")
    } else {
        None
    }
}

fn is_identifier(word: &str) -> bool {
    let mut letters = word.chars();
    letters
        .next()
        .is_some_and(|c| c == '_' || c.is_alphabetic())
        && letters.all(|c| c == '_' || c.is_alphanumeric())
}
