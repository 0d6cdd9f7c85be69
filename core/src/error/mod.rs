//! Errors as data: a [`Code`] from the catalogue, what happened this time, why, and what to do.
//!
//! An [`Error`] is built once, where the fault is seen, and travels unchanged to every door;
//! nothing turns it into text early. `Box<dyn Error>` was rejected: it loses the code.

mod catalogue;

pub use catalogue::{Code, Row};

use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt;

/// `Result` with Plugward's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The longest message that is kept, in bytes; longer ones are cut with a note.
pub const MESSAGE_LIMIT: usize = 64 * 1024;

impl Code {
    /// The printed form, `PW-GPU-001`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().code
    }

    /// Finds a code by its printed form.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Code> {
        Self::ALL.iter().copied().find(|c| c.as_str() == code)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong, why, and what to do about it.
#[derive(Clone, PartialEq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq)]
struct Inner {
    code: Code,
    kind: Option<Cow<'static, str>>,
    message: Option<String>,
    cause: Option<String>,
    remedy: Option<String>,
    traceback: Option<String>,
    details: Option<Value>,
}

impl Error {
    /// An error with the catalogue's own words.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self(Box::new(Inner {
            code,
            kind: None,
            message: None,
            cause: None,
            remedy: None,
            traceback: None,
            details: None,
        }))
    }

    /// What happened this time. Cut at [`MESSAGE_LIMIT`].
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = Some(bounded(message.into()));
        self
    }

    /// Why it happened this time.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(bounded(cause.into()));
        self
    }

    /// What to do about it this time.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// The `error_type` where it is not the catalogue's: the class name of a plugin's exception.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.0.kind = Some(kind.into());
        self
    }

    /// The full traceback, for operators.
    #[must_use]
    pub fn with_traceback(mut self, traceback: impl Into<String>) -> Self {
        self.0.traceback = Some(traceback.into());
        self
    }

    /// Structured details: findings, limits, places.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The `error_type`: the plugin's exception class, else the catalogue's kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.kind.as_deref().unwrap_or(self.0.code.row().kind)
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        self.0
            .message
            .as_deref()
            .unwrap_or(self.0.code.row().message)
    }

    /// Why it happened.
    #[must_use]
    pub fn cause(&self) -> &str {
        self.0.cause.as_deref().unwrap_or(self.0.code.row().cause)
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        self.0.remedy.as_deref().unwrap_or(self.0.code.row().remedy)
    }

    /// The full traceback, if there is one.
    #[must_use]
    pub fn traceback(&self) -> Option<&str> {
        self.0.traceback.as_deref()
    }

    /// Structured details, if there are any.
    #[must_use]
    pub fn details(&self) -> Option<&Value> {
        self.0.details.as_ref()
    }

    /// The HTTP status that fits.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        self.0.code.row().http
    }

    /// Whether the same call may succeed later by itself.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.0.code.row().retryable
    }

    /// `{code, type, message, cause, remedy, retryable, http_status[, details]}`.
    ///
    /// The traceback stays out: it is for logs, not for the wire.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "code": self.code().as_str(),
            "type": self.kind(),
            "message": self.message(),
            "cause": self.cause(),
            "remedy": self.remedy(),
            "retryable": self.retryable(),
            "http_status": self.http_status(),
        });
        if let (Some(details), Some(map)) = (self.details(), value.as_object_mut()) {
            map.insert("details".into(), details.clone());
        }
        value
    }
}

/// Cuts `text` at [`MESSAGE_LIMIT`] bytes on a character border and says so.
#[must_use]
pub fn bounded(mut text: String) -> String {
    if text.len() <= MESSAGE_LIMIT {
        return text;
    }
    let full = text.len();
    let mut end = MESSAGE_LIMIT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(&format!(" ... [cut; {full} bytes in all]"));
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.code(), self.message())?;
        if !self.cause().is_empty() {
            write!(f, "; cause: {}", self.cause())?;
        }
        if !self.remedy().is_empty() {
            write!(f, "; remedy: {}", self.remedy())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.code().as_str())
            .field("type", &self.kind())
            .field("message", &self.message())
            .field("cause", &self.cause())
            .field("remedy", &self.remedy())
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn rows_are_unique_complete_and_well_formed() {
        let mut codes = HashSet::new();
        let mut numbers = HashSet::new();
        for code in Code::ALL {
            let row = code.row();
            assert!(codes.insert(row.code), "{} twice", row.code);
            assert!(numbers.insert(row.number), "{} twice", row.number);
            let parts: Vec<_> = row.code.split('-').collect();
            assert_eq!(parts.len(), 3, "{}", row.code);
            assert_eq!(parts[2].len(), 3, "{}", row.code);
            assert!((400..600).contains(&row.http), "{}", row.code);
            for text in [row.kind, row.message, row.cause, row.remedy] {
                assert!(!text.is_empty(), "{}", row.code);
            }
        }
    }

    #[test]
    fn long_messages_are_cut_on_a_character_border() {
        let error = Error::new(Code::CallPluginError).with_message("é".repeat(MESSAGE_LIMIT));
        assert!(error.message().len() < MESSAGE_LIMIT + 64);
        assert!(error.message().ends_with("bytes in all]"));
    }

    #[test]
    fn the_catalogue_speaks_where_the_error_is_silent() {
        let error = Error::new(Code::GpuNoDriver);
        assert_eq!(error.kind(), "PluginUnavailable");
        assert!(error.remedy().contains("requires_gpu"));
        assert_eq!(Code::from_code("PW-GPU-001"), Some(Code::GpuNoDriver));
    }
}
