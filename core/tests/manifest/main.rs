//! The manifest as a user meets it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers fail the test"
)]

mod dialects;
mod errors;
mod files;
mod garbage;
mod whole;

use plugward_core::Error;
use plugward_core::manifest::{Manifest, Parsed};
use serde_json::{Value, json};

/// The smallest manifest, with `more` on top.
fn with(more: Value) -> Value {
    let mut value = json!({"name": "p", "kind": "python", "entrypoint": "p:Plugin"});
    for (key, item) in more.as_object().unwrap() {
        value[key] = item.clone();
    }
    value
}

fn read(value: Value) -> Parsed {
    Manifest::from_value(value).expect("the manifest is understood")
}

fn refuse(value: Value) -> Error {
    Manifest::from_value(value).expect_err("the manifest is refused")
}

/// `place: message` of every problem.
fn problems(error: &Error) -> Vec<String> {
    let listed = error.details().unwrap()["problems"].as_array().unwrap();
    let text = |p: &Value, key: &str| p[key].as_str().unwrap().to_owned();
    listed
        .iter()
        .map(|p| format!("{}: {}", text(p, "place"), text(p, "message")))
        .collect()
}
