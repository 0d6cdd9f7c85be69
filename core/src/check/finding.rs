//! One answer of the checker, good or bad.

use crate::error::{Code, Error};
use serde::{Serialize, Serializer};
use serde_json::json;
use std::time::Instant;

/// What a [`Finding`] is about; its text is the finding's `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// The graphics card, its driver and the torch build that should use it.
    Gpu,
    /// A model file.
    Model,
    /// A Python or Node package; checked by the doors.
    Package,
    /// An environment variable.
    Env,
    /// A program on `PATH`.
    Executable,
    /// Operating system, processor, interpreter version.
    Platform,
    /// The plugin's own code.
    Entrypoint,
}

impl Subject {
    /// The text that stands in a finding's `kind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Model => "model",
            Self::Package => "package",
            Self::Env => "env",
            Self::Executable => "executable",
            Self::Platform => "platform",
            Self::Entrypoint => "entrypoint",
        }
    }
}

/// One result of a dependency check. The good ones are reported as well, so that a user sees what
/// was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// `gpu`, `model`, `package`, `env`, `executable`, `platform` or `entrypoint`.
    pub kind: String,
    /// Which one: a model's name, a variable, `driver`, `torch`.
    pub subject: String,
    /// Whether the dependency is there.
    pub ok: bool,
    /// The catalogue's code where `ok` is false.
    #[serde(serialize_with = "code_text")]
    pub code: Option<Code>,
    /// Why, this time; empty where `ok` is true and there is nothing to add.
    pub cause: String,
    /// What was found, in one sentence.
    pub message: String,
    /// What to do about it; empty where `ok` is true.
    pub remedy: String,
    /// How long this check took, in microseconds.
    pub took_us: u64,
}

/// Writes a code as `PW-GPU-001`.
#[allow(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn code_text<S: Serializer>(code: &Option<Code>, serializer: S) -> Result<S::Ok, S::Error> {
    code.map(Code::as_str).serialize(serializer)
}

impl Finding {
    /// A dependency that is there.
    #[must_use]
    pub fn ok(kind: Subject, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: kind.as_str().to_owned(),
            subject: subject.into(),
            ok: true,
            code: None,
            cause: String::new(),
            message: message.into(),
            remedy: String::new(),
            took_us: 0,
        }
    }

    /// A dependency that is missing or broken, in the catalogue's words.
    #[must_use]
    pub fn bad(kind: Subject, subject: impl Into<String>, code: Code) -> Self {
        let row = code.row();
        Self {
            kind: kind.as_str().to_owned(),
            subject: subject.into(),
            ok: false,
            code: Some(code),
            cause: row.cause.to_owned(),
            message: row.message.to_owned(),
            remedy: row.remedy.to_owned(),
            took_us: 0,
        }
    }

    /// What was found this time.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Why, this time.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = cause.into();
        self
    }

    /// What to do about it, this time.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// Notes the time that has passed since `start`.
    #[must_use]
    pub fn since(mut self, start: Instant) -> Self {
        self.took_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self
    }

    /// The error that a plugin becomes UNAVAILABLE with; `None` for a good finding.
    #[must_use]
    pub fn to_error(&self) -> Option<Error> {
        let details = json!({ "kind": self.kind, "subject": self.subject });
        Some(
            Error::new(self.code?)
                .with_message(self.message.clone())
                .with_cause(self.cause.clone())
                .with_remedy(self.remedy.clone())
                .with_details(details),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_carries_the_printed_code() {
        let bad = serde_json::to_value(Finding::bad(Subject::Gpu, "driver", Code::GpuNoDriver));
        assert_eq!(bad.unwrap()["code"], "PW-GPU-001");
        let good = serde_json::to_value(Finding::ok(Subject::Env, "HOME", "is set")).unwrap();
        assert_eq!(good["code"], serde_json::Value::Null);
        assert_eq!(good["kind"], "env");
    }

    #[test]
    fn only_a_bad_finding_is_an_error() {
        assert!(
            Finding::ok(Subject::Env, "HOME", "is set")
                .to_error()
                .is_none()
        );
        let error = Finding::bad(Subject::Env, "A", Code::CheckEnvironment)
            .to_error()
            .unwrap();
        assert_eq!(error.code(), Code::CheckEnvironment);
    }
}
