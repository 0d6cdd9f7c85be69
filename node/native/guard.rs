//! No panic crosses into JavaScript, and every error keeps its code.

use napi::bindgen_prelude::Error as JsError;
use plugward_core::runtime::panic_text;
use plugward_core::{Code, Error};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An error's code, which becomes the `code` property of the JavaScript error.
pub struct Said(&'static str);

impl AsRef<str> for Said {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl From<napi::Status> for Said {
    fn from(_: napi::Status) -> Self {
        Self(Code::RuntimeInternal.as_str())
    }
}

/// What exported functions throw. (They must spell `Result`: napi's macro goes by the name.)
pub type Thrown = JsError<Said>;

/// A core error as JavaScript throws it: its message is the whole error as JSON.
pub(crate) fn thrown(error: &Error) -> Thrown {
    JsError::new(Said(error.code().as_str()), error.to_value().to_string())
}

/// Runs the body of an exported function.
pub(crate) fn guard<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Thrown> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(thrown(&error)),
        Err(panic) => {
            let text = panic_text(&*panic);
            Err(thrown(
                &Error::new(Code::RuntimeInternal).with_message(text),
            ))
        }
    }
}
