//! The `repr(C)` types that hosts and native plugins share.
//!
//! A plugin exports one symbol, [`ENTRY_SYMBOL`], that returns a [`Plugin`] table. Everything that
//! crosses is borrowed for the length of one call: the plugin answers through the [`Host`] table's
//! functions, which copy, so no allocation is ever freed by the other side.
//!
//! Tables grow at their end only: `struct_size` comes first, a reader takes the smaller of its own
//! size and the writer's. Whatever does not fit a table is asked for by string
//! ([`Plugin::get_extension`], [`Host::get_extension`]). The idea is CLAP's.
#![no_std]

mod extension;
mod plugin;
mod tensor;

pub use extension::{CHECKPOINT_EXTENSION, Checkpoint, RESTORE_EXTENSION, Restore};
pub use plugin::{Entry, Host, Plugin, Reply, Request};
pub use tensor::{DType, Device, Tensor};

use core::ffi::c_void;

/// Major version of the plugin ABI: another major number is refused.
pub const ABI_MAJOR: u32 = 1;
/// Minor version of the plugin ABI: grows when a table grows.
pub const ABI_MINOR: u32 = 0;
/// `major << 16 | minor`, as tables carry it.
pub const ABI_VERSION: u32 = (ABI_MAJOR << 16) | ABI_MINOR;
/// The one symbol that a native plugin exports.
pub const ENTRY_SYMBOL: &[u8] = b"plugward_plugin_entry\0";

/// What a plugin's function answers. Any other number counts as [`STATUS_ERROR`].
pub type Status = i32;
/// All went well.
pub const STATUS_OK: Status = 0;
/// It failed; say more with [`Host::reply_error`].
pub const STATUS_ERROR: Status = 1;
/// The input is at fault, not the plugin: the plugin stays healthy.
pub const STATUS_INVALID_INPUT: Status = 2;
/// The call was given up because [`Host::should_stop`] said so.
pub const STATUS_CANCELLED: Status = 3;

/// Severity of a log line.
pub type LogLevel = i32;
/// For developers.
pub const LOG_DEBUG: LogLevel = 10;
/// For operators, nothing to do.
pub const LOG_INFO: LogLevel = 20;
/// For operators, worth a look.
pub const LOG_WARN: LogLevel = 30;
/// For operators, something failed.
pub const LOG_ERROR: LogLevel = 40;

/// Borrowed bytes. `(NULL, 0)` is the empty slice; text is UTF-8 without a final NUL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// First byte, or NULL when `len` is 0.
    pub data: *const u8,
    /// Number of bytes.
    pub len: usize,
}

impl Bytes {
    /// The empty slice.
    pub const EMPTY: Bytes = Bytes {
        data: core::ptr::null(),
        len: 0,
    };

    /// Borrows `bytes`; the value must not outlive them.
    #[must_use]
    pub const fn borrow(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
        }
    }
}

/// An opaque pointer that belongs to the other side.
pub type Opaque = *mut c_void;
