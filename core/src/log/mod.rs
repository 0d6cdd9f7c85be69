//! The log path: a sink that raises, blocks or fills its disk can neither fail nor delay a call.
//!
//! Writers put a record into a bounded queue and into a ring of the latest; one thread per runtime
//! takes records out, raises them as `tracing` events and hands them to the host's sink. When the
//! queue is full the record is dropped and counted. Emitting `tracing` events on the caller's
//! thread was rejected: the host's subscriber would then run inside every fault.

mod hub;
mod record;

pub use hub::{LogFigures, LogHub, LogSink};
pub use record::{Level, Record};

/// Writes log lines under one plugin's name; cheap to clone.
#[derive(Clone)]
pub struct Logger {
    hub: LogHub,
    plugin: std::sync::Arc<str>,
}

impl Logger {
    /// A logger for `plugin`.
    #[must_use]
    pub fn new(hub: &LogHub, plugin: &str) -> Self {
        Self {
            hub: hub.clone(),
            plugin: plugin.into(),
        }
    }

    /// Writes one line; never blocks.
    pub fn write(&self, level: Level, message: impl Into<String>) {
        self.hub
            .write(Record::new(level, Some(&self.plugin), message.into()));
    }
}
