//! What a plugin may call: the [`Host`] table, and what stands behind a request and a reply.

use super::tensor;
use crate::call::{Checkpoints, OwnedTensor, Reply as CallReply};
use crate::log::{Level, Logger};
use plugward_abi::{
    ABI_VERSION, Bytes, CHECKPOINT_EXTENSION, Checkpoint, Host, LogLevel, Reply, Request,
    STATUS_CANCELLED, STATUS_ERROR, STATUS_OK, Status, Tensor,
};
use serde_json::Value;
use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What stands behind a `plugward_reply*`.
#[derive(Default)]
pub(super) struct Answer {
    pub(super) value: Option<Result<Value, String>>,
    pub(super) error: Option<(String, String)>,
    tensors: Vec<OwnedTensor>,
}

impl Answer {
    pub(super) fn as_reply(&mut self) -> *mut Reply {
        (self as *mut Self).cast()
    }

    /// The result, where the plugin said that all went well.
    pub(super) fn into_reply(self) -> Result<CallReply, String> {
        let value = self.value.unwrap_or(Ok(Value::Null))?;
        Ok(CallReply {
            value,
            tensors: self.tensors,
        })
    }

    /// The plugin's words on its failure.
    pub(super) fn words(self, otherwise: &str) -> (String, String) {
        self.error
            .unwrap_or_else(|| ("PluginError".into(), otherwise.into()))
    }
}

/// What stands behind a `plugward_request*`.
pub(super) struct CallContext<'a> {
    pub(super) should_stop: &'a (dyn Fn() -> bool + Sync),
    pub(super) progress: &'a (dyn Fn(u64, u64) -> bool + Sync),
}

/// What stands behind the [`Host`] table of one instance.
pub(super) struct HostContext {
    pub(super) logger: Logger,
    pub(super) checkpoints: Checkpoints,
}

/// The table for one instance; `context` must outlive it.
pub(super) fn table(context: &HostContext) -> Host {
    Host {
        context: std::ptr::from_ref(context).cast_mut().cast(),
        ..callback_host()
    }
}

/// The functions with which a host's own callbacks answer: those that native plugins get, but
/// without a logger behind `log`.
#[must_use]
pub fn callback_host() -> Host {
    Host {
        struct_size: size_of::<Host>() as u32,
        abi_version: ABI_VERSION,
        reply_json: Some(reply_json),
        reply_error: Some(reply_error),
        reply_tensor: Some(reply_tensor),
        progress: Some(progress),
        should_stop: Some(should_stop),
        log: Some(log),
        get_extension: Some(get_extension),
        context: std::ptr::null_mut(),
    }
}

fn guard(body: impl FnOnce() -> Status) -> Status {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(STATUS_ERROR)
}

/// # Safety
/// `bytes` must be empty or valid for its length.
unsafe fn slice<'a>(bytes: Bytes) -> &'a [u8] {
    if bytes.data.is_null() || bytes.len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(bytes.data, bytes.len) }
}

/// # Safety
/// As [`slice`].
unsafe fn text(bytes: Bytes) -> String {
    // SAFETY: the caller's promise.
    String::from_utf8_lossy(unsafe { slice(bytes) }).into_owned()
}

/// # Safety
/// `reply` must be NULL or one that [`Answer::as_reply`] made and that is still alive.
unsafe fn answer<'a>(reply: *mut Reply) -> Option<&'a mut Answer> {
    // SAFETY: the caller's promise.
    unsafe { reply.cast::<Answer>().as_mut() }
}

unsafe extern "C" fn reply_json(reply: *mut Reply, json: Bytes) -> Status {
    guard(|| {
        // SAFETY: the plugin passes on the reply that it was given, and valid bytes.
        let (Some(answer), bytes) = (unsafe { (answer(reply), slice(json)) }) else {
            return STATUS_ERROR;
        };
        let parsed = serde_json::from_slice(bytes).map_err(|e| format!("its JSON: {e}"));
        let status = if parsed.is_ok() {
            STATUS_OK
        } else {
            STATUS_ERROR
        };
        answer.value = Some(parsed);
        status
    })
}

unsafe extern "C" fn reply_error(reply: *mut Reply, kind: Bytes, message: Bytes) -> Status {
    guard(|| {
        // SAFETY: the plugin passes on the reply that it was given, and valid bytes.
        let (answer, kind, message) = unsafe { (answer(reply), text(kind), text(message)) };
        let Some(answer) = answer else {
            return STATUS_ERROR;
        };
        let kind = if kind.is_empty() {
            "PluginError".to_owned()
        } else {
            kind
        };
        answer.error = Some((kind, message));
        STATUS_OK
    })
}

unsafe extern "C" fn reply_tensor(reply: *mut Reply, view: *const Tensor) -> Status {
    guard(|| {
        // SAFETY: the plugin passes on the reply that it was given, and a valid tensor.
        let (Some(answer), copied) = (unsafe { (answer(reply), tensor::copy(view)) }) else {
            return STATUS_ERROR;
        };
        match copied {
            Ok(tensor) => {
                answer.tensors.push(tensor);
                STATUS_OK
            }
            Err(error) => {
                answer.value = Some(Err(format!("its tensor: {}", error.message())));
                STATUS_ERROR
            }
        }
    })
}

/// # Safety
/// `request` must be NULL or one that the executor made and whose call is under way.
unsafe fn context<'a>(request: *const Request) -> Option<&'a CallContext<'a>> {
    // SAFETY: the caller's promise.
    unsafe {
        request
            .as_ref()
            .and_then(|r| r.context.cast::<CallContext<'a>>().as_ref())
    }
}

unsafe extern "C" fn progress(request: *const Request, current: u64, total: u64) -> Status {
    guard(|| {
        // SAFETY: the plugin passes on the request that it was given, during its call.
        let Some(context) = (unsafe { context(request) }) else {
            return STATUS_ERROR;
        };
        if (context.progress)(current, total) && !(context.should_stop)() {
            STATUS_OK
        } else {
            STATUS_CANCELLED
        }
    })
}

unsafe extern "C" fn should_stop(request: *const Request) -> i32 {
    guard(|| {
        // SAFETY: the plugin passes on the request that it was given, during its call.
        let context = unsafe { context(request) };
        i32::from(context.is_some_and(|c| (c.should_stop)()))
    })
}

unsafe extern "C" fn log(host: *const Host, level: LogLevel, message: Bytes) {
    let _ = guard(|| {
        // SAFETY: the plugin passes on the host table that it was given, which outlives it.
        let Some(context) = (unsafe { context_of(host) }) else {
            return STATUS_ERROR;
        };
        // SAFETY: the plugin passes valid bytes.
        let said = unsafe { text(message) };
        context.logger.write(Level::from_number(level), said);
        STATUS_OK
    });
}

/// # Safety
/// `host` must be NULL or a table that is still alive.
unsafe fn context_of<'a>(host: *const Host) -> Option<&'a HostContext> {
    // SAFETY: the caller's promise.
    unsafe {
        host.as_ref()
            .and_then(|h| h.context.cast::<HostContext>().as_ref())
    }
}

/// What a plugin gets for "plugward.checkpoint/1".
static CHECKPOINT: Checkpoint = Checkpoint {
    struct_size: size_of::<Checkpoint>() as u32,
    reserved: 0,
    save: Some(save),
};

unsafe extern "C" fn save(host: *const Host, state: Bytes) -> Status {
    guard(|| {
        // SAFETY: the plugin passes on the host table that it was given, and valid bytes.
        let (Some(context), state) = (unsafe { (context_of(host), slice(state)) }) else {
            return STATUS_ERROR;
        };
        match context.checkpoints.save(state) {
            Ok(()) => STATUS_OK,
            Err(error) => {
                context.logger.write(Level::Warn, error.to_string());
                STATUS_ERROR
            }
        }
    })
}

unsafe extern "C" fn get_extension(host: *const Host, id: *const c_char) -> *const c_void {
    // SAFETY: the plugin passes on its host table and a name that ends in NUL.
    let known = unsafe {
        context_of(host).is_some()
            && !id.is_null()
            && std::ffi::CStr::from_ptr(id) == CHECKPOINT_EXTENSION
    };
    match known {
        true => (&raw const CHECKPOINT).cast(),
        false => std::ptr::null(),
    }
}
