//! A Python interpreter with an import path, and scripts that run in it in throw-away processes.

use plugward_core::check::{Trial, TrialEnd, TrialOutcome};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Begins an answer; what a module printed before it is skipped.
const MARK: u8 = 0x1e;
/// How much longer the process has than what it tries, so that it can tell where it hangs.
const MARGIN: Duration = Duration::from_secs(2);

/// An interpreter with the import path of the code that it stands for.
#[derive(Debug, Clone)]
pub(super) struct PythonSite {
    /// The program.
    pub(super) program: PathBuf,
    /// Its import path; `None` for the interpreter's own.
    pub(super) path: Option<Vec<PathBuf>>,
}

impl PythonSite {
    /// Runs one of the scripts on modules, for at most `bound`.
    pub(super) fn run(&self, script: &str, modules: &[String], bound: Duration) -> TrialOutcome {
        let given = json!({
            "path": self.path,
            "modules": modules,
            "seconds": bound.as_secs_f64(),
        });
        let trial = Trial {
            program: self.program.clone(),
            // -I: neither the host's working folder nor its PYTHONPATH counts but by `path`.
            args: ["-I", "-c", script]
                .into_iter()
                .map(Into::into)
                .chain([given.to_string().into()])
                .collect(),
            env: vec![("PYTHONDONTWRITEBYTECODE".into(), "1".into())],
            bound: bound + MARGIN,
        };
        let start = Instant::now();
        let mut outcome = trial.run();
        // The script ends itself at the bound, with status 1 and a traceback of where it was.
        if outcome.end == TrialEnd::Status(1) && start.elapsed() >= bound {
            outcome.end = TrialEnd::Overdue(bound);
        }
        outcome.words.retain(|line| !is_machinery(line));
        outcome
    }
}

/// Frames of the import machinery and of the scripts themselves, in what `faulthandler` writes.
fn is_machinery(line: &str) -> bool {
    let frame = line.trim_start().strip_prefix("File \"").unwrap_or("");
    frame.starts_with("<frozen importlib")
        || frame.starts_with("<string>\"")
        || frame.contains("/importlib/__init__.py\"")
}

/// The JSON behind the mark.
pub(super) fn answer(outcome: &TrialOutcome) -> Option<Value> {
    let at = outcome.answer.iter().rposition(|byte| *byte == MARK)?;
    serde_json::from_slice(&outcome.answer[at + 1..]).ok()
}
