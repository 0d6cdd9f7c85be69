//! Errors as handles, and the catalogue by number.

use crate::guard::guard;
use crate::ownership::{Owned, Shared, lend};
use plugward_abi::Bytes;
use plugward_core::error::{Code, Error as CoreError, Row};
use std::sync::OnceLock;

/// What went wrong, why, and what to do about it. Its texts live as long as it does.
pub struct Error {
    error: CoreError,
    json: OnceLock<String>,
}

impl Error {
    pub(crate) fn new(error: CoreError) -> Self {
        Self {
            error,
            json: OnceLock::new(),
        }
    }
}

fn of<T>(error: &Shared<Error>, read: impl FnOnce(&CoreError) -> T, otherwise: T) -> T {
    error.peek().map_or(otherwise, |e| read(&e.error))
}

/// The number of the error, one of `plugward_code`; 0 for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_code(error: Shared<Error>) -> u32 {
    guard("plugward_error_code", || {
        Ok(of(&error, |e| e.code().row().number, 0))
    })
}

/// The printed code, `"PW-GPU-001"`.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_code_text(error: Shared<Error>) -> Bytes {
    guard("plugward_error_code_text", || {
        Ok(of(&error, |e| lend(e.code().as_str()), Bytes::EMPTY))
    })
}

/// The error's type: the plugin's own exception class, else the catalogue's kind.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_type(error: Shared<Error>) -> Bytes {
    guard("plugward_error_type", || {
        Ok(of(&error, |e| lend(e.kind()), Bytes::EMPTY))
    })
}

/// What happened. At most 64 KiB and a note.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_message(error: Shared<Error>) -> Bytes {
    guard("plugward_error_message", || {
        Ok(of(&error, |e| lend(e.message()), Bytes::EMPTY))
    })
}

/// Why it happened.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_cause(error: Shared<Error>) -> Bytes {
    guard("plugward_error_cause", || {
        Ok(of(&error, |e| lend(e.cause()), Bytes::EMPTY))
    })
}

/// What to do about it.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_remedy(error: Shared<Error>) -> Bytes {
    guard("plugward_error_remedy", || {
        Ok(of(&error, |e| lend(e.remedy()), Bytes::EMPTY))
    })
}

/// The full traceback where the plugin's language has one; for operators.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_traceback(error: Shared<Error>) -> Bytes {
    guard("plugward_error_traceback", || {
        Ok(of(
            &error,
            |e| e.traceback().map_or(Bytes::EMPTY, lend),
            Bytes::EMPTY,
        ))
    })
}

/// The HTTP status that fits; 0 for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_http_status(error: Shared<Error>) -> u32 {
    guard("plugward_error_http_status", || {
        Ok(of(&error, |e| u32::from(e.http_status()), 0))
    })
}

/// Whether the same call may succeed later by itself.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_retryable(error: Shared<Error>) -> bool {
    guard("plugward_error_retryable", || {
        Ok(of(&error, CoreError::retryable, false))
    })
}

/// `{"code", "type", "message", "cause", "remedy", "retryable", "http_status"[, "details"]}`.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_json(error: Shared<Error>) -> Bytes {
    guard("plugward_error_json", || {
        let text = |e: &Error| lend(e.json.get_or_init(|| e.error.to_value().to_string()));
        Ok(error.peek().map_or(Bytes::EMPTY, text))
    })
}

/// Ends an error. NULL is nothing to end. Not for errors that belong to an outcome or a report.
///
/// Thread: any, while no other thread uses the error.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_error_free(error: Owned<Error>) {
    guard("plugward_error_free", || {
        drop(error.take());
        Ok(())
    })
}

/// How many codes the catalogue has.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_code_count() -> usize {
    guard("plugward_code_count", || Ok(Code::ALL.len()))
}

/// The number of the code at `index`; 0 beyond the end.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_code_at(index: usize) -> u32 {
    guard("plugward_code_at", || {
        Ok(Code::ALL.get(index).map_or(0, |code| code.row().number))
    })
}

fn row<T>(code: u32, read: impl FnOnce(&'static Row) -> T, otherwise: T) -> T {
    let found = Code::ALL
        .iter()
        .map(|c| c.row())
        .find(|row| row.number == code);
    found.map_or(otherwise, read)
}

/// The printed form of a code's number, `"PW-GPU-001"`; empty where there is no such code. Static.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_code_text(code: u32) -> Bytes {
    guard("plugward_code_text", || {
        Ok(row(code, |r| lend(r.code), Bytes::EMPTY))
    })
}

/// The catalogue's type of a code's number. Static.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_code_type(code: u32) -> Bytes {
    guard("plugward_code_type", || {
        Ok(row(code, |r| lend(r.kind), Bytes::EMPTY))
    })
}

/// The catalogue's message of a code's number. Static.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_code_message(code: u32) -> Bytes {
    guard("plugward_code_message", || {
        Ok(row(code, |r| lend(r.message), Bytes::EMPTY))
    })
}

/// The catalogue's cause of a code's number. Static.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_code_cause(code: u32) -> Bytes {
    guard("plugward_code_cause", || {
        Ok(row(code, |r| lend(r.cause), Bytes::EMPTY))
    })
}

/// The catalogue's remedy of a code's number. Static.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_code_remedy(code: u32) -> Bytes {
    guard("plugward_code_remedy", || {
        Ok(row(code, |r| lend(r.remedy), Bytes::EMPTY))
    })
}

/// The HTTP status of a code's number; 0 where there is no such code.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_code_http_status(code: u32) -> u32 {
    guard("plugward_code_http_status", || {
        Ok(row(code, |r| u32::from(r.http), 0))
    })
}
