//! Where an interpreter that is not the host's looks for packages.
//!
//! It is asked itself, once, in a throw-away process: reading `pyvenv.cfg` was rejected, since that
//! knows nothing of `.pth` files and of a distribution's own folders. The answer is kept while
//! interpreter, `pyvenv.cfg` and every folder of its import path look as they did.

use super::site::answer;
use plugward_core::check::{Finding, Subject, Trial, TrialOutcome};
use plugward_core::error::Code;
use plugward_core::sync::Mutex;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const SCRIPT: &str = include_str!("facts.py");
/// How long an interpreter may take to start.
const BOUND: Duration = Duration::from_secs(20);
/// How many interpreters are remembered; beyond that, all are forgotten at once.
const KNOWN_LIMIT: usize = 64;
/// The oldest Python that a worker runs on.
const OLDEST: (u32, u32) = (3, 10);

/// What an interpreter says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Interpreter {
    /// `3.12.4`
    pub(super) version: String,
    /// Its import path.
    pub(super) path: Vec<PathBuf>,
    /// The variables of PEP 508 markers.
    pub(super) markers: BTreeMap<String, String>,
}

impl Interpreter {
    /// The folder of a package, found without importing it.
    pub(super) fn package(&self, name: &str) -> Option<PathBuf> {
        let folders = self.path.iter().map(|folder| folder.join(name));
        folders
            .into_iter()
            .find(|folder| folder.join("__init__.py").is_file())
    }
}

/// What tells one moment of a file or folder from another.
type Stamp = (PathBuf, Option<(u64, SystemTime, u64)>);

/// What an interpreter said, and how its files looked then.
type Known = (Vec<Stamp>, Arc<Interpreter>);

static KNOWN: Mutex<BTreeMap<PathBuf, Known>> = Mutex::new(BTreeMap::new());

/// Asks an interpreter, or remembers what it said; `Err` is the finding why it cannot be used.
pub(super) fn interpreter(program: &Path) -> Result<Arc<Interpreter>, Box<Finding>> {
    let start = Instant::now();
    if let Some((stamps, known)) = KNOWN.lock().get(program)
        && stamps.iter().all(|(path, seen)| stamp(path).1 == *seen)
    {
        return Ok(Arc::clone(known));
    }
    let found = ask(program).map_err(|cause| Box::new(unusable(program, &cause).since(start)))?;
    let found = Arc::new(found);
    let mut known = KNOWN.lock();
    if known.len() >= KNOWN_LIMIT {
        known.clear();
    }
    known.insert(
        program.to_owned(),
        (stamps(program, &found), Arc::clone(&found)),
    );
    Ok(found)
}

fn unusable(program: &Path, cause: &str) -> Finding {
    let place = program.display();
    Finding::bad(Subject::Platform, "interpreter", Code::CheckInterpreter)
        .with_message(format!("the plugin's own Python {place} cannot be used"))
        .with_cause(cause)
}

fn ask(program: &Path) -> Result<Interpreter, String> {
    if !program.exists() {
        return Err("there is no such program".into());
    }
    let trial = Trial {
        program: program.to_owned(),
        args: ["-I", "-c", SCRIPT].map(Into::into).into(),
        env: Vec::new(),
        bound: BOUND,
    };
    let outcome = trial.run();
    let found = understood(&outcome).ok_or_else(|| format!("it {}", outcome.story()))?;
    match too_old(&found.version) {
        true => Err(format!(
            "it is Python {}, and a worker needs {}.{} or newer",
            found.version, OLDEST.0, OLDEST.1
        )),
        false => Ok(found),
    }
}

fn understood(outcome: &TrialOutcome) -> Option<Interpreter> {
    serde_json::from_value(answer(outcome)?).ok()
}

fn too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    let major = numbers.next().unwrap_or(0);
    (major, numbers.next().unwrap_or(0)) < OLDEST
}

fn stamps(program: &Path, found: &Interpreter) -> Vec<Stamp> {
    let above = program.ancestors().skip(1).take(2);
    let settings = above.map(|folder| folder.join("pyvenv.cfg"));
    [program.to_owned()]
        .into_iter()
        .chain(settings)
        .chain(found.path.iter().cloned())
        .map(|path| stamp(&path))
        .collect()
}

fn stamp(path: &Path) -> Stamp {
    let of = |metadata: fs::Metadata| {
        let modified = metadata.modified().ok()?;
        Some((metadata.len(), modified, inode(&metadata)))
    };
    (path.to_owned(), fs::metadata(path).ok().and_then(of))
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}
