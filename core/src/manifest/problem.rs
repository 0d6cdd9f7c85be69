//! One thing wrong with a manifest, and the error that tells them all.

use crate::error::{Code, Error};
use serde_json::{Value, json};
use std::path::Path;

/// One thing wrong with a manifest.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: Code,
    /// JSON pointer; empty for the manifest itself.
    pub(super) place: String,
    pub(super) text: String,
    pub(super) remedy: Option<String>,
}

impl Problem {
    pub(super) fn new(code: Code, place: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code,
            place: place.into(),
            text: text.into(),
            remedy: None,
        }
    }

    pub(super) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    fn sentence(&self) -> String {
        if self.place.is_empty() {
            self.text.clone()
        } else {
            format!("{}: {}", self.place, self.text)
        }
    }

    /// An unknown key often explains a missing one, and a missing one the rest.
    fn rank(&self) -> u8 {
        match self.code {
            Code::ManifestUnknownKey => 0,
            Code::ManifestMissingKey => 1,
            Code::ManifestBadSchema => 3,
            _ => 2,
        }
    }

    fn to_value(&self) -> Value {
        json!({ "code": self.code.as_str(), "place": self.place, "message": self.text })
    }
}

/// At most this many problems are kept: a garbage file must not make a giant error.
const KEPT: usize = 200;

/// One error out of all problems: the message tells the first, `details.problems` holds all.
/// `None` when there are none.
pub(super) fn to_error(mut problems: Vec<Problem>, file: Option<&Path>) -> Option<Error> {
    problems.sort_by_key(Problem::rank);
    let first = problems.first()?;
    let mut message = prefix(file) + &first.sentence();
    match problems.len() - 1 {
        0 => {}
        1 => message.push_str(" (and 1 more problem)"),
        more => message.push_str(&format!(" (and {more} more problems)")),
    }
    let listed: Vec<Value> = problems.iter().take(KEPT).map(Problem::to_value).collect();
    let mut error = Error::new(first.code)
        .with_message(message)
        .with_details(json!({
            "file": file.map(Path::to_string_lossy),
            "problems": listed,
            "problem_count": problems.len(),
        }));
    if let Some(remedy) = &first.remedy {
        error = error.with_remedy(remedy.clone());
    }
    Some(error)
}

/// An error with a single problem.
pub(super) fn single(problem: Problem, file: Option<&Path>) -> Error {
    let code = problem.code;
    to_error(vec![problem], file).unwrap_or_else(|| Error::new(code))
}

/// `path: `, or nothing for text that came from no file.
fn prefix(file: Option<&Path>) -> String {
    file.map(|path| format!("{}: ", path.display()))
        .unwrap_or_default()
}

/// A value for a message: its JSON, cut short.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Object(map) if map.len() > 8 => format!("an object with {} keys", map.len()),
        Value::Array(list) if list.len() > 8 => format!("a list of {} items", list.len()),
        other => cut(other.to_string(), 80),
    }
}

/// The first `limit` characters, marked where something was left out.
pub(super) fn cut(mut text: String, limit: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(limit) {
        text.truncate(end);
        text.push_str(" ...");
    }
    text
}

/// Appends one reference token to a JSON pointer (RFC 6901).
pub(super) fn join(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}
