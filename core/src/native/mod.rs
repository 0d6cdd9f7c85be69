//! Native plugins: a C-ABI table, from a shared library or from the host's own memory.
//!
//! All unsafe code of the core that touches a plugin's pointers lives in this folder: `shim.rs`
//! (calls through the C++ shim), `host.rs` (what a plugin may call), `tensor.rs` (array views) and
//! `library.rs` (dlopen). Calling plugin functions straight from Rust was rejected: a C++ exception
//! that meets a Rust frame aborts the process.

#![allow(
    unsafe_code,
    reason = "the plugin vtable and dlopen: one of the named unsafe addresses"
)]

mod executor;
mod host;
mod library;
mod shim;
mod tensor;

pub use executor::{CallbackLoader, Callbacks, TableExecutor};
pub use host::callback_host;
pub use library::NativeLoader;
pub use tensor::{borrow as borrow_tensor, copy as copy_tensor, lend as lend_tensor};
