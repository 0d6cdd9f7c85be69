//! The plugin's table, the host's table, and what passes between them.

use crate::{Bytes, LogLevel, Opaque, Status, Tensor};
use core::ffi::{c_char, c_void};

/// One call, borrowed for its length.
#[repr(C)]
pub struct Request {
    /// `sizeof(plugward_request)` of the caller.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The tool's id.
    pub tool: Bytes,
    /// The arguments: one JSON object as text.
    pub args: Bytes,
    /// Tensors that go with the arguments, read-only, or NULL.
    pub tensors: *const Tensor,
    /// How many.
    pub tensor_count: usize,
    /// Time left when the call began, in nanoseconds; -1 where there is no deadline.
    pub deadline_ns: i64,
    /// Number of this call, unique in the host process.
    pub call_id: u64,
    /// The host's own; pass the request itself to the host's functions.
    pub context: Opaque,
}

/// Where the plugin's answer goes; only the host's functions look inside.
#[repr(C)]
pub struct Reply {
    _private: [u8; 0],
}

/// What the host offers to a plugin. Valid from `create` to the end of `destroy`.
///
/// Every function may be called from any thread of the plugin during the call it belongs to.
#[repr(C)]
pub struct Host {
    /// `sizeof(plugward_host)` of the host.
    pub struct_size: u32,
    /// The host's ABI version, `major << 16 | minor`.
    pub abi_version: u32,
    /// Answers with one JSON value as text; it is copied. A second answer replaces the first.
    pub reply_json: Option<unsafe extern "C" fn(reply: *mut Reply, json: Bytes) -> Status>,
    /// Describes a failure: the error's type (`"ValueError"`) and its message; both are copied.
    ///
    /// A type that is a code of docs/errors.md (`"PW-VIDEO-006"`) makes it that error, with its
    /// cause and remedy; the plugin goes on, since it knew what went wrong. From `create` and
    /// `validate`, a code of type PluginUnavailable makes the plugin UNAVAILABLE, not FAILED.
    pub reply_error:
        Option<unsafe extern "C" fn(reply: *mut Reply, kind: Bytes, message: Bytes) -> Status>,
    /// Adds a tensor to the answer; it is copied. CPU tensors only.
    pub reply_tensor:
        Option<unsafe extern "C" fn(reply: *mut Reply, tensor: *const Tensor) -> Status>,
    /// Reports progress. Answers `STATUS_CANCELLED` when the call should end.
    pub progress:
        Option<unsafe extern "C" fn(request: *const Request, current: u64, total: u64) -> Status>,
    /// Not 0 when the deadline has passed or the caller has given up: return soon.
    pub should_stop: Option<unsafe extern "C" fn(request: *const Request) -> i32>,
    /// Writes a log line under the plugin's name; never blocks.
    pub log: Option<unsafe extern "C" fn(host: *const Host, level: LogLevel, message: Bytes)>,
    /// Functions that later versions add, by name; NULL when unknown.
    pub get_extension:
        Option<unsafe extern "C" fn(host: *const Host, id: *const c_char) -> *const c_void>,
    /// The host's own.
    pub context: Opaque,
}

/// What a plugin offers. Static for the life of the library.
///
/// `create` and `call` are required, the rest may be NULL.
#[repr(C)]
pub struct Plugin {
    /// `sizeof(plugward_plugin)` of the plugin.
    pub struct_size: u32,
    /// The ABI version it was compiled against.
    pub abi_version: u32,
    /// Makes one instance from its manifest (JSON text, with the manifest's folder as `dir`). Called
    /// once a generation.
    /// A failure may be described through `reply`.
    pub create: Option<
        unsafe extern "C" fn(
            host: *const Host,
            manifest: Bytes,
            out_self: *mut Opaque,
            reply: *mut Reply,
        ) -> Status,
    >,
    /// Ends the instance; called once, after its last call.
    pub destroy: Option<unsafe extern "C" fn(instance: Opaque)>,
    /// Says whether the instance is fit for work.
    pub validate: Option<unsafe extern "C" fn(instance: Opaque, reply: *mut Reply) -> Status>,
    /// Executes one tool. May be called from several threads at once unless the manifest sets
    /// `limits.concurrency` to 1.
    pub call: Option<
        unsafe extern "C" fn(
            instance: Opaque,
            request: *const Request,
            reply: *mut Reply,
        ) -> Status,
    >,
    /// Functions beyond this table, by name; NULL when unknown.
    pub get_extension: Option<unsafe extern "C" fn(id: *const c_char) -> *const c_void>,
}

/// The type of the exported symbol `plugward_plugin_entry`.
pub type Entry = unsafe extern "C" fn() -> *const Plugin;
