//! The host's side of worker processes.

mod cancel;
mod cgroup;
mod checkpoint;
mod child;
mod death;
mod dump;
mod dying;
mod ending;
mod executor;
mod fork_server;
mod fork_servers;
mod lease;
mod link;
mod loader;
mod memory;
mod pool;
mod program;
mod reaper;
mod running;
mod scratch;
mod side;
mod spawn;
mod tail;
mod watch;

pub use executor::WorkerExecutor;
pub use lease::Lease;
pub use loader::WorkerLoader;
pub use program::{Forks, Program};
pub(crate) use scratch::sweep;
