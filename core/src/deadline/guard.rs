//! A deadline armed for the length of one call on the calling thread.

use super::{Armed, Disarmed, Slot, Watchdog};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

thread_local! {
    /// Free slots of this thread, by watchdog. They go when the thread ends.
    static FREE: RefCell<Vec<(u64, Vec<Arc<Slot>>)>> = const { RefCell::new(Vec::new()) };
}

/// How many watchdogs one thread remembers slots for; the oldest is forgotten first.
const REMEMBERED: usize = 8;

/// Holds one slot of the calling thread; dropping it disarms. Calls nest: each has its own slot.
#[derive(Debug)]
pub struct Guard {
    slot: Option<Arc<Slot>>,
    armed: Armed,
    watchdog: u64,
}

impl Watchdog {
    /// Arms a deadline on the calling thread. `thread` is asked once a slot for the door's own
    /// name of the thread.
    #[must_use]
    pub fn guard(&self, deadline: Instant, subject: u64, thread: impl FnOnce() -> u64) -> Guard {
        let free = FREE.with(|free| {
            let mut free = free.borrow_mut();
            free.iter_mut()
                .find(|(id, _)| *id == self.id)
                .and_then(|(_, slots)| slots.pop())
        });
        let slot = free.unwrap_or_else(|| self.slot(thread()));
        let armed = self.arm(&slot, deadline, subject);
        Guard {
            slot: Some(slot),
            armed,
            watchdog: self.id,
        }
    }
}

impl Guard {
    /// Disarms, and says what had become of the deadline, with the slot to take back an interrupt.
    #[must_use]
    pub fn disarm(mut self) -> Disarmed {
        self.release()
    }

    fn release(&mut self) -> Disarmed {
        let Some(slot) = self.slot.take() else {
            return Disarmed::InTime;
        };
        let disarmed = slot.disarm(self.armed);
        let watchdog = self.watchdog;
        // A thread that is ending has no list any more; the slot then simply goes.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if let Some((_, slots)) = free.iter_mut().find(|(id, _)| *id == watchdog) {
                slots.push(slot);
                return;
            }
            if free.len() == REMEMBERED {
                free.remove(0);
            }
            free.push((watchdog, vec![slot]));
        });
        disarmed
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn slots_are_reused_and_calls_nest() {
        let dog = Watchdog::start(Box::new(|_| {})).unwrap();
        let later = Instant::now() + Duration::from_secs(60);
        let outer = dog.guard(later, 1, || 7);
        let inner = dog.guard(later, 2, || 7);
        let first = Arc::as_ptr(outer.slot.as_ref().unwrap());
        assert_ne!(first, Arc::as_ptr(inner.slot.as_ref().unwrap()));
        assert_eq!(inner.disarm(), Disarmed::InTime);
        drop(outer);
        let again = dog.guard(later, 3, || panic!("no new slot is needed"));
        assert_eq!(first, Arc::as_ptr(again.slot.as_ref().unwrap()));
    }

    #[test]
    fn slots_of_ended_threads_are_freed() {
        let dog = Arc::new(Watchdog::start(Box::new(|_| {})).unwrap());
        for _ in 0..300 {
            let dog = Arc::clone(&dog);
            std::thread::spawn(move || {
                drop(dog.guard(Instant::now() + Duration::from_secs(60), 0, || 0));
            })
            .join()
            .unwrap();
        }
        assert!(dog.live_slots() <= 1, "{}", dog.live_slots());
    }
}
