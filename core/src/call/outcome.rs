//! What every call returns.

use super::Reply;
use crate::error::Error;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What may have happened to the outside world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The plugin was not entered.
    NotStarted,
    /// The plugin's code ran to its end.
    Completed,
    /// The plugin's code was stopped, or raised, on its way.
    Stopped,
    /// Nobody knows: it may still run.
    MayHaveRun,
}

impl Effect {
    /// `not_started`, `completed`, `stopped` or `may_have_run`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Effect::NotStarted => "not_started",
            Effect::Completed => "completed",
            Effect::Stopped => "stopped",
            Effect::MayHaveRun => "may_have_run",
        }
    }
}

/// What is known of a call whatever its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// From admission to end.
    pub elapsed: Duration,
    /// The generation that was called; 0 when none was.
    pub generation: u32,
    /// Unique in the process; 0 when the call was not admitted.
    pub call_id: u64,
    /// What may have happened.
    pub effect: Effect,
}

impl Ended {
    /// Of a call that was not admitted.
    pub const NOT_STARTED: Ended = Ended {
        elapsed: Duration::ZERO,
        generation: 0,
        call_id: 0,
        effect: Effect::NotStarted,
    };
}

/// The answer to a call: a result or an error, never a panic or an exception.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The plugin that was called.
    pub plugin: String,
    /// The tool that was called.
    pub tool: String,
    /// The result, or what went wrong.
    pub result: Result<Reply, Error>,
    /// The rest.
    pub ended: Ended,
}

impl Outcome {
    /// An outcome of a call that never began.
    #[must_use]
    pub fn refused(plugin: &str, tool: &str, error: Error) -> Self {
        Self {
            plugin: plugin.to_owned(),
            tool: tool.to_owned(),
            result: Err(error),
            ended: Ended::NOT_STARTED,
        }
    }

    /// Whether there is a result.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.result.is_ok()
    }

    /// `{ok: true, result, ...}` or `{ok: false, error, error_type, code, cause, remedy, ...}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("ok".into(), Value::Bool(self.is_ok()));
        match &self.result {
            Ok(reply) => {
                map.insert("result".into(), reply.value.clone());
            }
            Err(error) => error_fields(error, &mut map),
        }
        let ended = &self.ended;
        map.insert("plugin".into(), json!(self.plugin));
        map.insert("tool".into(), json!(self.tool));
        map.insert("effect".into(), json!(ended.effect.as_str()));
        map.insert(
            "elapsed_ms".into(),
            json!(ended.elapsed.as_secs_f64() * 1e3),
        );
        map.insert("generation".into(), json!(ended.generation));
        map.insert("call_id".into(), json!(ended.call_id));
        Value::Object(map)
    }
}

/// Writes the error half of an answer, the same for every door.
pub fn error_fields(error: &Error, map: &mut Map<String, Value>) {
    map.insert("error".into(), json!(error.message()));
    map.insert("error_type".into(), json!(error.kind()));
    map.insert("code".into(), json!(error.code().as_str()));
    map.insert("cause".into(), json!(error.cause()));
    map.insert("remedy".into(), json!(error.remedy()));
    map.insert("retryable".into(), json!(error.retryable()));
    map.insert("http_status".into(), json!(error.http_status()));
    if let Some(details) = error.details() {
        map.insert("details".into(), details.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn both_shapes_are_the_specs() {
        let bad = Outcome::refused("p", "t", Error::new(Code::RegistryUnknownPlugin)).to_value();
        assert_eq!(bad["ok"], false);
        assert_eq!(bad["error_type"], "UnknownPlugin");
        assert_eq!(bad["effect"], "not_started");
        let good = Outcome {
            result: Ok(json!({"x": 1}).into()),
            ..Outcome::refused("p", "t", Code::CallBusy.into())
        };
        assert_eq!(good.to_value()["result"]["x"], 1);
        assert!(good.to_value().get("error").is_none());
    }
}
