//! What a plugin may do, told to people: each right and limit, the manifest line that sets it, and
//! what enforces it on this machine.
//!
//! The lists of paths and variables live here too and are the ones that a worker is confined with,
//! so what is told is what holds. Rejected: a description written beside the sandbox, which drifts.

mod clause;
mod environment;
mod limits;
mod machine;
mod mechanism;
mod paths;

pub use clause::{Allowed, Clause};
pub(crate) use environment::is_allowed;
#[cfg(target_os = "linux")]
pub(crate) use environment::withheld;
#[cfg(target_os = "linux")]
pub(crate) use limits::{PAYLOAD_MB, RESULT_MB};
#[cfg(target_os = "linux")]
pub(crate) use machine::default_memory_mb;
pub(crate) use mechanism::NOT;
pub(crate) use paths::executable_variable;
#[cfg(target_os = "linux")]
pub(crate) use paths::{is_of_system, readable, writable};

use crate::manifest::{Isolation, Kind, Manifest};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// What a plugin may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// The plugin's name.
    pub plugin: String,
    /// The file that the lines stand in, where there is one.
    #[serde(serialize_with = "lossy")]
    pub manifest: Option<PathBuf>,
    /// Where its calls run.
    pub isolation: Isolation,
    /// Whether it runs in a process of its own. If not, it may do what its host may, whatever the
    /// manifest says.
    pub confined: bool,
    /// Its rights, then its limits.
    pub clauses: Vec<Clause>,
}

/// A path as text; serde's own refuses a path that is not UTF-8, and with it the whole description.
#[allow(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = path.as_ref().map(|path| path.to_string_lossy());
    text.serialize(serializer)
}

/// Describes what a plugin of that manifest may do on this machine. Nothing is loaded.
#[must_use]
pub fn describe(manifest: &Manifest) -> Described {
    let isolation = isolation(manifest);
    let confined = isolation == Isolation::Process;
    let mut clauses = clause::rights(manifest);
    clauses.extend(limits::all(manifest));
    if !confined {
        clauses
            .iter_mut()
            .for_each(|clause| clause.unheld(isolation));
    }
    Described {
        plugin: manifest.name.clone(),
        manifest: manifest.file.clone(),
        isolation,
        confined,
        clauses,
    }
}

/// The isolation that a runtime gives it: native plugins that name none have a process wherever
/// the worker program is found.
fn isolation(manifest: &Manifest) -> Isolation {
    #[cfg(target_os = "linux")]
    if manifest.isolation.is_none()
        && manifest.kind == Kind::Native
        && crate::worker::Program::native().is_some()
    {
        return Isolation::Process;
    }
    let _ = Kind::Native;
    manifest.effective_isolation()
}

/// `the manifest of NAME`, or its file.
pub(crate) fn place(manifest: &Manifest) -> String {
    match &manifest.file {
        Some(file) => file.display().to_string(),
        None => format!("the manifest of {}", manifest.name),
    }
}
