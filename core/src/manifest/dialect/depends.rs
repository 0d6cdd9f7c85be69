//! `dependencies` as an object: package to range, or groups of packages.

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
    let Some(Value::Object(groups)) = map.get("dependencies") else {
        return;
    };
    let mut found = Found::default();
    if found.gather(groups, node).is_none() {
        return;
    }
    let list = found.packages.join(", ");
    notes.add(
        "dependencies",
        format!("the object is read as the list [{list}]"),
    );
    map.insert("dependencies".into(), found.packages.into());
    if !found.programs.is_empty() && !map.contains_key("executables") {
        let list = found.programs.join(", ");
        notes.add(
            "dependencies.system",
            format!("read as executables [{list}]"),
        );
        map.insert("executables".into(), found.programs.into());
    }
}

#[derive(Default)]
struct Found {
    packages: Vec<String>,
    programs: Vec<String>,
}

impl Found {
    /// `None` when an entry is not understood.
    fn gather(&mut self, entries: &Map<String, Value>, node: bool) -> Option<()> {
        for (name, value) in entries {
            match value {
                Value::String(range) => self.packages.push(requirement(name, range, node)?),
                Value::Null => self.packages.push(name.clone()),
                Value::Array(items) => self.group(name, items)?,
                Value::Object(inner) if name == "packages" => self.gather(inner, node)?,
                _ => return None,
            }
        }
        Some(())
    }

    /// `"npm": [...]`, `"pip": [...]`, `"system": [...]`.
    fn group(&mut self, name: &str, items: &[Value]) -> Option<()> {
        let words = items.iter().map(|item| item.as_str().map(str::to_owned));
        let into = match name {
            "system" => &mut self.programs,
            "npm" | "node" | "pip" | "python" | "packages" => &mut self.packages,
            _ => return None,
        };
        into.extend(words.collect::<Option<Vec<_>>>()?);
        Some(())
    }
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
