//! One log record.

use crate::error::Code;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// Severity; the numbers are Python's and the C ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(i32)]
pub enum Level {
    /// For developers.
    Debug = 10,
    /// Nothing to do.
    Info = 20,
    /// Worth a look.
    Warn = 30,
    /// Something failed.
    Error = 40,
}

impl Level {
    /// The level at or below `number`.
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        match number {
            i32::MIN..=19 => Level::Debug,
            20..=29 => Level::Info,
            30..=39 => Level::Warn,
            _ => Level::Error,
        }
    }
}

/// One log record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// Severity.
    pub level: Level,
    /// The plugin it is about.
    pub plugin: Option<String>,
    /// One line of text.
    pub message: String,
    /// The code of the error that it reports.
    #[serde(serialize_with = "code_text")]
    pub code: Option<Code>,
    /// More: a full traceback.
    pub detail: Option<String>,
}

fn code_text<S: serde::Serializer>(code: &Option<Code>, s: S) -> Result<S::Ok, S::Error> {
    code.map(Code::as_str).serialize(s)
}

impl Record {
    /// A record of this moment.
    #[must_use]
    pub fn new(level: Level, plugin: Option<&str>, message: String) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            unix_ms: now.as_millis() as u64,
            level,
            plugin: plugin.map(str::to_owned),
            message: crate::error::bounded(message),
            code: None,
            detail: None,
        }
    }
}
