//! Counters and latencies, and their Prometheus text.
//!
//! Every counter that a call touches lives in a per-thread shard: one shared atomic costs three
//! times as much as soon as two threads call one plugin. Readers add the shards up.

mod shard;
mod text;

pub use shard::{BUCKETS_NS, Histogram, HistogramSnapshot, Stats, StatsSnapshot};
pub use text::{RuntimeFigures, encode};

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many shards a counter has.
pub(crate) const SHARDS: usize = 8;

thread_local! {
    static THREAD: Cell<u32> = const { Cell::new(u32::MAX) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// A small number of the calling thread, for choosing shards.
fn thread_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    THREAD.with(|cell| {
        if cell.get() == u32::MAX {
            cell.set(NEXT.fetch_add(1, Ordering::Relaxed) % (1 << 20));
        }
        cell.get()
    })
}

/// The calling thread's shard.
pub(crate) fn shard() -> usize {
    thread_number() as usize % SHARDS
}

/// A number for one call: unique in the process, exact in JavaScript (below 2^53).
///
/// The thread's number and a count of its own, so that no atomic is shared.
pub(crate) fn call_id() -> u64 {
    CALLS.with(|cell| {
        let n = cell.get() + 1;
        cell.set(n);
        u64::from(thread_number()) << 32 | (n & 0xffff_ffff)
    })
}
