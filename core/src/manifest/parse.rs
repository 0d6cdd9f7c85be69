//! Text to data, and data to a [`Manifest`].

use super::problem::{self, Problem};
use super::{Manifest, Parsed, dialect, semantic, strict, validate};
use crate::error::{Code, Error, Result};
use serde_json::{Number, Value};
use std::path::Path;

/// The deepest nesting of a manifest; `serde_json` stops text at about the same depth.
const DEPTH: usize = 128;

/// JSON text to data.
pub(super) fn json(text: &str, file: Option<&Path>) -> Result<Value> {
    sized(text, file)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    strict::parse(text).map_err(|wrong| {
        let said = wrong.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        syntax("JSON", wrong.line(), wrong.column(), said, file)
    })
}

/// TOML text to data. A date becomes its text.
pub(super) fn toml(text: &str, file: Option<&Path>) -> Result<Value> {
    sized(text, file)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table: toml::Table = toml::from_str(text).map_err(|wrong| {
        let (line, column) = position(text.as_bytes(), wrong.span().map_or(0, |span| span.start));
        syntax("TOML", line, column, wrong.message(), file)
    })?;
    from_toml(toml::Value::Table(table)).ok_or_else(|| {
        invalid(
            "",
            "a number is not finite; nan and inf are not allowed",
            file,
        )
    })
}

/// Bytes to text, naming the place of the first byte that is not UTF-8.
pub(super) fn utf8(bytes: Vec<u8>, file: &Path) -> Result<String> {
    String::from_utf8(bytes).map_err(|wrong| {
        let at = wrong.utf8_error().valid_up_to();
        let (line, column) = position(wrong.as_bytes(), at);
        syntax(
            "UTF-8 text",
            line,
            column,
            "a byte that is not part of a character",
            Some(file),
        )
    })
}

/// Data to a manifest, by way of the dialects, the schema and the rest of the rules.
pub(super) fn understand(
    mut value: Value,
    dir: Option<&Path>,
    file: Option<&Path>,
) -> Result<Parsed> {
    if deeper_than(&value, DEPTH) {
        dismantle(value);
        return Err(invalid(
            "",
            &format!("it is nested deeper than {DEPTH} levels"),
            file,
        ));
    }
    let assumptions = dialect::normalise(&mut value, dir);
    let mut problems = validate::against_schema(&value);
    problems.extend(semantic::check(&value));
    if let Some(error) = problem::to_error(problems, file) {
        return Err(error);
    }
    let mut manifest: Manifest = serde_json::from_value(value)
        .map_err(|wrong| invalid("", &format!("it cannot be read: {wrong}"), file))?;
    manifest.dir = dir.map(Path::to_path_buf);
    manifest.file = file.map(Path::to_path_buf);
    Ok(Parsed {
        manifest,
        assumptions,
    })
}

fn sized(text: &str, file: Option<&Path>) -> Result<()> {
    if text.len() > super::MANIFEST_LIMIT {
        return Err(too_large(file));
    }
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        let text = "it is empty (line 1, column 1)";
        return Err(problem::single(
            Problem::new(Code::ManifestSyntax, "", text),
            file,
        ));
    }
    Ok(())
}

/// The error of a file or text beyond the limit.
pub(super) fn too_large(file: Option<&Path>) -> Error {
    let limit = super::MANIFEST_LIMIT / (1024 * 1024);
    invalid("", &format!("it is larger than {limit} MiB"), file)
}

fn invalid(place: &str, text: &str, file: Option<&Path>) -> Error {
    problem::single(Problem::new(Code::ManifestInvalid, place, text), file)
}

fn syntax(language: &str, line: usize, column: usize, said: &str, file: Option<&Path>) -> Error {
    let said = said.trim().replace('\n', "; ");
    let text = format!("line {line}, column {column}: not valid {language}: {said}");
    problem::single(Problem::new(Code::ManifestSyntax, "", text), file)
}

/// Line and column, both from 1, of a byte offset; columns count characters.
fn position(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    (
        line,
        String::from_utf8_lossy(&before[start..]).chars().count() + 1,
    )
}

/// `None` when a number has no JSON form. The parser bounds the depth.
fn from_toml(value: toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => Value::Number(Number::from_f64(number)?),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect::<Option<_>>()?,
        toml::Value::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, value)| Some((key, from_toml(value)?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// Without recursion: the value may come from a host and have any depth.
fn deeper_than(value: &Value, limit: usize) -> bool {
    let mut waiting = vec![(value, 0)];
    while let Some((value, depth)) = waiting.pop() {
        if depth > limit {
            return true;
        }
        match value {
            Value::Array(items) => waiting.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => waiting.extend(map.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    false
}

/// Frees a value level by level: dropping a very deep one at once overflows the stack.
fn dismantle(value: Value) {
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Array(items) => waiting.extend(items),
            Value::Object(map) => waiting.extend(map.into_iter().map(|(_, item)| item)),
            _ => {}
        }
    }
}
