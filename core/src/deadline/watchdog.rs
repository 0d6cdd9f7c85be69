//! The timer thread.

use super::{Armed, Slot, now_ns, to_ns};
use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Told of each passed deadline, on the timer thread: it must not block.
pub type OnExpired = dyn Fn(&Expired) + Send + Sync;

/// A slot whose deadline has passed.
#[derive(Clone, Debug)]
pub struct Expired {
    /// The slot.
    pub slot: Arc<Slot>,
    /// Which of its calls.
    pub armed: Armed,
    /// What [`Watchdog::arm`] was given.
    pub subject: u64,
}

type Task = Box<dyn FnOnce() + Send>;

struct Timer {
    due: u64,
    number: u64,
    task: Task,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Timer {}
impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

/// "Wake me for anything": what the thread publishes while it looks around.
const ALERT: u64 = u64::MAX;

/// One timer thread; see the module's text. Dropping it ends the thread.
pub struct Watchdog {
    shared: Arc<Shared>,
    pub(super) id: u64,
}

struct Shared {
    slots: Mutex<Vec<Weak<Slot>>>,
    timers: Mutex<BinaryHeap<Reverse<Timer>>>,
    next_wake: AtomicU64,
    numbers: AtomicU64,
    closed: AtomicBool,
    thread: OnceLock<Thread>,
    on_expired: Box<OnExpired>,
}

impl Watchdog {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Code::RuntimeThread`] when the system gives none.
    pub fn start(on_expired: Box<OnExpired>) -> Result<Self> {
        let shared = Arc::new(Shared {
            slots: Mutex::default(),
            timers: Mutex::default(),
            next_wake: AtomicU64::new(ALERT),
            numbers: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            thread: OnceLock::new(),
            on_expired,
        });
        let body = Arc::clone(&shared);
        let handle = std::thread::Builder::new()
            .name("plugward-timer".into())
            .spawn(move || body.run())
            .map_err(|e| Error::new(Code::RuntimeThread).with_cause(e.to_string()))?;
        let _ = shared.thread.set(handle.thread().clone());
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Ok(Self {
            shared,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// A slot for the calling thread; it is forgotten when the last `Arc` goes.
    #[must_use]
    pub fn slot(&self, thread: u64) -> Arc<Slot> {
        let slot = Arc::new(Slot::new(thread));
        let mut slots = self.shared.slots.lock();
        if slots.len() == slots.capacity() {
            slots.retain(|s| s.strong_count() > 0);
        }
        slots.push(Arc::downgrade(&slot));
        slot
    }

    /// How many slots are in use by live threads.
    #[must_use]
    pub fn live_slots(&self) -> usize {
        self.shared
            .slots
            .lock()
            .iter()
            .filter(|s| s.strong_count() > 0)
            .count()
    }

    /// Arms `slot` until `deadline`. `subject` is handed to the callback if it passes.
    #[must_use]
    pub fn arm(&self, slot: &Slot, deadline: Instant, subject: u64) -> Armed {
        let due = to_ns(deadline);
        let armed = slot.arm(due, subject);
        self.shared.wake_for(due);
        armed
    }

    /// Runs `task` on the timer thread at `due`; it must not block.
    pub fn after(&self, delay: Duration, task: impl FnOnce() + Send + 'static) {
        let due = to_ns(Instant::now() + delay);
        let number = self.shared.numbers.fetch_add(1, Ordering::Relaxed);
        self.shared.timers.lock().push(Reverse(Timer {
            due,
            number,
            task: Box::new(task),
        }));
        self.shared.wake_for(due);
    }

    /// Ends the thread soon; armed deadlines are no longer watched.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.unpark();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn wake_for(&self, due: u64) {
        if due < self.next_wake.load(Ordering::SeqCst) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn run(&self) {
        while !self.closed.load(Ordering::Acquire) {
            self.next_wake.store(ALERT, Ordering::SeqCst);
            let earliest = self.expire_slots().min(self.run_timers());
            if earliest == ALERT {
                std::thread::park();
                continue;
            }
            self.next_wake.store(earliest, Ordering::SeqCst);
            let now = now_ns();
            if earliest > now {
                std::thread::park_timeout(Duration::from_nanos(earliest - now));
            }
        }
    }

    /// Expires what is due and returns the earliest deadline that is left.
    fn expire_slots(&self) -> u64 {
        let mut earliest = ALERT;
        let mut due = Vec::new();
        {
            let mut slots = self.slots.lock();
            let now = now_ns();
            slots.retain(|weak| {
                let Some(slot) = weak.upgrade() else {
                    return false;
                };
                match slot.armed() {
                    Some((armed, deadline)) if deadline <= now => due.push((slot, armed)),
                    Some((_, deadline)) => earliest = earliest.min(deadline),
                    None => {}
                }
                true
            });
        }
        for (slot, armed) in due {
            if let Some(subject) = slot.expire(armed) {
                (self.on_expired)(&Expired {
                    slot,
                    armed,
                    subject,
                });
            }
        }
        earliest
    }

    fn run_timers(&self) -> u64 {
        loop {
            let task = {
                let mut timers = self.timers.lock();
                match timers.peek() {
                    None => return ALERT,
                    Some(Reverse(t)) if t.due > now_ns() => return t.due,
                    Some(_) => timers.pop(),
                }
            };
            if let Some(Reverse(timer)) = task {
                let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(timer.task));
                if caught.is_err() {
                    tracing::error!(target: "plugward", "a timer task panicked");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn an_expired_slot_is_reported_once_and_a_disarmed_one_never() {
        let (tx, rx) = mpsc::channel();
        let dog = Watchdog::start(Box::new(move |e: &Expired| {
            let _ = tx.send(e.subject);
        }))
        .unwrap();
        let slot = dog.slot(0);
        let armed = dog.arm(&slot, Instant::now() + Duration::from_secs(600), 1);
        slot.disarm(armed);
        let _late = dog.arm(&slot, Instant::now() + Duration::from_millis(20), 2);
        assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Ok(2));
        assert!(rx.recv_timeout(Duration::from_millis(50)).is_err());
    }

    #[test]
    fn timers_run_in_order_of_their_time() {
        let (tx, rx) = mpsc::channel();
        let dog = Watchdog::start(Box::new(|_| {})).unwrap();
        let after = |ms, n| {
            let tx = tx.clone();
            dog.after(Duration::from_millis(ms), move || tx.send(n).unwrap());
        };
        after(600_000, 3);
        after(20, 1);
        assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Ok(1));
        after(20, 2);
        assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Ok(2));
        assert!(rx.try_recv().is_err(), "it is not its time");
    }
}
