//! Why a call is not admitted, told so that its caller knows what to do.

use super::gate::Turn;
use super::{Plugin, Tool};
use crate::call::ms;
use crate::error::{Code, Error};
use crate::lifecycle::{State, Status};
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Plugin {
    /// Why a call is not admitted in `status`.
    pub(crate) fn refusal(&self, status: Status) -> Error {
        if self.removed.load(Ordering::Acquire) {
            return Error::new(Code::RegistryUnknownPlugin)
                .with_message(format!("plugin \"{}\" was unloaded", self.name));
        }
        if let Err(quarantined) = crate::supervisor::not_quarantined(self) {
            return quarantined;
        }
        let note = self.note.load();
        let known = note.error.as_ref();
        let reason = known.map_or("no reason is known", Error::message);
        let cause = known.map(|k| format!("[{}] {}", k.code(), k.cause()));
        match status.state {
            State::Failed => {
                if let Some(wait) = crate::supervisor::comes_back(self, status.generation) {
                    return restarting(&self.name, reason, wait, cause);
                }
                let error = Error::new(Code::CallPluginFailed).with_message(format!(
                    "plugin \"{}\" has failed and is not called: {reason}",
                    self.name
                ));
                match cause {
                    Some(cause) => error.with_cause(cause),
                    None => error,
                }
            }
            State::Unavailable if known.is_some_and(|k| k.code() == Code::LifecycleStopped) => {
                Error::new(Code::LifecycleStopped).with_message(reason)
            }
            State::Unavailable => known
                .cloned()
                .unwrap_or_else(|| Error::new(Code::CallPluginUnavailable))
                .with_message(format!("plugin \"{}\" is unavailable: {reason}", self.name))
                .with_kind("PluginUnavailable"),
            _ => Error::new(Code::CallNotReady).with_message(format!(
                "plugin \"{}\" is {} and not ready",
                self.name, status.state
            )),
        }
    }

    pub(crate) fn queue_refusal(&self, tool: &Tool, turn: Turn, limit: Option<Duration>) -> Error {
        let called = format!("{}.{}", self.name, tool.spec.id);
        match turn {
            Turn::TimedOut => Error::new(Code::CallQueueTimeout).with_message(format!(
                "{called} waited {} for its turn and was not begun",
                ms(limit.unwrap_or_default())
            )),
            _ => self.full(&called),
        }
    }

    fn full(&self, called: &str) -> Error {
        let manifest = self.manifest();
        let (queue, running) = (manifest.limits.queue, manifest.effective_concurrency());
        let place = crate::permissions::place(&manifest);
        Error::new(Code::CallBusy)
            .with_message(format!(
                "{called}: {running} calls run and {queue} wait already \
                 (limits.concurrency = {running}, limits.queue = {queue})"
            ))
            .with_remedy(format!(
                "try again later, or raise limits.queue (now {queue}) or limits.concurrency \
                 (now {running}) in {place}"
            ))
    }
}

/// The least that a caller is asked to wait: a worker takes as long to start.
const SOON: Duration = Duration::from_millis(50);

fn restarting(name: &str, reason: &str, wait: Duration, cause: Option<String>) -> Error {
    let ms = u64::try_from(wait.max(SOON).as_millis()).unwrap_or(u64::MAX);
    let error = Error::new(Code::SupervisorRestarting)
        .with_message(format!(
            "plugin \"{name}\" failed and is being restarted: {reason}"
        ))
        .with_details(serde_json::json!({ "retry_after_ms": ms }));
    match cause {
        Some(cause) => error.with_cause(cause),
        None => error,
    }
}
