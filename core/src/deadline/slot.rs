//! One thread's deadline slot.

use std::sync::atomic::{AtomicU64, Ordering};

const STAGE_BITS: u32 = 2;
const IDLE: u64 = 0;
const ARMED: u64 = 1;
const EXPIRED: u64 = 2;
const DELIVERED: u64 = 3;

/// Where a thread announces until when its present call may run.
///
/// `control` holds a sequence number and a stage (idle, armed, expired, delivered); a late
/// watchdog or interrupter that holds an old sequence number can change nothing.
#[derive(Debug)]
pub struct Slot {
    control: AtomicU64,
    deadline: AtomicU64,
    subject: AtomicU64,
    thread: u64,
}

/// An armed slot's sequence number; pass it back to [`Slot::disarm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Armed(u64);

/// What had become of the deadline when the call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disarmed {
    /// It had not passed.
    InTime,
    /// It had passed; no interrupt was sent yet, and none will be.
    Expired,
    /// It had passed and an interrupt was sent; the door must take back one that is still pending.
    Delivered,
}

impl Slot {
    /// A slot for the thread that the door knows as `thread` (0 where it has no interrupts).
    #[must_use]
    pub fn new(thread: u64) -> Self {
        Self {
            control: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            subject: AtomicU64::new(0),
            thread,
        }
    }

    /// The door's own name of the thread.
    #[must_use]
    pub fn thread(&self) -> u64 {
        self.thread
    }

    /// Arms the slot: the watchdog acts once `deadline_ns` has passed. `subject` comes back in
    /// [`super::Expired`].
    pub(super) fn arm(&self, deadline_ns: u64, subject: u64) -> Armed {
        let sequence = (self.control.load(Ordering::Relaxed) >> STAGE_BITS) + 1;
        self.subject.store(subject, Ordering::Relaxed);
        self.deadline.store(deadline_ns, Ordering::Relaxed);
        self.control
            .store(sequence << STAGE_BITS | ARMED, Ordering::SeqCst);
        Armed(sequence)
    }

    /// Ends the call of `armed`.
    pub fn disarm(&self, armed: Armed) -> Disarmed {
        let idle = armed.0 << STAGE_BITS | IDLE;
        match self.control.swap(idle, Ordering::AcqRel) & ((1 << STAGE_BITS) - 1) {
            EXPIRED => Disarmed::Expired,
            DELIVERED => Disarmed::Delivered,
            _ => Disarmed::InTime,
        }
    }

    /// The deadline and sequence, if armed.
    pub(super) fn armed(&self) -> Option<(Armed, u64)> {
        let control = self.control.load(Ordering::SeqCst);
        (control & 3 == ARMED).then(|| {
            (
                Armed(control >> STAGE_BITS),
                self.deadline.load(Ordering::Relaxed),
            )
        })
    }

    /// Moves an armed slot to expired; `None` when the call ended first.
    pub(super) fn expire(&self, armed: Armed) -> Option<u64> {
        let subject = self.subject.load(Ordering::Relaxed);
        self.step(armed, ARMED, EXPIRED).then_some(subject)
    }

    /// Claims the delivery of an interrupt: true when the call is still the expired one.
    ///
    /// A door calls it under whatever lock also guards its [`Slot::disarm`] (Python: the GIL), and
    /// sends the interrupt before it lets go of that lock.
    #[must_use]
    pub fn deliver(&self, armed: Armed) -> bool {
        self.step(armed, EXPIRED, DELIVERED)
            || self.control.load(Ordering::Acquire) == (armed.0 << STAGE_BITS | DELIVERED)
    }

    fn step(&self, armed: Armed, from: u64, to: u64) -> bool {
        let base = armed.0 << STAGE_BITS;
        self.control
            .compare_exchange(base | from, base | to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_ends_in_time_cannot_be_interrupted_later() {
        let slot = Slot::new(0);
        let first = slot.arm(10, 7);
        assert_eq!(slot.disarm(first), Disarmed::InTime);
        assert_eq!(slot.expire(first), None);
        let second = slot.arm(20, 8);
        assert_eq!(slot.expire(first), None);
        assert_eq!(slot.expire(second), Some(8));
        assert!(!slot.deliver(first));
        assert!(slot.deliver(second));
        assert!(
            slot.deliver(second),
            "may be sent again while the call is stuck"
        );
        assert_eq!(slot.disarm(second), Disarmed::Delivered);
        assert!(!slot.deliver(second));
    }
}
