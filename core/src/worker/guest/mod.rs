//! The worker's side: everything here runs in the worker process.

mod arrays;
mod checkpoint;
mod confine;
mod crash;
mod lane;
mod output;
mod parent;
mod plugin;
mod serve;

pub use serve::serve;
