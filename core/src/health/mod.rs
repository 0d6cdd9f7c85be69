//! Health: what a plugin is and how it fares, from an immutable snapshot.
//!
//! Building it takes no lock that a plugin, a log sink or a hanging worker could hold, enters no
//! plugin code and cannot fail.

use crate::check::Finding;
use crate::error::{Code, Error};
use crate::lifecycle::{State, Status};
use crate::log::LogFigures;
use crate::manifest::{Isolation, Kind};
use crate::registry::{Note, Plugin, Snapshot};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// One plugin's health, as `GET /v1/plugins` lists it.
#[derive(Clone, Debug, Serialize)]
pub struct PluginHealth {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// What it is for.
    pub description: Option<String>,
    /// Why it is FAILED or UNAVAILABLE, with what to do.
    pub reason: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Seconds since this generation became INITIALIZED.
    pub uptime_seconds: Option<f64>,
    /// When its latest call ended, RFC 3339.
    pub last_used: Option<String>,
    /// Calls that ended well.
    pub success_count: u64,
    /// Calls that ended in an error of the plugin.
    pub error_count: u64,
    /// Duration of the latest call in milliseconds.
    pub last_execution_time_ms: Option<f64>,
    /// Mean of the last ten in milliseconds.
    pub avg_execution_time_ms: Option<f64>,
    /// Its life's number.
    pub generation: u32,
    /// How often it was restarted.
    pub restarts: u32,
    /// `python`, `node`, `native` or `host`.
    pub kind: Kind,
    /// Where its calls run.
    pub isolation: Isolation,
    /// The worker process, where there is one.
    pub pid: Option<u32>,
    /// Calls under way.
    pub in_flight: u32,
    /// Callers that wait for their turn.
    pub waiting: u32,
    /// Warm spares that are ready.
    pub spares: u32,
    /// Threads that hang in its code and that nobody waits for.
    pub abandoned_threads: u32,
    /// Late results that were discarded.
    pub late_results: u64,
    /// Whether the restart budget is spent.
    pub quarantined: bool,
    /// Why, with the last fault.
    pub quarantine_reason: Option<String>,
    /// The error that ended the generation.
    pub last_error: Option<Value>,
    /// What the dependency check found.
    #[serde(serialize_with = "findings")]
    pub findings: Arc<[Finding]>,
    /// What was assumed of its manifest.
    pub assumptions: Vec<Value>,
    /// Its tool ids.
    pub tools: Vec<String>,
}

fn findings<S: serde::Serializer>(list: &Arc<[Finding]>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(list.iter())
}

/// The whole runtime's health, for `/readyz` and the health page.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Whether new calls are taken at all.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Plugins in all.
    pub total: usize,
    /// INITIALIZED or RUNNING.
    pub available: usize,
    /// FAILED.
    pub failed: usize,
    /// UNAVAILABLE.
    pub unavailable: usize,
    /// LOADED: still on their way.
    pub loading: usize,
    /// How the log path fares.
    pub log: LogFigures,
}

/// Health of every plugin in `snapshot`, sorted by name.
#[must_use]
pub fn all(snapshot: &Snapshot) -> Vec<PluginHealth> {
    snapshot.plugins().iter().map(|p| one(p)).collect()
}

/// Counts by state.
#[must_use]
pub fn summary(snapshot: &Snapshot, log: LogFigures, closed: bool) -> Summary {
    let states: Vec<State> = snapshot
        .plugins()
        .iter()
        .map(|p| p.status().state)
        .collect();
    let count = |f: fn(&State) -> bool| states.iter().filter(|s| f(s)).count();
    let loading = count(|s| *s == State::Loaded);
    let reason = match (closed, loading) {
        (true, _) => Some("the runtime is closed".to_owned()),
        (false, 0) => None,
        (false, n) => Some(format!("{n} plugins are still loading")),
    };
    Summary {
        ready: reason.is_none(),
        reason,
        total: states.len(),
        available: count(|s| s.is_available()),
        failed: count(|s| *s == State::Failed),
        unavailable: count(|s| *s == State::Unavailable),
        loading,
        log,
    }
}

/// Health of one plugin.
#[must_use]
pub fn one(plugin: &Plugin) -> PluginHealth {
    let (status, note) = consistent(plugin);
    let source = plugin.source.load();
    let manifest = &source.manifest;
    let generation = plugin.generation.load();
    let stats = plugin.stats.snapshot();
    let last_ns = stats
        .last_end_ns
        .into_iter()
        .chain(nonzero(plugin.last_used_ns.load(Ordering::Relaxed)));
    let quarantine_reason = plugin.supervision.lock().quarantined().map(str::to_owned);
    let error = note.error.as_ref().filter(|_| status.state.is_final());
    PluginHealth {
        name: plugin.name.clone(),
        state: status.state,
        description: text(&manifest.description),
        reason: error.map(reason),
        version: text(&manifest.version),
        uptime_seconds: uptime(plugin, status),
        last_used: last_ns.max().map(rfc3339),
        success_count: stats.success,
        error_count: stats.errors,
        last_execution_time_ms: stats.last_ms,
        avg_execution_time_ms: stats.avg_ms,
        generation: status.generation,
        restarts: plugin.restarts.load(Ordering::Relaxed),
        kind: manifest.kind,
        isolation: manifest.effective_isolation(),
        pid: generation
            .as_deref()
            .filter(|_| status.state.is_available())
            .and_then(|g| g.executor.pid()),
        in_flight: status.in_flight,
        waiting: plugin.gate.waiting(),
        spares: plugin.spares.ready(),
        abandoned_threads: plugin.abandoned_threads(),
        late_results: plugin.stats.late_results.load(Ordering::Relaxed),
        quarantined: quarantine_reason.is_some(),
        quarantine_reason,
        last_error: error.map(Error::to_value),
        findings: Arc::clone(&note.findings),
        assumptions: source
            .assumptions
            .iter()
            .filter_map(|a| serde_json::to_value(a).ok())
            .collect(),
        tools: generation
            .as_deref()
            .map(|g| g.tools().iter().map(|t| t.spec.id.clone()).collect())
            .unwrap_or_else(|| manifest.tools.iter().map(|t| t.id.clone()).collect()),
    }
}

/// State and reason of one moment: the note is written before the final state that it explains, so
/// a final state that did not change around the read goes with its note. Other states need none.
fn consistent(plugin: &Plugin) -> (Status, Arc<Note>) {
    /// The loop ends by itself after one change; the bound is for what nobody has thought of.
    const TRIES: usize = 1000;
    for _ in 0..TRIES {
        let status = plugin.status();
        let note = plugin.note();
        let again = plugin.status();
        let same = (again.state, again.generation) == (status.state, status.generation);
        let told = note.generation == status.generation && note.error.is_some();
        if same && (told || !status.state.is_final()) {
            return (again, note);
        }
        std::thread::yield_now();
    }
    (plugin.status(), plugin.note())
}

fn reason(error: &Error) -> String {
    if matches!(
        error.code(),
        Code::RegistryMarkedFailed | Code::RegistryMarkedUnavailable
    ) {
        return error.message().to_owned();
    }
    format!(
        "{} (what to do: {}) [{}]",
        error.message(),
        error.remedy(),
        error.code()
    )
}

fn uptime(plugin: &Plugin, status: Status) -> Option<f64> {
    let ready = nonzero(plugin.ready_ns.load(Ordering::Relaxed))?;
    let age = crate::deadline::now_ns().saturating_sub(ready);
    status.state.is_available().then(|| age as f64 / 1e9)
}

fn nonzero(n: u64) -> Option<u64> {
    (n != 0).then_some(n)
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A moment of the monotonic scale as wall-clock time.
fn rfc3339(ns: u64) -> String {
    let age = crate::deadline::now_ns().saturating_sub(ns);
    humantime::format_rfc3339_millis(SystemTime::now() - Duration::from_nanos(age)).to_string()
}
