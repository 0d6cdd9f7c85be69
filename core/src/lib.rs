//! Plugward's core: registry, lifecycle, calls, isolation, health. It knows neither Python nor
//! Node nor libtorch; the doors (`ffi`, `python`, `node`) stand on it.

#![forbid(unsafe_op_in_unsafe_fn)]

pub mod call;
pub mod check;
pub mod deadline;
pub mod error;
pub mod health;
pub mod lifecycle;
pub mod log;
pub mod manifest;
pub mod metrics;
pub mod native;
pub mod permissions;
pub mod platform;
pub mod registry;
pub mod runtime;
pub mod sandbox;
mod supervisor;
pub mod sync;
#[cfg(target_os = "linux")]
pub mod worker;

pub use error::{Code, Error, Result};
pub use runtime::{Runtime, RuntimeOptions};
