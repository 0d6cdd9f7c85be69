//! Extensions: function tables beyond [`Plugin`](crate::Plugin) and [`Host`](crate::Host), asked
//! for by name. A name ends in its version; a table grows at its end only.

use crate::{Bytes, Host, Opaque, Reply, Status};
use core::ffi::CStr;

/// The name of [`Checkpoint`], for [`Host::get_extension`].
pub const CHECKPOINT_EXTENSION: &CStr = c"plugward.checkpoint/1";
/// The name of [`Restore`], for [`Plugin::get_extension`](crate::Plugin::get_extension).
pub const RESTORE_EXTENSION: &CStr = c"plugward.restore/1";

/// What the host offers under `"plugward.checkpoint/1"`: it keeps the plugin's state beyond the
/// plugin's process.
#[repr(C)]
pub struct Checkpoint {
    /// `sizeof(plugward_checkpoint)` of the host.
    pub struct_size: u32,
    /// Is 0.
    pub reserved: u32,
    /// Keeps `state` until the next call replaces it: the plugin's next generation is given the last
    /// state that was kept, whatever became of this one. Copied; may be called from any thread, from
    /// `create` to `destroy`, and never waits for the host. Answers `STATUS_ERROR` where the state
    /// is larger than 16 MiB; the one before is kept then.
    pub save: Option<unsafe extern "C" fn(host: *const Host, state: Bytes) -> Status>,
}

/// What a plugin offers under `"plugward.restore/1"`: it takes up what its last generation left.
#[repr(C)]
pub struct Restore {
    /// `sizeof(plugward_restore)` of the plugin.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Gives a new instance the last checkpoint of the generation before. Called once, after
    /// `create` and before `validate`, and only where there is one. Any other status than
    /// `STATUS_OK` fails the load; `reply` may say why. A state that fails two loads in a row is
    /// given up.
    pub restore:
        Option<unsafe extern "C" fn(instance: Opaque, state: Bytes, reply: *mut Reply) -> Status>,
}
