//! Calls that are under way when their generation is replaced by one that was built beside it.
//!
//! The state word counts the calls of one generation only, so a result of an earlier one is stale.
//! A hot swap is the one exception: the old generation was healthy and was told to finish its work,
//! so what it still answers counts. The exception is opened for that generation alone, before the
//! word changes, and closed after a bounded time; restarts and faults never open it.

use crate::sync::{Condvar, Mutex};
use std::time::Instant;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The generation is the present one, or it ended for another reason.
    #[default]
    Closed,
    /// It was replaced and finishes its calls.
    Open,
}

#[derive(Default)]
struct Inner {
    phase: Phase,
    /// Calls that were under way when the word changed, less those that have ended since. Below 0
    /// while the first end before the number is known.
    left: i64,
}

/// The calls that one replaced generation still has.
#[derive(Default)]
pub(crate) struct Drain {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Drain {
    /// From now on an end that the state word does not know counts; before the word changes.
    pub(crate) fn open(&self) {
        self.inner.lock().phase = Phase::Open;
    }

    /// The word has changed with so many calls under way.
    pub(crate) fn owe(&self, calls: u32) {
        self.inner.lock().left += i64::from(calls);
        self.changed.notify_all();
    }

    /// A call has ended that the state word no longer knows. Whether its answer counts.
    pub(crate) fn leave(&self) -> bool {
        let mut inner = self.inner.lock();
        let counts = inner.phase == Phase::Open;
        if counts {
            inner.left -= 1;
            drop(inner);
            self.changed.notify_all();
        }
        counts
    }

    /// Waits until the last call has ended, at most until `until`. What ends later does not count;
    /// returns how many those are.
    pub(crate) fn close(&self, until: Instant) -> u32 {
        let mut inner = self.inner.lock();
        while inner.left > 0 {
            if self.changed.wait_until(&mut inner, until).timed_out() {
                break;
            }
        }
        inner.phase = Phase::Closed;
        u32::try_from(inner.left).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn only_an_open_drain_accepts_and_only_until_it_is_closed() {
        let drain = Drain::default();
        assert!(!drain.leave(), "nobody opened it");
        drain.open();
        assert!(drain.leave(), "before the number was known");
        drain.owe(2);
        assert_eq!(drain.close(soon()), 1, "one overstayed");
        assert!(!drain.leave());
    }

    #[test]
    fn the_last_call_wakes_who_waits() {
        let drain = Drain::default();
        drain.open();
        drain.owe(1);
        let late = Instant::now() + Duration::from_secs(60);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(10));
                assert!(drain.leave());
            });
            assert_eq!(drain.close(late), 0);
        });
        assert!(Instant::now() < late);
    }
}
