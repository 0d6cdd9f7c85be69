//! The core's log records in Python's `logging`, written by the core's log thread.

use crate::ending;
use crate::invoke;
use crate::names;
use plugward_core::log::{LogSink, Record};
use pyo3::prelude::*;

/// Hands every record to `plugward._logging.emit`; what that raises is counted by the core.
pub(crate) struct LoggingSink;

impl LogSink for LoggingSink {
    fn write(&self, record: &Record) -> Result<(), String> {
        let written = ending::attach(|py| {
            let args = (
                record.level as i32,
                record.plugin.as_deref(),
                record.message.as_str(),
                record.code.map(|c| c.as_str()),
                record.detail.as_deref(),
                record.unix_ms,
            );
            let args = args.into_pyobject(py)?;
            Ok::<_, PyErr>(invoke::call(names::emit(py)?, &args, None).map(|_| ())?)
        });
        match written {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err("the logging handler raised".to_owned()),
            None => Err("the interpreter has ended".to_owned()),
        }
    }
}
