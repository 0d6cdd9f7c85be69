//! Required environment variables. Their values are never shown: many are secrets.

use super::finding::{Finding, Subject};
use crate::error::Code;
use std::ffi::OsString;
use std::time::Instant;

/// Checks that each variable is set, and not to nothing, in this process.
#[must_use]
pub fn check_env(names: &[String]) -> Vec<Finding> {
    check_env_in(names, |name| std::env::var_os(name))
}

/// The same in any environment, such as the one that a worker will get.
pub fn check_env_in(names: &[String], lookup: impl Fn(&str) -> Option<OsString>) -> Vec<Finding> {
    let check = |name: &String| {
        let start = Instant::now();
        let value = usable(name).then(|| lookup(name)).flatten();
        finding(name, value.as_ref()).since(start)
    };
    names.iter().map(check).collect()
}

/// A name that an environment can hold.
fn usable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn finding(name: &str, value: Option<&OsString>) -> Finding {
    let bad = || {
        Finding::bad(Subject::Env, name, Code::CheckEnvironment)
            .with_message(format!("the environment variable {name} is needed"))
            .with_remedy(format!("set {name} before the host starts"))
    };
    match value {
        Some(value) if value.is_empty() => bad().with_cause("it is set to nothing"),
        Some(_) => Finding::ok(Subject::Env, name, "it is set"),
        None if usable(name) => bad().with_cause("it is not set"),
        None => bad()
            .with_cause("no variable can have this name")
            .with_remedy("correct env in the manifest"),
    }
}
