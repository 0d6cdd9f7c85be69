//! The host's side of a lane: what it knows of a call and does not read from memory that the plugin
//! can write to.

use super::lease::Held;
use super::pool::Frame;
use crate::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Memory that a call looks at.
#[allow(dead_code, reason = "held, not looked at")]
pub(super) enum Holding {
    Frame(Frame),
    Lease(Arc<Held>),
}

/// The host's side of one lane.
#[derive(Default)]
pub(super) struct Side {
    /// What the call must not lose before it ends.
    pub(super) held: Mutex<Vec<Holding>>,
    call_id: AtomicU64,
    tid: AtomicU32,
}

impl Side {
    /// The worker's thread, as it was before the first call.
    pub(super) fn tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed)
    }

    pub(super) fn set_tid(&self, tid: u32) {
        self.tid.store(tid, Ordering::Relaxed);
    }

    /// A call begins.
    pub(super) fn ask(&self, call_id: u64) {
        self.call_id.store(call_id, Ordering::Relaxed);
    }

    /// Whether an answer is to the call that runs: one that lies in the slot since an earlier call is
    /// never taken for it.
    pub(super) fn asked(&self, call_id: u64) -> bool {
        self.call_id.load(Ordering::Relaxed) == call_id
    }
}
