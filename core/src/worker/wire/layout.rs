//! Where what lies in the mapping.
//!
//! `[Header, one page][Lane x lanes][checkpoint x 2][request slot x lanes][frames][reply slot x lanes]`;
//! every part begins on a page. A *lane* carries one call at a time and belongs to one thread of the worker.

use super::futex::{OWNER_DIED, WAITERS};
use crate::call::CHECKPOINT_LIMIT;
use crate::error::{Code, Error, Result};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Version of everything in this folder; host and worker must agree exactly.
pub(in crate::worker) const PROTOCOL: u32 = 5;
/// First bytes of the mapping.
pub(in crate::worker) const MAGIC: u64 = u64::from_le_bytes(*b"PLUGWARD");
/// The most calls that one worker runs at once.
pub(in crate::worker) const MAX_LANES: u32 = crate::registry::MOST_IN_WORKER;
/// Bytes of a slot that stay in memory between calls; the rest is given back after a large one.
pub(in crate::worker) const KEEP: u64 = 16 << 20;
pub(in crate::worker) const PAGE: u64 = 4096;
/// The most frames, arrays of calls and leases, that are in use at once in one worker.
pub(in crate::worker) const MAX_FRAMES: usize = 256;

/// Nothing to do.
pub(in crate::worker) const IDLE: u32 = 0;
/// The answer is in the reply slot.
pub(in crate::worker) const ANSWERED: u32 = WAITERS;
/// The worker reports progress and goes on.
pub(in crate::worker) const NOTE: u32 = WAITERS | 1;
/// The lane's thread has ended; also what the kernel writes when it ends within a call.
pub(in crate::worker) const DIED: u32 = WAITERS | OWNER_DIED;

/// A call is with the thread `tid`. It is also a robust futex's "owned by `tid`, with waiters": if
/// that thread ends, the kernel itself writes [`DIED`] and wakes the host.
pub(in crate::worker) const fn busy(tid: u32) -> u32 {
    WAITERS | tid
}

/// How far the handshake has come; 0 while the worker has not spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in crate::worker) enum Phase {
    /// It speaks this version and waits for work.
    Ready = 1,
    /// It speaks another version.
    Foreign = 2,
}

/// What a lane's thread is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in crate::worker) enum Op {
    /// Load the plugin.
    Load = 1,
    /// Call a tool.
    Call = 2,
    /// End the process in good order.
    Stop = 3,
    /// Take up a checkpoint, after the plugin was loaded.
    Restore = 4,
}

impl Op {
    pub(in crate::worker) fn from_number(n: u32) -> Option<Self> {
        [Op::Load, Op::Call, Op::Stop, Op::Restore]
            .into_iter()
            .find(|op| *op as u32 == n)
    }
}

/// What the worker's signal handler saw before it died.
#[repr(C)]
pub(in crate::worker) struct Crash {
    pub(in crate::worker) signal: AtomicU32,
    pub(in crate::worker) thread: AtomicU32,
    pub(in crate::worker) address: AtomicU64,
    /// Pages of private writable memory, as `/proc/self/statm` counts them.
    pub(in crate::worker) data_pages: AtomicU64,
}

/// The first page.
#[repr(C)]
pub(in crate::worker) struct Header {
    pub(super) magic: AtomicU64,
    pub(super) host_version: AtomicU32,
    pub(in crate::worker) worker_version: AtomicU32,
    pub(in crate::worker) phase: AtomicU32,
    pub(super) lanes: AtomicU32,
    pub(in crate::worker) host_pid: AtomicU32,
    /// Counts up with each call that is cancelled: a futex that the worker sleeps on.
    pub(in crate::worker) cancels: AtomicU32,
    pub(super) request_slot: AtomicU64,
    pub(super) reply_slot: AtomicU64,
    /// Which checkpoint counts, and how long it is; see `checkpoint.rs`.
    pub(super) checkpoint: AtomicU64,
    pub(in crate::worker) crash: Crash,
    /// How many views of each frame the worker has: a frame that is looked at is not reused.
    pub(in crate::worker) pins: [AtomicU32; MAX_FRAMES],
}

/// One call's words. Every value that the worker writes is checked by the host before use.
#[repr(C, align(128))]
pub(in crate::worker) struct Lane {
    /// State and futex.
    pub(in crate::worker) word: AtomicU32,
    /// The worker's thread.
    pub(in crate::worker) tid: AtomicU32,
    pub(in crate::worker) op: AtomicU32,
    /// 1 once the plugin was entered.
    pub(in crate::worker) entered: AtomicU32,
    /// 1 when the caller has given up.
    pub(in crate::worker) cancel: AtomicU32,
    /// How often this call has reported progress.
    pub(in crate::worker) reports: AtomicU32,
    pub(in crate::worker) progress_n: AtomicU64,
    pub(in crate::worker) progress_of: AtomicU64,
    pub(in crate::worker) request_len: AtomicU64,
    /// Where the reply goes: the host chooses, so a slot that somebody still reads is not reused.
    pub(in crate::worker) reply_at: AtomicU64,
    pub(in crate::worker) reply_cap: AtomicU64,
    pub(in crate::worker) reply_len: AtomicU64,
}

const _: () = assert!(size_of::<Header>() as u64 <= PAGE && size_of::<Lane>() == 128);

/// The sizes of one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) struct Shape {
    pub(in crate::worker) lanes: u32,
    pub(in crate::worker) request_slot: u64,
    pub(in crate::worker) reply_slot: u64,
}

impl Shape {
    /// Slots that hold the given payloads and their descriptions.
    pub(in crate::worker) fn new(lanes: u32, request_bytes: u64, reply_bytes: u64) -> Self {
        let slot = |bytes: u64| (bytes + HEADROOM).next_multiple_of(PAGE);
        Self {
            lanes: lanes.clamp(1, MAX_LANES),
            request_slot: slot(request_bytes),
            reply_slot: slot(reply_bytes),
        }
    }

    pub(super) fn lane_at(&self, lane: u32) -> u64 {
        PAGE + u64::from(lane) * size_of::<Lane>() as u64
    }

    /// Where one of the two checkpoints lies.
    pub(super) fn checkpoint_at(&self, place: u32) -> u64 {
        self.lane_at(self.lanes).next_multiple_of(PAGE) + u64::from(place) * CHECKPOINT_LIMIT as u64
    }

    /// Where the request slots begin.
    pub(super) fn requests(&self) -> u64 {
        self.checkpoint_at(2)
    }

    /// Where the frames begin: memory for the arrays of calls, handed out by the host.
    pub(in crate::worker) fn frames(&self) -> u64 {
        self.requests() + u64::from(self.lanes) * self.request_slot
    }

    /// Bytes of all frames together: as much as all lanes may ask for at once, and once more for
    /// leases and for what a plugin keeps.
    pub(in crate::worker) fn frames_len(&self) -> u64 {
        (u64::from(self.lanes) + 1) * self.request_slot
    }

    /// Where the reply slots begin.
    pub(super) fn replies(&self) -> u64 {
        self.frames() + self.frames_len()
    }

    pub(in crate::worker) fn request_at(&self, lane: u32) -> u64 {
        self.requests() + u64::from(lane) * self.request_slot
    }

    pub(in crate::worker) fn reply_at(&self, lane: u32) -> u64 {
        self.replies() + u64::from(lane) * self.reply_slot
    }

    pub(super) fn total(&self) -> u64 {
        self.replies() + u64::from(self.lanes) * self.reply_slot
    }

    /// Refuses sizes that no host of this version writes.
    pub(super) fn checked(self, mapped: u64) -> Result<Self> {
        let aligned =
            self.request_slot.is_multiple_of(PAGE) && self.reply_slot.is_multiple_of(PAGE);
        let bounded = self.request_slot.max(self.reply_slot) <= 1 << 40;
        let fits = (1..=MAX_LANES).contains(&self.lanes) && aligned && bounded;
        if !fits || self.total() != mapped {
            return Err(Error::new(Code::WorkerProtocol).with_message(format!(
                "the shared memory has an impossible shape: {self:?}"
            )));
        }
        Ok(self)
    }
}

/// Room for heads and padding beside a payload.
const HEADROOM: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_one_another_and_end_with_the_mapping() {
        let shape = Shape::new(3, 5000, 9000);
        assert_eq!(shape.request_at(0), shape.requests());
        assert_eq!(shape.request_at(3), shape.frames());
        assert_eq!(shape.frames() + shape.frames_len(), shape.reply_at(0));
        assert_eq!(shape.reply_at(3), shape.total());
        assert!(shape.request_at(1).is_multiple_of(PAGE));
        assert_eq!(shape.checked(shape.total()).unwrap(), shape);
        assert!(shape.checked(shape.total() + 1).is_err());
        assert!(Shape { lanes: 0, ..shape }.checked(shape.total()).is_err());
    }

    #[test]
    fn the_words_of_a_lane_cannot_be_mistaken_for_a_thread() {
        let words = [IDLE, ANSWERED, NOTE, DIED];
        assert!(
            words
                .iter()
                .all(|w| *w != busy(2) && *w != busy(0x3fff_ffff))
        );
    }
}
