//! The core's check of npm packages, with the Node that this process is; and whether they survive
//! their own import, tried in throw-away processes.

use plugward_core::Code;
use plugward_core::check::{Finding, Subject, Trial, TrialOutcome, check_node_packages};
use plugward_core::manifest::Manifest;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// This process's Node, which an addon learns from its environment.
static NODE: OnceLock<String> = OnceLock::new();
/// Imports one package as the plugin's code would.
const SCRIPT: &str = include_str!("imports.cjs");
/// Begins an answer; what a package printed before it is skipped.
const MARK: u8 = 0x1e;

/// Notes the version of Node.
pub(crate) fn note_node(version: String) {
    NODE.get_or_init(|| version);
}

/// Findings about a plugin's npm packages, and about Node itself.
pub(crate) fn check(manifest: &Manifest) -> Vec<Finding> {
    check_node_packages(manifest, NODE.get().map(String::as_str))
}

/// Imports every package of `found` that is there, each in a process of its own.
pub(crate) fn imported(
    manifest: &Manifest,
    found: &[Finding],
    node: &Path,
    bound: Duration,
) -> Vec<Finding> {
    let here = || std::env::current_dir().ok();
    let dir = manifest.dir.clone().or_else(here).unwrap_or_default();
    let there = |finding: &&Finding| finding.ok && finding.kind == Subject::Package.as_str();
    let names = found.iter().filter(there).map(|finding| &finding.subject);
    names.map(|name| tried(name, &dir, node, bound)).collect()
}

fn tried(name: &str, dir: &Path, node: &Path, bound: Duration) -> Finding {
    let start = Instant::now();
    let args = ["-e", SCRIPT, "--"].map(OsStr::new);
    let given = [dir.as_os_str(), name.as_ref()];
    let trial = Trial {
        program: node.to_owned(),
        args: args.into_iter().chain(given).map(Into::into).collect(),
        env: Vec::new(),
        bound,
    };
    judged(name, &trial.run()).since(start)
}

fn judged(name: &str, outcome: &TrialOutcome) -> Finding {
    let good = |message| Finding::ok(Subject::Package, name, message);
    let bad = |cause: String| {
        Finding::bad(Subject::Package, name, Code::CheckPackageImport)
            .with_message(format!("{name} is installed, but importing it fails"))
            .with_cause(cause)
    };
    let Some(told) = answer(outcome) else {
        return bad(format!("the import {}", outcome.story()));
    };
    match (&told["threw"], &told["empty"]) {
        (Value::String(threw), _) => bad(format!("importing {name} threw {threw}")),
        (_, Value::Bool(true)) => good(format!("{name} has no module that could be imported")),
        _ => good(format!("importing {name} works")),
    }
}

/// The JSON behind the mark.
fn answer(outcome: &TrialOutcome) -> Option<Value> {
    let at = outcome.answer.iter().rposition(|byte| *byte == MARK)?;
    serde_json::from_slice(&outcome.answer[at + 1..]).ok()
}
