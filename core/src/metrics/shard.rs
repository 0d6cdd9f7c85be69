//! Sharded counters and histograms.

use super::{SHARDS, shard};
use crate::error::Code;
use crossbeam_utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds of the latency buckets in nanoseconds: 10 µs to 60 s, roughly 1-3-10.
pub const BUCKETS_NS: [u64; 14] = [
    10_000,
    30_000,
    100_000,
    300_000,
    1_000_000,
    3_000_000,
    10_000_000,
    30_000_000,
    100_000_000,
    300_000_000,
    1_000_000_000,
    5_000_000_000,
    15_000_000_000,
    60_000_000_000,
];

/// How many of the latest calls the mean is taken over.
const RECENT: usize = 10;

#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; BUCKETS_NS.len() + 1],
    sum_ns: AtomicU64,
}

/// Latencies of one tool.
#[derive(Debug, Default)]
pub struct Histogram(Box<[CachePadded<Buckets>; SHARDS]>);

/// A histogram at one moment; `counts` has one entry a bucket and one for "more".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// Calls per bucket of [`BUCKETS_NS`], not cumulative.
    pub counts: [u64; BUCKETS_NS.len() + 1],
    /// Sum of all latencies in nanoseconds.
    pub sum_ns: u64,
}

impl Histogram {
    /// Adds one latency.
    pub fn record(&self, ns: u64) {
        let buckets = &self.0[shard()];
        let at = BUCKETS_NS
            .iter()
            .position(|b| ns <= *b)
            .unwrap_or(BUCKETS_NS.len());
        buckets.counts[at].fetch_add(1, Relaxed);
        buckets.sum_ns.fetch_add(ns, Relaxed);
    }

    /// Adds the shards up.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut sum = HistogramSnapshot::default();
        for buckets in self.0.iter() {
            for (to, from) in sum.counts.iter_mut().zip(&buckets.counts) {
                *to += from.load(Relaxed);
            }
            sum.sum_ns += buckets.sum_ns.load(Relaxed);
        }
        sum
    }
}

#[derive(Debug, Default)]
struct Shard {
    ok: AtomicU64,
    failed: AtomicU64,
    cursor: AtomicU64,
    recent: [(AtomicU64, AtomicU64); RECENT],
}

/// What a plugin's calls amount to.
#[derive(Debug)]
pub struct Stats {
    shards: Box<[CachePadded<Shard>; SHARDS]>,
    by_code: Box<[AtomicU64]>,
    /// Late results of abandoned calls that were discarded.
    pub late_results: AtomicU64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            shards: Box::default(),
            by_code: Code::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            late_results: AtomicU64::new(0),
        }
    }
}

/// [`Stats`] at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsSnapshot {
    /// Calls that ended well.
    pub success: u64,
    /// Calls that ended in an error of the plugin.
    pub errors: u64,
    /// Duration of the latest call in milliseconds.
    pub last_ms: Option<f64>,
    /// Mean of the last ten in milliseconds.
    pub avg_ms: Option<f64>,
    /// When the latest call ended, on the scale of [`crate::deadline::now_ns`].
    pub last_end_ns: Option<u64>,
}

impl Stats {
    /// Counts one ended call.
    pub fn record(&self, ok: bool, end_ns: u64, elapsed_ns: u64) {
        let shard = &self.shards[shard()];
        let count = if ok { &shard.ok } else { &shard.failed };
        count.fetch_add(1, Relaxed);
        let at = shard.cursor.fetch_add(1, Relaxed) as usize % RECENT;
        let (end, elapsed) = &shard.recent[at];
        elapsed.store(elapsed_ns, Relaxed);
        end.store(end_ns, Relaxed);
    }

    /// Counts an outcome without a duration, for hosts that execute plugins themselves.
    pub fn count(&self, ok: bool) {
        let shard = &self.shards[shard()];
        (if ok { &shard.ok } else { &shard.failed }).fetch_add(1, Relaxed);
    }

    /// Counts one error by its code.
    pub fn record_code(&self, code: Code) {
        if let Some(count) = self.by_code.get(code.index()) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Errors by code, without the zeros.
    pub fn codes(&self) -> impl Iterator<Item = (Code, u64)> + '_ {
        Code::ALL
            .iter()
            .map(|c| (*c, self.by_code[c.index()].load(Relaxed)))
            .filter(|(_, n)| *n > 0)
    }

    /// Adds the shards up; the mean is over the ten calls that ended last, of whatever thread.
    #[must_use]
    pub fn snapshot(&self) -> StatsSnapshot {
        let mut out = StatsSnapshot::default();
        let (mut recent, mut seen) = ([(0, 0); SHARDS * RECENT], 0);
        for shard in self.shards.iter() {
            out.success += shard.ok.load(Relaxed);
            out.errors += shard.failed.load(Relaxed);
            for (end, elapsed) in &shard.recent {
                let end = end.load(Relaxed);
                if end != 0 {
                    recent[seen] = (end, elapsed.load(Relaxed));
                    seen += 1;
                }
            }
        }
        recent[..seen].sort_unstable_by(|a, b| b.cmp(a));
        let recent = &recent[..seen.min(RECENT)];
        if let Some((end, elapsed)) = recent.first() {
            let mean = recent.iter().map(|(_, e)| *e as f64).sum::<f64>() / recent.len() as f64;
            out.last_end_ns = Some(*end);
            out.last_ms = Some(*elapsed as f64 / 1e6);
            out.avg_ms = Some(mean / 1e6);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_the_last_ten_of_all_threads() {
        let stats = Stats::default();
        // Joined by hand: ThreadSanitizer sees a join, but not the end of a scope.
        std::thread::scope(|s| {
            assert!(
                s.spawn(|| stats.record(true, 1, 1_000_000_000))
                    .join()
                    .is_ok()
            );
        });
        for end in 2..12 {
            stats.record(end % 2 == 0, end, end * 1_000_000);
        }
        let seen = stats.snapshot();
        assert_eq!((seen.success, seen.errors), (6, 5));
        assert_eq!(seen.last_ms, Some(11.0));
        assert_eq!(seen.avg_ms, Some(6.5));
    }

    #[test]
    fn latencies_fall_into_their_buckets() {
        let h = Histogram::default();
        for ns in [1, 10_000, 10_001, u64::MAX / 4] {
            h.record(ns);
        }
        let seen = h.snapshot();
        assert_eq!((seen.counts[0], seen.counts[1], seen.counts[14]), (2, 1, 1));
    }

    #[test]
    fn codes_are_counted_each_on_its_own() {
        let stats = Stats::default();
        stats.record_code(Code::CallDeadline);
        stats.record_code(Code::CallDeadline);
        assert_eq!(stats.codes().collect::<Vec<_>>(), [(Code::CallDeadline, 2)]);
    }
}
