//! The log lines of one plugin.

use super::plugin::excuses;
use super::{Plugin, Tool};
use crate::error::Error;
use crate::log::{Level, Record};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Fault lines that one plugin writes a second; further ones are counted in the next line.
const LINES_PER_SECOND: u64 = 20;

impl Plugin {
    /// Writes the log line of a fault, at most [`LINES_PER_SECOND`].
    pub(crate) fn report_fault(
        &self,
        error: &Error,
        tool: &Tool,
        call_id: u64,
        is_final: bool,
        now: Instant,
    ) {
        let Some(suppressed) = self.may_log(is_final, now) else {
            return;
        };
        let excused = excuses(error);
        let level = match is_final && !excused {
            true => Level::Error,
            false => Level::Warn,
        };
        let more = match suppressed {
            0 => String::new(),
            n => format!(" ({n} earlier lines were suppressed)"),
        };
        let end = match (is_final, excused) {
            (true, false) => "; the plugin is FAILED",
            (true, true) => "; its next generation begins",
            (false, _) => "",
        };
        let message = format!(
            "call {call_id} of {}.{}: {}: {}{end}{more}",
            self.name,
            tool.spec.id,
            error.kind(),
            error.message()
        );
        self.say(level, message, Some(error));
    }

    /// Whether a fault line may be written now, and how many were not before it.
    fn may_log(&self, always: bool, now: Instant) -> Option<u64> {
        let second = crate::deadline::to_ns(now) / 1_000_000_000;
        let window = self.log_window.load(Ordering::Relaxed);
        let (seen, count) = (window >> 24, window & 0xff_ffff);
        if seen != second {
            self.log_window.store(second << 24 | 1, Ordering::Relaxed);
            return Some(count.saturating_sub(LINES_PER_SECOND));
        }
        self.log_window
            .store(window + u64::from(count < 0xff_ffff), Ordering::Relaxed);
        (always || count < LINES_PER_SECOND).then_some(0)
    }

    /// Writes a log line under the plugin's name; never blocks.
    pub(crate) fn say(&self, level: Level, message: String, error: Option<&Error>) {
        let mut record = Record::new(level, Some(&self.name), message);
        if let Some(error) = error {
            record.code = Some(error.code());
            record.detail = error.traceback().map(str::to_owned);
        }
        self.services.log.write(record);
    }
}
