//! The C door: `libplugward.so` and `libplugward.a` behind `include/plugward.h`, which cbindgen
//! writes from this crate.
//!
//! Rules of the edge, each kept in one place:
//!
//! * every pointer cast is in `ownership.rs`, as a type that states who owns what;
//! * every export is one [`guard`](guard::guard) around a closure, so no panic crosses;
//! * every call into the host's own functions goes through `callback.rs`, so no C++ exception does;
//! * text and arrays are pointer and length, `(NULL, 0)` is empty, out parameters are zeroed first.
//!
//! Rejected: integer result codes with a "last error" per thread. The error would be lost or mixed
//! up between the failing call and the question about it.

#![allow(
    unsafe_code,
    reason = "the C edge: exported names, and pointers that C hands over"
)]
#![allow(
    unreachable_pub,
    reason = "C reaches these items, and cbindgen writes only public ones"
)]

mod bytes;
mod call;
mod callback;
mod check;
mod error;
mod guard;
mod health;
mod lease;
mod lifecycle;
mod log;
mod manifest;
mod metrics;
mod outcome;
mod ownership;
mod permissions;
mod plugin;
mod registry;
mod reply;
mod reports;
mod runtime;
mod version;
