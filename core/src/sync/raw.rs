//! A mutex in one word: 0 free, 1 held, 2 held and somebody may sleep on it.
//!
//! After Mara Bos, "Rust Atomics and Locks", chapter 9.

#![allow(
    unsafe_code,
    reason = "lock_api's traits are unsafe: one of the named unsafe addresses"
)]

use super::futex;
use parking_lot::lock_api::{GuardNoSend, RawMutex, RawMutexTimed};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const FREE: u32 = 0;
const HELD: u32 = 1;
const AWAITED: u32 = 2;

/// The word.
pub struct RawLock(AtomicU32);

impl RawLock {
    fn grab(&self) -> bool {
        self.0
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Sleeps until the lock is ours; false when `until` came first.
    #[cold]
    fn lock_slow(&self, until: Option<Instant>) -> bool {
        // Whoever has slept here cannot know whether others still do, and so leaves AWAITED behind.
        while self.0.swap(AWAITED, Ordering::Acquire) != FREE {
            if !futex::wait(&self.0, AWAITED, until) {
                return self.0.swap(AWAITED, Ordering::Acquire) == FREE;
            }
        }
        true
    }
}

fn taken(yes: bool) -> Option<GuardNoSend> {
    yes.then(GuardNoSend::new)
}

// SAFETY: only one caller can change the word from FREE, and it stays changed until `unlock`; the
// orderings make what one holder wrote visible to the next.
unsafe impl RawMutex for RawLock {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "the trait's way to say `new`"
    )]
    const INIT: Self = Self(AtomicU32::new(FREE));
    type Guard = GuardNoSend;

    fn lock(&self) -> GuardNoSend {
        if !self.grab() {
            self.lock_slow(None);
        }
        GuardNoSend::new()
    }

    fn try_lock(&self) -> Option<GuardNoSend> {
        taken(self.grab())
    }

    unsafe fn unlock(&self, _: GuardNoSend) {
        if self.0.swap(FREE, Ordering::Release) == AWAITED {
            futex::wake(&self.0, 1);
        }
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != FREE
    }
}

// SAFETY: as above.
unsafe impl RawMutexTimed for RawLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> Option<GuardNoSend> {
        taken(self.grab() || self.lock_slow(Instant::now().checked_add(timeout)))
    }

    fn try_lock_until(&self, timeout: Instant) -> Option<GuardNoSend> {
        taken(self.grab() || self.lock_slow(Some(timeout)))
    }
}
