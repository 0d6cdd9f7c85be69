//! The C table that a Plugward host sees, over [`Engine`](crate::tools::Engine).
//!
//! All unsafe code that touches the host's pointers is in this folder.

#![allow(
    unsafe_code,
    reason = "the plugin table and the host's functions: one of the named unsafe addresses"
)]

mod entry;
mod host;
