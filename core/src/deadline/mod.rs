//! Deadlines: one timer thread a runtime, armed by one store.
//!
//! A call that runs on its caller's thread arms that thread's [`Slot`]: two stores and one load,
//! no allocation, no lock. The timer thread sleeps until the earliest deadline that it knows; only
//! a deadline earlier than that wakes it. A timer registration per call (a heap under a lock) was
//! rejected: it costs more than the whole rest of a call.
//!
//! Wake-up protocol: before it scans the slots, the thread publishes "wake me for anything"; an
//! armer stores its deadline first and reads that word second (both sequentially consistent), so
//! either the scan sees the slot or the armer sees the request. Nothing spins.

mod guard;
mod slot;
mod watchdog;

pub use guard::Guard;
pub use slot::{Armed, Disarmed, Slot};
pub use watchdog::{Expired, OnExpired, Watchdog};

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds of the monotonic clock since this process first asked, never 0.
#[must_use]
pub fn now_ns() -> u64 {
    to_ns(Instant::now())
}

/// `instant` on the scale of [`now_ns`].
#[must_use]
pub fn to_ns(instant: Instant) -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let epoch = EPOCH.get_or_init(Instant::now);
    instant.saturating_duration_since(*epoch).as_nanos() as u64 + 1
}
