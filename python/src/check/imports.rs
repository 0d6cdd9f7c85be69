//! Does a package survive its own import? Tried in a throw-away process.

use super::site::{PythonSite, answer};
use plugward_core::check::{Finding, Subject, TrialOutcome};
use plugward_core::error::Code;
use serde_json::Value;
use std::time::{Duration, Instant};

const SCRIPT: &str = include_str!("imports.py");

/// Imports a package's modules in a process of their own: one finding, good or bad.
pub(super) fn tried(
    site: &PythonSite,
    subject: &str,
    modules: &[String],
    bound: Duration,
) -> Finding {
    let start = Instant::now();
    let outcome = site.run(SCRIPT, modules, bound);
    let names = modules.join(", ");
    let bad = |cause: String| {
        Finding::bad(Subject::Package, subject, Code::CheckPackageImport)
            .with_message(format!("{names} is installed, but importing it fails"))
            .with_cause(cause)
    };
    let finding = match answer(&outcome).as_ref().map(|told| &told["failed"]) {
        Some(Value::Null) => Finding::ok(
            Subject::Package,
            subject,
            format!("importing {names} works{}", printed(&outcome)),
        ),
        Some(failed) => bad(raised(failed, &outcome)),
        None => bad(format!("the import {}", outcome.story())),
    };
    finding.since(start)
}

fn printed(outcome: &TrialOutcome) -> String {
    match outcome.written {
        0 => String::new(),
        bytes => format!("; it wrote {bytes} bytes meanwhile"),
    }
}

/// What the exception said, and the last lines that were written: its traceback.
fn raised(failed: &Value, outcome: &TrialOutcome) -> String {
    let part = |at: usize| failed[at].as_str().unwrap_or_default();
    let said = format!("importing {} raised {}: {}", part(0), part(1), part(2));
    said + &outcome.last_lines()
}
