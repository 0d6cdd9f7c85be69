//! What a runtime shows, and the registry of plugins that the host executes itself.

use crate::guard::{Thrown, guard};
use crate::runtime::{NativeRuntime, to_json};
use napi_derive::napi;
use plugward_core::lifecycle::Event;
use plugward_core::log::{Level, Record};
use plugward_core::{Code, Error, Result};

#[napi]
impl NativeRuntime {
    /// Lists a plugin that the host executes itself.
    #[napi]
    pub fn register(
        &self,
        plugin: String,
        description: String,
        version: String,
    ) -> Result<(), Thrown> {
        guard(|| self.core.register(&plugin, &description, &version))
    }

    /// Says what happened to a plugin that the host executes itself; answers its state.
    #[napi]
    pub fn mark(&self, plugin: String, event: String, reason: String) -> Result<String, Thrown> {
        guard(|| {
            let state = self.core.mark(&plugin, event_of(&event)?, &reason)?;
            Ok(state.to_string())
        })
    }

    /// Counts one execution of a plugin that the host executes itself.
    #[napi]
    pub fn record(&self, plugin: String, ok: bool, elapsed_ms: Option<f64>) -> Result<(), Thrown> {
        guard(|| self.core.record(&plugin, ok, elapsed_ms))
    }

    /// `node`, `python`, `native` or `host`; nothing where no such plugin is.
    #[napi]
    pub fn kind_of(&self, plugin: String) -> Option<String> {
        let found = self.core.registry().find(&plugin).ok()?;
        Some(found.manifest().kind.to_string())
    }

    /// Writes a log line under a plugin's name.
    #[napi]
    pub fn log(&self, plugin: Option<String>, level: String, text: String) {
        self.core
            .log()
            .write(Record::new(level_of(&level), plugin.as_deref(), text));
    }

    /// The latest log records, as JSON.
    #[napi]
    pub fn recent_logs(&self) -> String {
        to_json(&self.core.log().recent())
    }

    /// Health of every plugin, as a JSON array.
    #[napi]
    pub fn health(&self) -> String {
        self.core.health_json()
    }

    /// Health of one plugin as JSON, if it is there.
    #[napi]
    pub fn plugin_health(&self, plugin: String) -> Option<String> {
        self.core
            .plugin_health(&plugin)
            .map(|health| to_json(&health))
    }

    /// Counts by state, and readiness, as JSON.
    #[napi]
    pub fn summary(&self) -> String {
        to_json(&self.core.summary())
    }

    /// All figures as OpenMetrics text.
    #[napi]
    pub fn metrics(&self) -> String {
        self.core.metrics_text()
    }
}

fn event_of(word: &str) -> Result<Event> {
    Ok(match word {
        "ready" => Event::Ready,
        "call_began" => Event::CallBegan,
        "call_ended" => Event::CallEnded,
        "fault" => Event::Fault,
        "dependency_missing" => Event::DependencyMissing,
        "restart" => Event::Restart,
        other => {
            let message = format!("there is no event \"{other}\"");
            return Err(Error::new(Code::AbiArgument).with_message(message));
        }
    })
}

/// A level by JavaScript's word for it.
pub(crate) fn level_of(word: &str) -> Level {
    match word {
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Info,
    }
}
