//! What a runtime shows: health, metrics, and the registry of plugins that the host runs itself.

use super::Runtime;
use crate::error::{Code, Error, Result};
use crate::health::{self, PluginHealth, Summary};
use crate::lifecycle::{Event, State};
use crate::manifest::{Assumption, Isolation, Kind, Manifest};
use crate::metrics::{self, RuntimeFigures};
use crate::registry::Source;
use crate::supervisor::wanted_spares;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Runtime {
    /// Health of every plugin, sorted by name. Never fails, never blocks.
    #[must_use]
    pub fn health(&self) -> Vec<PluginHealth> {
        health::all(&self.0.registry.snapshot())
    }

    /// Health of one plugin.
    #[must_use]
    pub fn plugin_health(&self, name: &str) -> Option<PluginHealth> {
        self.0.registry.snapshot().get(name).map(|p| health::one(p))
    }

    /// [`Runtime::health`] as a JSON array.
    #[must_use]
    pub fn health_json(&self) -> String {
        serde_json::to_string(&self.health()).unwrap_or_else(|_| "[]".to_owned())
    }

    /// Counts by state, and whether the runtime is ready.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let closed = self.0.closed.load(Ordering::Relaxed);
        health::summary(&self.0.registry.snapshot(), self.log().figures(), closed)
    }

    /// All figures as OpenMetrics text.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let wait = &self.0.services.lock_wait;
        let figures = RuntimeFigures {
            log: self.log().figures(),
            lock_wait: wait.waits.snapshot(),
            lock_timeouts: wait.timeouts.load(Ordering::Relaxed),
        };
        metrics::encode(&self.0.registry.snapshot(), &figures)
    }

    /// Lists a plugin that the host executes itself. Its state then follows [`Runtime::mark`].
    ///
    /// # Errors
    /// [`Code::RegistryDuplicate`] or [`Code::RegistryBusy`].
    pub fn register(&self, name: &str, description: &str, version: &str) -> Result<()> {
        self.usable()?;
        let mut manifest = Manifest::host(name);
        manifest.description = description.to_owned();
        manifest.version = version.to_owned();
        let assumptions = Arc::from([]);
        let source = Source {
            manifest: Arc::new(manifest),
            loader: None,
            assumptions,
            own_loader: false,
        };
        self.registry().add(name, source).map(|_| ())
    }

    /// Says anew what a plugin is for and which version it has; its state and counts stay.
    ///
    /// # Errors
    /// Unknown name.
    pub fn describe(&self, name: &str, description: &str, version: &str) -> Result<()> {
        self.usable()?;
        let plugin = self.registry().find(name)?;
        plugin.source.rcu(|source| {
            let mut manifest = Manifest::clone(&source.manifest);
            manifest.description = description.to_owned();
            manifest.version = version.to_owned();
            Source {
                manifest: Arc::new(manifest),
                ..Source::clone(source)
            }
        });
        Ok(())
    }

    /// Says what happened to a plugin that the host executes itself. `reason` explains FAILED and
    /// UNAVAILABLE.
    ///
    /// # Errors
    /// Unknown name, or [`Code::LifecycleForbidden`] where the table says no.
    pub fn mark(&self, name: &str, event: Event, reason: &str) -> Result<State> {
        self.usable()?;
        let plugin = self.registry().find(name)?;
        let generation = plugin.status().generation;
        let status = match event {
            Event::Restart => {
                plugin.restarts.fetch_add(1, Ordering::Relaxed);
                plugin.ready_ns.store(0, Ordering::Relaxed);
                plugin.next_generation()
            }
            Event::Fault | Event::DependencyMissing => {
                let code = match event {
                    Event::Fault => Code::RegistryMarkedFailed,
                    _ => Code::RegistryMarkedUnavailable,
                };
                plugin.end(
                    generation,
                    event,
                    &Error::new(code).with_message(reason),
                    None,
                )?
            }
            _ => {
                let status = plugin
                    .word
                    .mark(event)
                    .map_err(|s| plugin.forbidden(s, event))?;
                let now = crate::deadline::now_ns();
                match event {
                    Event::Ready => plugin.ready_ns.store(now, Ordering::Relaxed),
                    _ => plugin.last_used_ns.store(now, Ordering::Relaxed),
                }
                status
            }
        };
        Ok(status.state)
    }

    /// Counts one execution of a plugin that the host executes itself.
    ///
    /// # Errors
    /// Unknown name.
    pub fn record(&self, name: &str, ok: bool, elapsed_ms: Option<f64>) -> Result<()> {
        let plugin = self.registry().find(name)?;
        match elapsed_ms.filter(|ms| ms.is_finite() && *ms >= 0.0) {
            Some(ms) => plugin
                .stats
                .record(ok, crate::deadline::now_ns(), (ms * 1e6) as u64),
            None => plugin.stats.count(ok),
        }
        Ok(())
    }
}

/// What a manifest asks for and this build or isolation does not enforce: said, not hidden.
pub(super) fn not_enforced(manifest: &Manifest) -> Vec<Assumption> {
    let mut out = Vec::new();
    let mut say = |key: &str, why: &str| {
        out.push(Assumption {
            key: key.to_owned(),
            message: why.to_owned(),
        });
    };
    // A Node worker thread has a heap limit of its own; the others share the host's memory.
    let heap = manifest.kind == Kind::Node && manifest.effective_isolation() == Isolation::Thread;
    if manifest.spares > wanted_spares(manifest) {
        say(
            "spares",
            "are not kept: only plugins in worker processes that are restarted use them",
        );
    }
    let in_process = manifest.effective_isolation() != Isolation::Process;
    if manifest.limits.memory_mb.is_some() && in_process && !heap {
        say(
            "limits.memory_mb",
            "is not enforced at inline and thread isolation",
        );
    }
    let most = manifest.effective_concurrency();
    if manifest.limits.concurrency.is_some_and(|said| said > most) {
        say(
            "limits.concurrency",
            &format!("is {most}: a worker process runs no more calls at once, others wait"),
        );
    }
    if manifest.tools.iter().any(|t| !t.needs.is_empty()) {
        say(
            "tools.needs",
            "is not enforced: this build has no readiness store",
        );
    }
    if manifest.effective_isolation() == Isolation::Inline && manifest.limits.deadline_ms.is_some()
    {
        say(
            "limits.deadline_ms",
            "inline code can only be interrupted where its language allows it",
        );
    }
    out
}
