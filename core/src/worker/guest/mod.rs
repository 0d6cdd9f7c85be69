//! The worker's side: everything here runs in the worker process.

mod arrays;
mod checkpoint;
mod confine;
mod crash;
mod fork;
mod lane;
mod output;
mod parent;
mod plugin;
mod serve;

pub use fork::{Birth, ForkServer, Forked, fork_sibling, taint as fork_taint};
pub use parent::leave;
pub use serve::serve;
