//! Deadline slots of calls under way. JavaScript has many calls on one thread, so a slot belongs to
//! a call, not to a thread; slots are reused, because arming one is two stores.

use parking_lot::{Mutex, RwLock};
use plugward_core::Runtime;
use plugward_core::deadline::{Armed, Disarmed, Expired, Slot};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

struct Seat {
    slot: Arc<Slot>,
    call_id: AtomicU64,
}

/// All seats of one runtime.
#[derive(Default)]
pub(crate) struct Seats {
    all: RwLock<Vec<Arc<Seat>>>,
    free: Mutex<Vec<Arc<Seat>>>,
}

/// One call's armed deadline.
pub(crate) struct Sitting {
    seat: Arc<Seat>,
    armed: Armed,
    seats: Arc<Seats>,
}

impl Seats {
    /// Arms the deadline of `call_id`.
    pub(crate) fn sit(
        self: &Arc<Self>,
        rt: &Runtime,
        due: Instant,
        subject: u64,
        call_id: u64,
    ) -> Sitting {
        let seat = self.free.lock().pop().unwrap_or_else(|| self.another(rt));
        seat.call_id.store(call_id, Ordering::Release);
        let armed = rt.watchdog().arm(&seat.slot, due, subject);
        Sitting {
            seat,
            armed,
            seats: Arc::clone(self),
        }
    }

    fn another(&self, rt: &Runtime) -> Arc<Seat> {
        let mut all = self.all.write();
        let slot = rt.watchdog().slot(all.len() as u64);
        let seat = Arc::new(Seat {
            slot,
            call_id: AtomicU64::new(0),
        });
        all.push(Arc::clone(&seat));
        seat
    }

    /// The call whose deadline has passed, if it is still under way.
    pub(crate) fn overdue(&self, expired: &Expired) -> Option<u64> {
        let seat = self
            .all
            .read()
            .get(expired.slot.thread() as usize)
            .cloned()?;
        let call_id = seat.call_id.load(Ordering::Acquire);
        expired.slot.deliver(expired.armed).then_some(call_id)
    }
}

impl Sitting {
    /// Ends the sitting; true when the deadline had not passed.
    pub(crate) fn leave(self) -> bool {
        let in_time = self.seat.slot.disarm(self.armed) == Disarmed::InTime;
        self.seats.free.lock().push(self.seat);
        in_time
    }
}
