//! What a host's own plugin functions call while they execute a tool. Native plugins have the same
//! functions in their `plugward_host` table.

use crate::guard::guard;
use plugward_abi::{Bytes, Host, Reply, Request, STATUS_ERROR, Status, Tensor};
use plugward_core::native::callback_host;

/// Answers with one JSON value as text; it is copied. A second answer replaces the first.
/// `PLUGWARD_STATUS_ERROR` when it is no JSON, or `reply` is NULL.
///
/// Thread: call (any thread, until the function that was given `reply` returns).
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reply_json(reply: *mut Reply, json: Bytes) -> Status {
    guard("plugward_reply_json", || {
        let Host { reply_json, .. } = callback_host();
        // SAFETY: the host passes on the reply that it was given, and valid bytes.
        Ok(reply_json.map_or(STATUS_ERROR, |f| unsafe { f(reply, json) }))
    })
}

/// Describes a failure: the error's type (`"ValueError"`) and its message; both are copied.
/// Return a status other than `PLUGWARD_STATUS_OK` as well.
///
/// Thread: call.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reply_error(reply: *mut Reply, kind: Bytes, message: Bytes) -> Status {
    guard("plugward_reply_error", || {
        let Host { reply_error, .. } = callback_host();
        // SAFETY: the host passes on the reply that it was given, and valid bytes.
        Ok(reply_error.map_or(STATUS_ERROR, |f| unsafe { f(reply, kind, message) }))
    })
}

/// Adds a tensor to the answer; it is copied. CPU tensors only.
///
/// Thread: call.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reply_tensor(reply: *mut Reply, tensor: *const Tensor) -> Status {
    guard("plugward_reply_tensor", || {
        let Host { reply_tensor, .. } = callback_host();
        // SAFETY: the host passes on the reply that it was given, and a valid tensor.
        Ok(reply_tensor.map_or(STATUS_ERROR, |f| unsafe { f(reply, tensor) }))
    })
}

/// Reports progress. `PLUGWARD_STATUS_CANCELLED` when the call should end.
///
/// Thread: call (any thread, until the function that was given `request` returns).
#[unsafe(no_mangle)]
pub extern "C" fn plugward_request_progress(
    request: *const Request,
    current: u64,
    total: u64,
) -> Status {
    guard("plugward_request_progress", || {
        let Host { progress, .. } = callback_host();
        // SAFETY: the host passes on the request that it was given, during its call.
        Ok(progress.map_or(STATUS_ERROR, |f| unsafe { f(request, current, total) }))
    })
}

/// Whether the deadline has passed or the caller has given up: return soon.
///
/// Thread: call.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_request_should_stop(request: *const Request) -> bool {
    guard("plugward_request_should_stop", || {
        let Host { should_stop, .. } = callback_host();
        // SAFETY: the host passes on the request that it was given, during its call.
        Ok(should_stop.is_some_and(|f| unsafe { f(request) } != 0))
    })
}
