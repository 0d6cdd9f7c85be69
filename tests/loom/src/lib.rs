//! The core's lifecycle module, compiled a second time with loom's atomics. `make loom` runs the
//! model with `--cfg loom`; without it, this crate is empty but for the module itself.
//!
//! A crate of its own, because the rest of the core uses atomics that loom cannot see.

#[path = "../../../core/src/lifecycle/mod.rs"]
pub mod lifecycle;
