//! The host's side of worker processes.

mod checkpoint;
mod child;
mod death;
mod executor;
mod link;
mod loader;
mod memory;
mod program;
mod reaper;
mod running;
mod scratch;
mod spawn;
mod tail;

pub use executor::WorkerExecutor;
pub use loader::WorkerLoader;
pub use program::Program;
