//! The part of VideoTracker that links libtorch: opens a TorchScript program and runs it.
//!
//! It is a library of its own, so that libtorch can be found, compared and opened *before* the
//! dynamic linker would look for it, and so that everything else needs no libtorch to be built or
//! tested. The fallible `f_*` functions of `tch` are called: the others panic. Where there is no fallible
//! form it stands beside the call why that does no harm; a test holds the list of these calls.

#[cfg(feature = "torch")]
mod edge;
#[cfg(feature = "torch")]
mod model;
#[cfg(feature = "torch")]
#[allow(
    unreachable_pub,
    dead_code,
    reason = "the plugin compiles the same file, where all of it is public and used"
)]
#[path = "../../src/backend/table.rs"]
mod table;
