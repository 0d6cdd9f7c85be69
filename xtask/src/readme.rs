//! The guarantees in `README.md`: the fault matrix, which is also what its test runs.

use crate::generators::{NOTICE, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const LEVELS: [&str; 3] = ["inline", "thread", "process"];
const BEGIN: &str = "<!-- guarantees: ";
const END: &str = "<!-- /guarantees -->";

/// `tests/fault_matrix/matrix.json`; what only its test reads is left out.
#[derive(Deserialize)]
struct Matrix {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    /// What the plugin does, to go on from "the plugin ...".
    says: String,
    kinds: Vec<String>,
    /// By isolation levels, `"inline, thread"`.
    levels: BTreeMap<String, Promise>,
}

/// What is promised for one misbehaviour at one level, and proven by the test.
#[derive(Deserialize)]
struct Promise {
    code: Option<String>,
    note: Option<String>,
    #[serde(default)]
    ok: bool,
    /// How it takes the host along.
    ends: Option<String>,
    /// What of the host is no longer as it was.
    #[serde(default)]
    harms: Vec<String>,
    /// The plugin does what it wants, and nobody looks.
    #[serde(default)]
    unchecked: bool,
    /// The plugin does what it wants, although one might think that it cannot.
    #[serde(default)]
    unheld: bool,
}

/// The whole file: what stands in it, with the table between the marks made anew.
pub(crate) fn make() -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("README.md"))?;
    let matrix = std::fs::read_to_string(root.join("tests/fault_matrix/matrix.json"))?;
    let parts = text.split_once(BEGIN).zip(text.split_once(END));
    let ((before, _), (_, after)) = parts.ok_or("README.md has lost its marks")?;
    let table = table(&serde_json::from_str(&matrix)?)?;
    Ok(format!(
        "{before}{BEGIN}{NOTICE} -->\n\n{table}\n{END}{after}"
    ))
}

fn table(matrix: &Matrix) -> Result<String> {
    let mut out =
        String::from("| the plugin ... | inline | thread | process |\n|---|---|---|---|\n");
    for row in &matrix.rows {
        let python = row.kinds == ["python"] && !row.says.contains("Python");
        let whose = if python { " (Python)" } else { "" };
        write!(out, "| {}{whose} |", row.says)?;
        for level in LEVELS {
            let found = row
                .levels
                .iter()
                .find(|(names, _)| names.split(", ").any(|n| n == level));
            write!(
                out,
                " {} |",
                found.map_or("-".into(), |(_, promise)| cell(promise))
            )?;
        }
        out.push('\n');
    }
    Ok(out)
}

fn cell(promise: &Promise) -> String {
    let fate = match (promise.ends.as_deref(), promise.harms.as_slice()) {
        (Some("waits" | "freezes"), _) => "**no**".to_owned(),
        (Some(how), _) => format!("**no**: the host ends ({how})"),
        (None, [_, ..]) => "**no**".to_owned(),
        (None, []) if promise.unheld => "**no**".to_owned(),
        (None, []) if promise.unchecked => "not checked".to_owned(),
        (None, []) => "yes".to_owned(),
    };
    let note = promise.note.as_deref().map(|note| format!(": {note}"));
    let code = promise.code.as_deref().filter(|_| !promise.ok);
    let code = code.map(|code| format!(", `{code}`"));
    format!(
        "{fate}{}{}",
        note.unwrap_or_default(),
        code.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_told_as_it_is() {
        let told = |text: &str| cell(&serde_json::from_str(text).unwrap());
        assert_eq!(told(r#"{"code": "PW-X-001"}"#), "yes, `PW-X-001`");
        assert_eq!(
            told(r#"{"ends": "SIGSEGV"}"#),
            "**no**: the host ends (SIGSEGV)"
        );
        assert_eq!(told(r#"{"ok": true, "unchecked": true}"#), "not checked");
        let open = r#"{"ok": true, "unheld": true, "note": "it reads"}"#;
        assert_eq!(told(open), "**no**: it reads");
        let harm = r#"{"ok": true, "harms": ["cwd"], "note": "it moves"}"#;
        assert_eq!(told(harm), "**no**: it moves");
    }
}
