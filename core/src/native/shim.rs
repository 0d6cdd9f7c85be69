//! Rust's side of `shim.cpp`: every call into a plugin goes through here.

use plugward_abi::{Bytes, Host, Opaque, Plugin, Reply, Request, Status};
use std::ffi::{CStr, c_char, c_void};

const THREW: Status = -0x7077;
const WHAT: usize = 1024;

type Create = unsafe extern "C" fn(*const Host, Bytes, *mut Opaque, *mut Reply) -> Status;
pub(super) type Destroy = unsafe extern "C" fn(Opaque);
pub(super) type Validate = unsafe extern "C" fn(Opaque, *mut Reply) -> Status;
pub(super) type GetExtension = unsafe extern "C" fn(*const c_char) -> *const c_void;
pub(super) type RestoreFn = unsafe extern "C" fn(Opaque, Bytes, *mut Reply) -> Status;
pub(super) type CallFn = unsafe extern "C" fn(Opaque, *const Request, *mut Reply) -> Status;

unsafe extern "C" {
    fn plugward_shim_create(
        create: Create,
        host: *const Host,
        manifest: Bytes,
        instance: *mut Opaque,
        reply: *mut Reply,
        what: *mut c_char,
        capacity: usize,
    ) -> Status;
    fn plugward_shim_destroy(
        destroy: Destroy,
        instance: Opaque,
        what: *mut c_char,
        capacity: usize,
    ) -> Status;
    fn plugward_shim_validate(
        validate: Validate,
        instance: Opaque,
        reply: *mut Reply,
        what: *mut c_char,
        capacity: usize,
    ) -> Status;
    fn plugward_shim_call(
        call: CallFn,
        instance: Opaque,
        request: *const Request,
        reply: *mut Reply,
        what: *mut c_char,
        capacity: usize,
    ) -> Status;
    fn plugward_shim_get_extension(
        get: GetExtension,
        id: *const c_char,
        table: *mut *const c_void,
        what: *mut c_char,
        capacity: usize,
    ) -> Status;
    fn plugward_shim_restore(
        restore: RestoreFn,
        instance: Opaque,
        state: Bytes,
        reply: *mut Reply,
        what: *mut c_char,
        capacity: usize,
    ) -> Status;
    fn plugward_shim_entry(
        entry: *const c_void,
        table: *mut *const Plugin,
        what: *mut c_char,
        capacity: usize,
    ) -> Status;
}

/// A C++ exception's message.
#[derive(Debug)]
pub(super) struct Thrown(pub(super) String);

/// Runs one shim function with room for an exception's text.
fn guarded(run: impl FnOnce(*mut c_char, usize) -> Status) -> Result<Status, Thrown> {
    let mut what = [0 as c_char; WHAT];
    let status = run(what.as_mut_ptr(), WHAT);
    if status != THREW {
        return Ok(status);
    }
    what[WHAT - 1] = 0;
    // SAFETY: the buffer is ours and its last byte is NUL.
    let text = unsafe { CStr::from_ptr(what.as_ptr()) };
    Err(Thrown(text.to_string_lossy().into_owned()))
}

/// # Safety
/// `create` must follow `plugward_plugin_create`'s contract; the pointers must be valid.
pub(super) unsafe fn create(
    create: Create,
    host: *const Host,
    manifest: Bytes,
    instance: *mut Opaque,
    reply: *mut Reply,
) -> Result<Status, Thrown> {
    guarded(|what, n| {
        // SAFETY: the caller's promise, and `what` has room for `n` bytes.
        unsafe { plugward_shim_create(create, host, manifest, instance, reply, what, n) }
    })
}

/// # Safety
/// `instance` must be one that `create` made and that was not destroyed.
pub(super) unsafe fn destroy(destroy: Destroy, instance: Opaque) -> Result<Status, Thrown> {
    // SAFETY: the caller's promise, and `what` has room for `n` bytes.
    guarded(|what, n| unsafe { plugward_shim_destroy(destroy, instance, what, n) })
}

/// # Safety
/// `instance` must be alive and `reply` one of `host.rs`.
pub(super) unsafe fn validate(
    validate: Validate,
    instance: Opaque,
    reply: *mut Reply,
) -> Result<Status, Thrown> {
    // SAFETY: the caller's promise, and `what` has room for `n` bytes.
    guarded(|what, n| unsafe { plugward_shim_validate(validate, instance, reply, what, n) })
}

/// # Safety
/// `instance` must be alive, `request` and `reply` those of `host.rs`.
pub(super) unsafe fn call(
    call: CallFn,
    instance: Opaque,
    request: *const Request,
    reply: *mut Reply,
) -> Result<Status, Thrown> {
    // SAFETY: the caller's promise, and `what` has room for `n` bytes.
    guarded(|what, n| unsafe { plugward_shim_call(call, instance, request, reply, what, n) })
}

/// # Safety
/// `entry` must be the address of a `plugward_plugin_entry`.
pub(super) unsafe fn entry(entry: *const c_void) -> Result<*const Plugin, Thrown> {
    let mut table = std::ptr::null();
    // SAFETY: the caller's promise, and `what` has room for `n` bytes.
    guarded(|what, n| unsafe { plugward_shim_entry(entry, &raw mut table, what, n) })?;
    Ok(table)
}

/// # Safety
/// `get` must follow `plugward_plugin.get_extension`'s contract.
pub(super) unsafe fn get_extension(get: GetExtension, id: &CStr) -> Result<*const c_void, Thrown> {
    let mut table = std::ptr::null();
    // SAFETY: the caller's promise, and `what` has room for `n` bytes.
    guarded(|what, n| unsafe {
        plugward_shim_get_extension(get, id.as_ptr(), &raw mut table, what, n)
    })?;
    Ok(table)
}

/// # Safety
/// `instance` must be alive, `state` valid and `reply` one of `host.rs`.
pub(super) unsafe fn restore(
    restore: RestoreFn,
    instance: Opaque,
    state: Bytes,
    reply: *mut Reply,
) -> Result<Status, Thrown> {
    // SAFETY: the caller's promise, and `what` has room for `n` bytes.
    guarded(|what, n| unsafe { plugward_shim_restore(restore, instance, state, reply, what, n) })
}
