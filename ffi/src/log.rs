//! Logs: to the host's callback, and the latest as JSON.

use crate::bytes::Text;
use crate::callback::{self, DestroyFn, User};
use crate::error::Error;
use crate::guard::guard;
use crate::ownership::{Out, Owned, Shared, Utf8, lend};
use crate::runtime::Runtime;
use plugward_abi::{Bytes, LogLevel};
use plugward_core::log::{Level, LogSink, Record};
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

/// One log record, lent to the log callback.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LogRecord {
    /// `sizeof(plugward_log_record)` of the library.
    pub struct_size: u32,
    /// Severity, one of `PLUGWARD_LOG_`.
    pub level: LogLevel,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// The plugin it is about; empty for the runtime itself.
    pub plugin: Bytes,
    /// One line of text.
    pub message: Bytes,
    /// More: a full traceback, or empty.
    pub detail: Bytes,
    /// The number of the error that it reports; 0 for none.
    pub code: u32,
    /// 0.
    pub reserved: u32,
}

/// Takes one log record, on the runtime's log thread. It may block: records that do not fit the
/// queue meanwhile are dropped and counted, calls are never delayed.
pub type LogFn = Option<unsafe extern "C" fn(user: *mut c_void, record: *const LogRecord)>;

struct Sink {
    callback: unsafe extern "C" fn(*mut c_void, *const LogRecord),
    user: User,
}

impl LogSink for Sink {
    fn write(&self, record: &Record) -> Result<(), String> {
        let view = LogRecord {
            struct_size: size_of::<LogRecord>() as u32,
            level: record.level as LogLevel,
            unix_ms: record.unix_ms,
            plugin: record.plugin.as_deref().map_or(Bytes::EMPTY, lend),
            message: lend(&record.message),
            detail: record.detail.as_deref().map_or(Bytes::EMPTY, lend),
            code: record.code.map_or(0, |c| c.row().number),
            reserved: 0,
        };
        if callback::log(self.callback, &self.user, &view) {
            Ok(())
        } else {
            Err("the log callback threw a C++ exception".to_owned())
        }
    }
}

/// Sends log records to `callback` from now on; NULL stops that. `destroy` is called once, when
/// `user` is no longer used: a record may be on its way while this function returns.
///
/// When an error is returned, `user` is still the caller's.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_log_set_callback(
    runtime: Shared<Runtime>,
    callback: LogFn,
    user: *mut c_void,
    destroy: DestroyFn,
) -> Owned<Error> {
    guard("plugward_log_set_callback", || {
        let runtime = runtime.get("runtime")?.here()?;
        let user = User::new(user, destroy);
        let sink =
            callback.map(|callback| -> Arc<dyn LogSink> { Arc::new(Sink { callback, user }) });
        runtime.log().set_sink(sink);
        Ok(())
    })
}

/// Writes one line under a plugin's name (or none); never blocks.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_log_write(
    runtime: Shared<Runtime>,
    level: LogLevel,
    plugin: Utf8,
    message: Utf8,
) -> Owned<Error> {
    guard("plugward_log_write", || {
        let runtime = runtime.get("runtime")?.here()?;
        let (plugin, message) = (plugin.read("plugin")?, message.read("message")?);
        let plugin = (!plugin.is_empty()).then_some(plugin);
        let record = Record::new(Level::from_number(level), plugin, message.to_owned());
        runtime.log().write(record);
        Ok(())
    })
}

/// Waits until the log callback has had every record, at most `timeout_ms`. True when it has.
///
/// Thread: any, but not from inside the log callback.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_log_flush(runtime: Shared<Runtime>, timeout_ms: u64) -> bool {
    guard("plugward_log_flush", || {
        let here = runtime.get("runtime")?.here()?;
        Ok(here.log().flush(Duration::from_millis(timeout_ms)))
    })
}

/// The latest records, a JSON array, oldest first.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_log_recent_json(
    runtime: Shared<Runtime>,
    out: Out<Owned<Text>>,
) -> Owned<Error> {
    guard("plugward_log_recent_json", || {
        let out = out.open("out")?;
        let recent = runtime.get("runtime")?.here()?.log().recent();
        out.set(Text::give(
            serde_json::to_string(&recent).unwrap_or_else(|_| "[]".to_owned()),
        ));
        Ok(())
    })
}
