//! A condition variable in two words: how often it was notified, and how many wait.

use super::{MutexGuard, futex};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// A condition variable. Whoever notifies must have held the mutex since the condition changed, and
/// whoever waits must look at its condition again: wake-ups may come without a reason.
#[derive(Default)]
pub struct Condvar {
    notified: AtomicU32,
    waiting: AtomicU32,
}

/// Whether a wait ended because its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut(bool);

impl TimedOut {
    /// Whether it did.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            notified: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
        }
    }

    /// Gives the mutex up, sleeps until notified, takes the mutex again.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.sleep(guard, None);
    }

    /// The same, at most until `until`.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, until: Instant) -> TimedOut {
        TimedOut(!self.sleep(guard, Some(until)))
    }

    fn sleep<T>(&self, guard: &mut MutexGuard<'_, T>, until: Option<Instant>) -> bool {
        // Both under the mutex: a notifier takes it after us, and so sees that somebody waits.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let seen = self.notified.load(Ordering::Relaxed);
        let in_time = MutexGuard::unlocked(guard, || futex::wait(&self.notified, seen, until));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        in_time
    }

    /// Wakes one who waits.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.notify(i32::MAX);
    }

    fn notify(&self, count: i32) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.notified.fetch_add(1, Ordering::Relaxed);
            futex::wake(&self.notified, count);
        }
    }
}
