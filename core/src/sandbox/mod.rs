//! Where a plugin's code runs: on the caller's thread, or on threads that the runtime owns.
//!
//! `inline` needs nothing but the deadline slot of [`crate::deadline`]. `thread` hands the call to
//! a [`Pool`] through a [`Handoff`]: the caller waits at most until its deadline and then walks
//! away; what the abandoned thread answers later is discarded.

mod handoff;
mod pool;

pub use handoff::{Handoff, Next, Stage};
pub(crate) use pool::stuck;
pub use pool::{Pool, ThreadHost};
