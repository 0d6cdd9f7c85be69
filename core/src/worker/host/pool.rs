//! The frames of one worker: shared memory for arrays, handed out by the host.
//!
//! A frame belongs to a call or to a lease and goes back when both are done with it, but never while
//! the worker still looks at it: the plugin may have kept an array beyond its call. Such frames wait;
//! the pool is bounded, and once they fill it, calls are refused by name. Low addresses are used
//! first, so that their pages stay warm; what lies beyond is given back to the system. Rejected:
//! invalidating the plugin's view, which Python's buffers do not allow; copying in the worker, which
//! every call would pay for.

use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use crate::worker::wire::{KEEP, MAX_FRAMES, PAGE, Region, Segment, too_large};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The frames of one worker.
pub(super) struct Pool {
    pub(super) segment: Arc<Segment>,
    state: Mutex<State>,
    /// The worker has ended: what lies here reaches nobody any more.
    over: AtomicBool,
}

struct State {
    /// Where there is room: offset and length.
    free: BTreeMap<u64, u64>,
    numbers: Vec<u32>,
    /// Done with here, still looked at there.
    kept: Vec<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    number: u32,
    at: u64,
    len: u64,
}

/// One frame; dropping it gives it back.
pub(super) struct Frame {
    pool: Arc<Pool>,
    span: Span,
}

impl Pool {
    pub(super) fn new(segment: Arc<Segment>) -> Arc<Self> {
        let shape = segment.shape();
        Arc::new(Self {
            segment,
            state: Mutex::new(State {
                free: BTreeMap::from([(shape.frames(), shape.frames_len())]),
                numbers: (0..MAX_FRAMES as u32).rev().collect(),
                kept: Vec::new(),
            }),
            over: AtomicBool::new(false),
        })
    }

    /// A frame for `bytes`.
    ///
    /// # Errors
    /// [`Code::WorkerPayload`] for more than one call may bring, [`Code::WorkerKept`] when the pool
    /// is used up.
    pub(super) fn frame(self: &Arc<Self>, bytes: u64) -> Result<Frame> {
        let most = self.segment.shape().request_slot;
        if bytes > most {
            let (needed, most) = (bytes as usize, most as usize);
            let code = Code::WorkerPayload;
            return Err(too_large(code, "an argument list", needed, most));
        }
        let mut state = self.state.lock();
        self.sweep(&mut state);
        let len = bytes.max(1).next_multiple_of(PAGE);
        let found = state.take(len);
        let (in_use, kept) = (MAX_FRAMES - state.numbers.len(), state.kept.len());
        drop(state);
        found
            .map(|span| Frame {
                pool: Arc::clone(self),
                span,
            })
            .ok_or_else(|| {
                Error::new(Code::WorkerKept).with_message(format!(
                    "no room for {:.1} MiB of arrays: {in_use} frames are in use, {kept} of them because \
                     the plugin keeps arrays of earlier calls",
                    bytes as f64 / f64::from(1 << 20)
                ))
            })
    }

    /// Takes back what the plugin kept and has let go of.
    fn sweep(&self, state: &mut State) {
        let pins = &self.segment.header().pins;
        let mut at = 0;
        while let Some(span) = state.kept.get(at).copied() {
            if pins[span.number as usize].load(Ordering::Acquire) == 0 {
                state.kept.swap_remove(at);
                self.free(state, span);
            } else {
                at += 1;
            }
        }
    }

    fn free(&self, state: &mut State, span: Span) {
        let shape = self.segment.shape();
        let warm = shape.frames() + KEEP * (u64::from(shape.lanes) + 1);
        let keep = warm.saturating_sub(span.at);
        if keep < span.len {
            self.segment.region(span.at, span.len).trim(keep);
        }
        state.give(span);
    }

    fn take_back(&self, span: Span) {
        let pins = &self.segment.header().pins;
        let mut state = self.state.lock();
        match pins[span.number as usize].load(Ordering::Acquire) {
            0 => self.free(&mut state, span),
            _ => state.kept.push(span),
        }
    }

    /// The worker has ended.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

impl State {
    fn take(&mut self, len: u64) -> Option<Span> {
        let (at, room) = self.free.iter().find(|(_, room)| **room >= len)?;
        let (at, room) = (*at, *room);
        let number = self.numbers.pop()?;
        self.free.remove(&at);
        if room > len {
            self.free.insert(at + len, room - len);
        }
        Some(Span { number, at, len })
    }

    /// Joins it with the room on both sides.
    fn give(&mut self, span: Span) {
        let (mut at, mut len) = (span.at, span.len);
        if let Some(after) = self.free.remove(&(at + len)) {
            len += after;
        }
        let before = self.free.range(..at).next_back().map(|(a, l)| (*a, *l));
        if let Some((start, room)) = before.filter(|(start, room)| start + room == at) {
            self.free.remove(&start);
            (at, len) = (start, len + room);
        }
        self.free.insert(at, len);
        self.numbers.push(span.number);
    }
}

impl Frame {
    pub(super) fn number(&self) -> u32 {
        self.span.number
    }

    /// Where it begins in the mapping.
    pub(super) fn at(&self) -> u64 {
        self.span.at
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Its memory.
    pub(super) fn region(&self) -> Region<'_> {
        self.pool.segment.region(self.span.at, self.span.len)
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.pool.take_back(self.span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::wire::Shape;

    fn pool() -> Arc<Pool> {
        Pool::new(Arc::new(
            Segment::create(Shape::new(1, 1 << 20, 4096)).unwrap(),
        ))
    }

    fn room(pool: &Pool) -> (usize, Vec<u64>) {
        let state = pool.state.lock();
        (state.numbers.len(), state.free.values().copied().collect())
    }

    #[test]
    fn what_was_given_back_is_whole_again() {
        let pool = pool();
        let before = room(&pool);
        for round in 0..10_000_u64 {
            let mut frames: Vec<_> = (0..4).map(|n| pool.frame(1 + n * 5000).unwrap()).collect();
            assert!(frames[0].at() < frames[1].at(), "low addresses first");
            frames.swap_remove((round % 4) as usize);
            frames.reverse();
        }
        assert_eq!(room(&pool), before);
    }

    #[test]
    fn a_frame_that_the_worker_looks_at_is_not_reused() {
        let pool = pool();
        let frame = pool.frame(100).unwrap();
        let (number, at) = (frame.number() as usize, frame.at());
        pool.segment.header().pins[number].store(1, Ordering::Relaxed);
        drop(frame);
        assert_ne!(pool.frame(100).unwrap().at(), at);
        pool.segment.header().pins[number].store(0, Ordering::Relaxed);
        assert_eq!(pool.frame(100).unwrap().at(), at);
    }

    #[test]
    fn it_is_bounded_and_says_who_fills_it() {
        let pool = pool();
        let most = pool.segment.shape().request_slot;
        let large = pool.frame(most + 1).err().unwrap();
        assert_eq!(large.code(), Code::WorkerPayload);
        for _ in 0..2 {
            let frame = pool.frame(most).unwrap();
            pool.segment.header().pins[frame.number() as usize].store(1, Ordering::Relaxed);
        }
        let full = pool.frame(1).err().unwrap();
        assert_eq!(full.code(), Code::WorkerKept);
        assert!(full.message().contains("2 of them"), "{full}");
    }

    #[test]
    fn large_frames_leave_no_memory_behind() {
        let pool = Pool::new(Arc::new(
            Segment::create(Shape::new(1, 128 << 20, 4096)).unwrap(),
        ));
        let frame = pool.frame(100 << 20).unwrap();
        assert!(frame.region().put(99 << 20, &[1; 4096]));
        assert!(frame.region().put(0, &[1; 4096]));
        drop(frame);
        assert!(pool.segment.resident() < 1 << 20);
        assert_eq!(
            pool.frame(1).unwrap().region().take(0, 1),
            Some(vec![1]),
            "warm"
        );
    }
}
