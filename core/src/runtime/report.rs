//! How a load, restart, reload or stop went.

use crate::check::Finding;
use crate::error::Error;
use crate::lifecycle::State;
use crate::manifest::Assumption;
use crate::registry::Plugin;
use serde::Serialize;
use serde_json::Value;
use std::time::Instant;

/// How a load, restart, reload or stop went. A plugin's fault is in here, it is never an `Err`.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// The plugin's name.
    pub name: String,
    /// Its state now.
    pub state: State,
    /// The generation that began, or still serves.
    pub generation: u32,
    /// Why it is not INITIALIZED; of a reload, why the old generation still serves.
    #[serde(serialize_with = "as_value")]
    pub error: Option<Error>,
    /// What the dependency check found.
    pub findings: Vec<Finding>,
    /// What was assumed of the manifest.
    pub assumptions: Vec<Assumption>,
    /// Which mechanism holds each limit and permission, where it runs in a worker process.
    pub enforcement: Option<Value>,
    /// Plugins that depend on it, directly or not. They keep their generations.
    pub affected: Vec<String>,
    /// Calls that were still under way when a stop or a reload had waited long enough.
    pub cut_off: u32,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
}

fn as_value<S: serde::Serializer>(
    error: &Option<Error>,
    s: S,
) -> std::result::Result<S::Ok, S::Error> {
    error.as_ref().map(Error::to_value).serialize(s)
}

impl LoadReport {
    /// Whether it went well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.error.is_none()
    }

    pub(super) fn of(plugin: &Plugin, error: Option<Error>, since: Instant) -> Self {
        let status = plugin.status();
        Self {
            name: plugin.name.clone(),
            state: status.state,
            generation: status.generation,
            error,
            findings: plugin.note().findings.to_vec(),
            assumptions: plugin.source.load().assumptions.to_vec(),
            enforcement: plugin.enforcement(),
            affected: Vec::new(),
            cut_off: 0,
            took_ms: since.elapsed().as_secs_f64() * 1e3,
        }
    }

    pub(super) fn refused(name: &str, error: Error) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Failed,
            generation: 0,
            error: Some(error),
            findings: Vec::new(),
            assumptions: Vec::new(),
            enforcement: None,
            affected: Vec::new(),
            cut_off: 0,
            took_ms: 0.0,
        }
    }
}
