//! The exported table: pointers in, statuses out, no panic across.

use super::host::Door;
use crate::fault::{self, Fault, Result};
use crate::tools::{Call, Engine, Pixels};
use plugward_abi::{
    ABI_VERSION, Bytes, DType, Host, Opaque, Plugin, RESTORE_EXTENSION, Reply, Request, Restore,
    STATUS_CANCELLED, STATUS_ERROR, STATUS_INVALID_INPUT, STATUS_OK, Status, Tensor,
};
use serde_json::Value;
use std::ffi::{CStr, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

static TABLE: Plugin = Plugin {
    struct_size: size_of::<Plugin>() as u32,
    abi_version: ABI_VERSION,
    create: Some(create),
    destroy: Some(destroy),
    validate: Some(validate),
    call: Some(call),
    get_extension: Some(get_extension),
};

static RESTORE: Restore = Restore {
    struct_size: size_of::<Restore>() as u32,
    reserved: 0,
    restore: Some(restore),
};

/// What the host loads.
#[allow(unreachable_pub, reason = "the dynamic linker reaches it")]
#[unsafe(no_mangle)]
pub extern "C" fn plugward_plugin_entry() -> *const Plugin {
    &raw const TABLE
}

/// What stands behind the instance pointer.
struct Instance {
    engine: Engine,
    door: Arc<Door>,
}

/// # Safety
/// `bytes` must be empty or valid for its length.
unsafe fn slice<'a>(bytes: Bytes) -> &'a [u8] {
    match bytes.data.is_null() || bytes.len == 0 {
        true => &[],
        // SAFETY: by the caller's promise.
        false => unsafe { std::slice::from_raw_parts(bytes.data, bytes.len) },
    }
}

/// Runs `body`; tells its fault, or its panic, through `reply`.
///
/// # Safety
/// `reply` must be the call's own.
unsafe fn guard(door: &Door, reply: *mut Reply, body: impl FnOnce() -> Result<()>) -> Status {
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let (kind, message, status) = match outcome {
        Ok(Ok(())) => return STATUS_OK,
        Ok(Err(fault)) if fault.code == fault::CANCELLED => return STATUS_CANCELLED,
        Ok(Err(fault)) if fault.is_input() => (fault.code, fault.message, STATUS_INVALID_INPUT),
        Ok(Err(fault)) => (fault.code, fault.message, STATUS_ERROR),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("no message").to_owned();
            ("Panic", text, STATUS_ERROR)
        }
    };
    let kind = if kind.is_empty() { "ValueError" } else { kind };
    // SAFETY: by the caller's promise.
    unsafe { door.refuse(reply, kind, &message) };
    status
}

unsafe extern "C" fn create(
    host: *const Host,
    manifest: Bytes,
    out_self: *mut Opaque,
    reply: *mut Reply,
) -> Status {
    // SAFETY: what the host passes to `create`.
    let door = Arc::new(unsafe { Door::new(host) });
    let make = || {
        // SAFETY: the host lends the text for the length of this call.
        let text = unsafe { slice(manifest) };
        let manifest: Value =
            serde_json::from_slice(text).map_err(|e| Fault::input(format!("the manifest: {e}")))?;
        let keeper = Arc::clone(&door);
        let engine = Engine::new(&manifest, Box::new(move |state| keeper.keep(state)))?;
        let instance = Box::new(Instance {
            engine,
            door: Arc::clone(&door),
        });
        // SAFETY: the host's own variable.
        unsafe { *out_self = Box::into_raw(instance).cast() };
        Ok(())
    };
    // SAFETY: the reply of this call.
    unsafe { guard(&door, reply, make) }
}

/// # Safety
/// `instance` must be what `create` made and `destroy` has not freed.
unsafe fn behind<'a>(instance: Opaque) -> &'a Instance {
    // SAFETY: by the caller's promise.
    unsafe { &*instance.cast::<Instance>() }
}

unsafe extern "C" fn destroy(instance: Opaque) {
    // SAFETY: made by `create`, destroyed once.
    let owned = unsafe { Box::from_raw(instance.cast::<Instance>()) };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(owned)));
}

unsafe extern "C" fn validate(instance: Opaque, reply: *mut Reply) -> Status {
    // SAFETY: the host passes its instance and the call's reply.
    unsafe {
        let instance = behind(instance);
        guard(&instance.door, reply, || instance.engine.validate())
    }
}

unsafe extern "C" fn restore(instance: Opaque, state: Bytes, reply: *mut Reply) -> Status {
    // SAFETY: the host passes its instance, bytes that live as long as this call, and its reply.
    unsafe {
        let instance = behind(instance);
        guard(&instance.door, reply, || {
            instance.engine.restore(slice(state))
        })
    }
}

unsafe extern "C" fn call(instance: Opaque, request: *const Request, reply: *mut Reply) -> Status {
    // SAFETY: the host passes its instance.
    let instance = unsafe { behind(instance) };
    let run = || {
        // SAFETY: the request lives as long as this call.
        let text = unsafe { answer(instance, request) }?;
        // SAFETY: the reply of this call.
        match unsafe { instance.door.answer(reply, &text) } {
            STATUS_OK => Ok(()),
            _ => Err(Fault::new("PluginError", "the host refused the answer")),
        }
    };
    // SAFETY: the reply of this call.
    unsafe { guard(&instance.door, reply, run) }
}

/// A pointer that may go to another thread; the host allows that.
struct Shared(*const Request);
// SAFETY: `progress` and `should_stop` may be called from any thread during the call.
unsafe impl Sync for Shared {}

/// # Safety
/// `request` must be the call's own.
unsafe fn answer(instance: &Instance, request: *const Request) -> Result<String> {
    // SAFETY: by the caller's promise; so are the texts and tensors in it.
    let (given, tool, text) = unsafe {
        let given = &*request;
        (given, slice(given.tool), slice(given.args))
    };
    let tool = std::str::from_utf8(tool).map_err(|_| Fault::input("the tool's name"))?;
    let args = match text.is_empty() {
        true => Value::Object(serde_json::Map::new()),
        false => {
            serde_json::from_slice(text).map_err(|e| Fault::input(format!("the arguments: {e}")))?
        }
    };
    let tensors: &[Tensor] = match given.tensors.is_null() || given.tensor_count == 0 {
        true => &[],
        // SAFETY: the host lends `tensor_count` of them.
        false => unsafe { std::slice::from_raw_parts(given.tensors, given.tensor_count) },
    };
    // SAFETY: the host's tensors are valid for the length of the call.
    let arrays = tensors
        .iter()
        .map(|t| unsafe { pixels(t) })
        .collect::<Result<Vec<_>>>()?;
    let shared = Shared(request);
    let shared = &shared;
    let door = &instance.door;
    let call = Call {
        args: &args,
        arrays: &arrays,
        id: given.call_id,
        // SAFETY: the request of this call.
        should_stop: &move || unsafe { door.should_stop(shared.0) },
        // SAFETY: the request of this call.
        progress: &move |now, of| unsafe { door.progress(shared.0, now, of) },
    };
    instance.engine.call(tool, &call)
}

/// A compact array of bytes on the CPU.
///
/// # Safety
/// `tensor` must be the host's.
unsafe fn pixels<'a>(tensor: &'a Tensor) -> Result<Pixels<'a>> {
    let bytes = tensor.dtype == DType::U8 && tensor.device.kind == 1;
    let compact = tensor.strides.is_null();
    if !bytes || !compact {
        return Err(Fault::input(
            "an image array holds bytes (uint8), row after row, on the CPU",
        ));
    }
    let dims = usize::try_from(tensor.ndim).unwrap_or(0);
    // SAFETY: `shape` has `ndim` entries.
    let shape = match dims {
        0 => &[],
        // SAFETY: as above.
        _ => unsafe { std::slice::from_raw_parts(tensor.shape, dims) },
    };
    let len: i64 = shape.iter().product();
    let len = usize::try_from(len).unwrap_or(0);
    let data = match len == 0 || tensor.data.is_null() {
        true => &[],
        // SAFETY: a compact tensor of bytes covers the product of its sizes.
        false => unsafe {
            let start = tensor.data.cast::<u8>().add(tensor.byte_offset as usize);
            std::slice::from_raw_parts(start, len)
        },
    };
    Ok(Pixels { shape, data })
}

unsafe extern "C" fn get_extension(id: *const c_char) -> *const c_void {
    // SAFETY: the host asks with a text that ends in NUL.
    let asked = unsafe { CStr::from_ptr(id) };
    match asked == RESTORE_EXTENSION {
        true => (&raw const RESTORE).cast(),
        false => std::ptr::null(),
    }
}
