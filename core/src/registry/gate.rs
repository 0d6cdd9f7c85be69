//! Where callers wait for their turn when a plugin's concurrency is used up.

use crate::sync::{Condvar, Mutex};
use std::sync::Weak;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// Rung when a turn may have come; for those who wait without a thread. Must not block.
pub(crate) trait Bell: Send + Sync {
    /// Whoever waits here looks again.
    fn ring(&self);
}

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is the caller's turn, or the plugin changed its state.
    Came,
    /// The queue was full.
    QueueFull,
    /// The deadline passed first.
    TimedOut,
}

#[derive(Default)]
pub(crate) struct Gate {
    waiting: AtomicU32,
    /// The bells of those who wait without a thread.
    lock: Mutex<Vec<Weak<dyn Bell>>>,
    changed: Condvar,
}

impl Gate {
    /// Waits until `attempt` returns true; at most `queue` callers wait at once.
    pub(crate) fn wait(
        &self,
        queue: u32,
        until: Option<Instant>,
        mut attempt: impl FnMut() -> bool,
    ) -> Turn {
        // Announce first, look second: see StateWord::update.
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= queue {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            return Turn::QueueFull;
        }
        let turn = self.wait_for(until, &mut attempt);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        turn
    }

    /// Takes one of the `queue` places without a thread: `bell` is rung when a turn may have come.
    /// False where the queue is full. Whoever joined looks once more and leaves with
    /// [`Gate::leave`].
    pub(crate) fn join(&self, queue: u32, bell: &Weak<dyn Bell>) -> bool {
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= queue {
            self.leave();
            return false;
        }
        let mut bells = self.lock.lock();
        if !bells.iter().any(|known| known.ptr_eq(bell)) {
            bells.retain(|known| known.strong_count() > 0);
            bells.push(bell.clone());
        }
        true
    }

    /// Gives a place up.
    pub(crate) fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    fn wait_for(&self, until: Option<Instant>, attempt: &mut impl FnMut() -> bool) -> Turn {
        let mut lock = self.lock.lock();
        loop {
            if attempt() {
                return Turn::Came;
            }
            match until {
                None => self.changed.wait(&mut lock),
                Some(at) => {
                    if self.changed.wait_until(&mut lock, at).timed_out() {
                        return if attempt() {
                            Turn::Came
                        } else {
                            Turn::TimedOut
                        };
                    }
                }
            }
        }
    }

    /// One call has ended.
    pub(crate) fn one_left(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.ring();
            self.changed.notify_one();
        }
    }

    /// The plugin changed its state: everybody looks again.
    pub(crate) fn all_look(&self) {
        self.ring();
        self.changed.notify_all();
    }

    fn ring(&self) {
        let bells: Vec<_> = self.lock.lock().iter().filter_map(Weak::upgrade).collect();
        bells.iter().for_each(|bell| bell.ring());
    }

    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}
