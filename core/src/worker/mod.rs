//! Worker processes: the only level at which no plugin can take the host down.
//!
//! A worker maps one block of shared memory (its standard input) and runs plugin code that its host
//! never touches. A call is written once into a slot, one futex wakes the worker's thread, one
//! wakes the caller; arrays lie beside the message and are looked at where they are. Who dies in a
//! call is noticed by the kernel: the lane's word is a robust futex, the process a pidfd.
//!
//! `wire` is what both sides share, `host` starts, calls and buries workers, `guest` is the worker.
//! One protocol serves every kind of plugin: a worker program only brings the [`Loader`] of its
//! kind, the same that would load the plugin in process.
//!
//! Rejected: sockets and pipes for data (two copies and a 64 kB window), spinning (loses 15 times
//! on a busy machine what it wins on an idle one), a fork of the host (threads, CUDA).
//!
//! [`Loader`]: crate::call::Loader

mod denial;
mod fork;
mod guest;
mod host;
mod kin;
mod order;
mod wire;

pub(crate) use wire::futex::{MOST, can_wait_for_any, wait_any, wake};

pub use denial::{Attempt, Refused, denial, is_confined, may_be_refusal, spoken};
pub use guest::{Birth, ForkServer, Forked, fork_sibling, fork_taint, leave, serve};
pub(crate) use host::sweep;
pub use host::{Forks, Lease, Program, WorkerExecutor, WorkerLoader};

/// What begins a line of output that is a log record of ours rather than the plugin's own words.
const RECORD: &str = "\u{1e}plugward ";
