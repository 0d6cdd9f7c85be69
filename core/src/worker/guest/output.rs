//! The plugin's log lines on their way to the host: standard error, one marked line each.

use crate::log::{LogHub, LogSink, Record};
use crate::worker::RECORD;
use std::sync::Arc;

struct Stderr;

impl LogSink for Stderr {
    fn write(&self, record: &Record) -> Result<(), String> {
        let text = record.message.replace('\n', " ");
        eprintln!("{RECORD}{} {text}", record.level as i32);
        Ok(())
    }
}

/// The worker's log path.
pub(super) fn hub() -> LogHub {
    let hub = LogHub::new(256);
    hub.set_sink(Some(Arc::new(Stderr)));
    hub
}
