//! The host's own functions: as plugins, as progress and log callbacks.
//!
//! Everything that is called here goes through `callback.cpp` (plugin functions: through the core's
//! shim), which ends C++ exceptions. `longjmp` out of a callback is not supported: it would skip
//! Rust frames that hold locks.

use crate::ownership::Options;
use plugward_abi::{Reply, Request, Status};
use plugward_core::call::Loader;
use plugward_core::error::{Code, Error, Result};
use plugward_core::native::{CallbackLoader, Callbacks as CoreCallbacks};
use std::ffi::c_void;
use std::sync::Arc;

/// Executes a tool: answers through `plugward_reply_json` or `plugward_reply_error`, and returns
/// one of `PLUGWARD_STATUS_`. Like `call` of `plugward_plugin`.
pub type CallFn = Option<
    unsafe extern "C" fn(user: *mut c_void, request: *const Request, reply: *mut Reply) -> Status,
>;
/// Says whether the plugin is fit, through `plugward_reply_error` and the returned status.
pub type ValidateFn = Option<unsafe extern "C" fn(user: *mut c_void, reply: *mut Reply) -> Status>;
/// Ends `user`: called exactly once, after its last use, from any thread.
pub type DestroyFn = Option<unsafe extern "C" fn(user: *mut c_void)>;
/// Told how far a call has come, on the thread that called `plugward_call` unless the plugin
/// itself reports from another one. Returns 0 to ask the plugin to stop.
pub type ProgressFn =
    Option<unsafe extern "C" fn(user: *mut c_void, current: u64, total: u64) -> i32>;

/// The host's own functions as a plugin.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Callbacks {
    /// `sizeof(plugward_callbacks)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The host's own pointer, passed to each function; may be used from any thread.
    pub user: *mut c_void,
    /// Executes a tool; required. Called from several threads at once unless the manifest sets
    /// `limits.concurrency` to 1.
    pub call: CallFn,
    /// Says at load and restart whether the plugin is fit; may be NULL.
    pub validate: ValidateFn,
    /// Ends `user`; may be NULL.
    pub destroy: DestroyFn,
}

// SAFETY: repr(C), `struct_size` first; NULL is a value of every other member.
unsafe impl Options for Callbacks {
    const NAME: &'static str = "plugward_callbacks";
    const FIRST_SIZE: usize = 16 + 3 * size_of::<usize>();
}

/// Makes a loader of the host's functions.
pub(crate) fn callback_loader(callbacks: Callbacks) -> Result<Arc<dyn Loader>> {
    let Callbacks {
        user,
        call,
        validate,
        destroy,
        ..
    } = callbacks;
    let Some(call) = call else {
        return Err(Error::new(Code::AbiNull).with_message("callbacks->call is NULL"));
    };
    // SAFETY: the header demands of these functions what the plugin ABI demands.
    let loader = unsafe {
        CallbackLoader::new(CoreCallbacks {
            user,
            call,
            validate,
            destroy,
        })
    };
    Ok(Arc::new(loader))
}

/// A host's pointer on its way to other threads, with the function that ends it.
pub(crate) struct User {
    pointer: *mut c_void,
    destroy: DestroyFn,
}

// SAFETY: the header demands that `user` may be used from any thread.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl User {
    /// A pointer that `destroy` ends once, when this value is dropped.
    pub(crate) fn new(pointer: *mut c_void, destroy: DestroyFn) -> Self {
        Self { pointer, destroy }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the host's function and its own pointer, once.
            let _ = unsafe { plugward_edge_destroy(destroy, self.pointer) };
        }
    }
}

type Progress = unsafe extern "C" fn(*mut c_void, u64, u64) -> i32;
type Log = unsafe extern "C" fn(*mut c_void, *const crate::log::LogRecord);

unsafe extern "C" {
    fn plugward_edge_progress(f: Progress, user: *mut c_void, current: u64, total: u64) -> i32;
    fn plugward_edge_log(f: Log, user: *mut c_void, record: *const crate::log::LogRecord) -> i32;
    fn plugward_edge_destroy(f: unsafe extern "C" fn(*mut c_void), user: *mut c_void) -> i32;
}

/// What `callback.cpp` answers for a C++ exception.
const THREW: i32 = -0x7077;

/// Reports progress; an exception asks the plugin to stop.
pub(crate) fn progress(f: Progress, user: &User, current: u64, total: u64) -> bool {
    // SAFETY: the host's function and its own pointer.
    let answer = unsafe { plugward_edge_progress(f, user.pointer, current, total) };
    answer != 0 && answer != THREW
}

/// Hands one log record over; false when it threw.
pub(crate) fn log(f: Log, user: &User, record: &crate::log::LogRecord) -> bool {
    // SAFETY: the host's function, its own pointer, and a record that lives beyond the call.
    unsafe { plugward_edge_log(f, user.pointer, record) != THREW }
}
