//! JSON that crosses the door, as types.

use plugward_core::call::{Fault, Interruption};
use plugward_core::manifest::ToolSpec;
use plugward_core::runtime::RuntimeOptions;
use plugward_core::{Code, Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Reads JSON that our own TypeScript wrote.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::new(Code::AbiJson).with_message(e.to_string()))
}

/// A duration of JavaScript, in milliseconds.
pub(crate) fn millis(ms: f64, what: &str) -> Result<Duration> {
    Duration::try_from_secs_f64(ms / 1e3)
        .ok()
        .filter(|d| !d.is_zero())
        .ok_or_else(|| {
            Error::new(Code::RuntimeOption).with_message(format!(
                "{what} must be a number of milliseconds above 0, not {ms}"
            ))
        })
}

/// `RuntimeOptions` of the TypeScript package.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Options {
    lock_timeout_ms: Option<f64>,
    load_timeout_ms: Option<f64>,
    default_deadline_ms: Option<f64>,
    log_queue: Option<usize>,
    /// The program of worker processes and its arguments.
    #[serde(default)]
    pub(crate) worker: Vec<String>,
}

impl Options {
    /// As the core takes them.
    pub(crate) fn into_core(self) -> Result<RuntimeOptions> {
        let mut out = RuntimeOptions::default();
        if let Some(ms) = self.lock_timeout_ms {
            out.lock_timeout = millis(ms, "lockTimeoutMs")?;
        }
        if let Some(ms) = self.load_timeout_ms {
            out.load_timeout = millis(ms, "loadTimeoutMs")?;
        }
        if let Some(ms) = self.default_deadline_ms {
            out.default_deadline = Some(millis(ms, "defaultDeadlineMs")?);
        }
        out.log_queue = self.log_queue.unwrap_or(out.log_queue);
        Ok(out)
    }
}

/// A fault as `node/src/worker/fault.ts` describes it.
#[derive(Deserialize)]
pub(crate) struct Told {
    code: String,
    message: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    cause: Option<String>,
    traceback: Option<String>,
    status: Option<String>,
    effect: String,
}

impl Told {
    /// As the core classifies it. `limit` is the call's deadline.
    pub(crate) fn into_fault(self, limit: Option<Duration>) -> Fault {
        match Code::from_code(&self.code) {
            Some(Code::CallPluginError) => Fault::Raised {
                kind: self.kind.unwrap_or_else(|| "Error".into()),
                message: self.message,
                traceback: self.traceback,
            },
            Some(Code::CallRefusedInput) => Fault::RefusedInput {
                message: self.message,
            },
            Some(Code::CallDeadline) => {
                let stopped = self.effect == "stopped";
                let how = if stopped {
                    Interruption::Stopped
                } else {
                    Interruption::Abandoned
                };
                Fault::Deadline {
                    limit: limit.unwrap_or_default(),
                    how,
                }
            }
            Some(Code::CallExited) => Fault::Exited {
                status: self.status.unwrap_or(self.message),
                traceback: self.traceback,
            },
            Some(Code::CallMemory) => Fault::Memory {
                message: self.message,
            },
            Some(Code::CallCancelled) => Fault::Cancelled,
            _ => Fault::Error(self.into_error()),
        }
    }

    /// As a plain error.
    pub(crate) fn into_error(self) -> Error {
        let code = Code::from_code(&self.code).unwrap_or(Code::RuntimeInternal);
        let mut error = Error::new(code).with_message(self.message);
        if let Some(kind) = self.kind {
            error = error.with_kind(kind);
        }
        if let Some(cause) = self.cause {
            error = error.with_cause(cause);
        }
        match self.traceback {
            Some(text) => error.with_traceback(text),
            None => error,
        }
    }
}

/// What JavaScript answers to a request of the core.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Answered {
    /// It failed.
    Fault {
        /// How.
        fault: Told,
    },
    /// A plugin was built.
    Built {
        /// Its tools; empty means the manifest's.
        tools: Vec<ToolSpec>,
    },
    /// A call returned.
    Value {
        /// What.
        value: serde_json::Value,
    },
}
