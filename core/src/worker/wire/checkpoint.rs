//! The last checkpoint, in memory that host and worker share.
//!
//! Two places take turns: the worker writes the one that does not count yet and then, in one store,
//! says which counts and how long it is. However it dies, the host finds one that is whole. A
//! message to the host was rejected: it would have to be waited for, and would be lost with a
//! worker that is killed.

use super::Segment;
use crate::call::CHECKPOINT_LIMIT;
use std::sync::atomic::{Ordering, fence};

/// How often the host looks again where the worker overwrites what is being read.
const TRIES: usize = 100;

/// `number << 32 | length`; 0 while there is none. The number's last bit is the place.
fn unpacked(word: u64) -> (u32, usize) {
    ((word >> 32) as u32, word as u32 as usize)
}

impl Segment {
    /// The worker's side; one at a time. False where `state` is too large.
    pub(in crate::worker) fn save_checkpoint(&self, state: &[u8]) -> bool {
        let word = &self.header().checkpoint;
        let (number, _) = unpacked(word.load(Ordering::Relaxed));
        // Never 0, and the other place each time: after the last number comes the third.
        let number = number.checked_add(1).unwrap_or(2);
        // Whoever sees the first byte of this one sees that the last one counts.
        fence(Ordering::Release);
        if state.len() > CHECKPOINT_LIMIT || !self.checkpoint(number & 1).put(0, state) {
            return false;
        }
        word.store(
            u64::from(number) << 32 | state.len() as u64,
            Ordering::Release,
        );
        true
    }

    /// The worker's side: what was saved so far does not count.
    pub(in crate::worker) fn forget_checkpoint(&self) {
        self.header().checkpoint.store(0, Ordering::Release);
    }

    /// The host's side. Whatever the worker wrote into the word, nothing but its own place is read.
    pub(in crate::worker) fn last_checkpoint(&self) -> Option<Vec<u8>> {
        let word = &self.header().checkpoint;
        for _ in 0..TRIES {
            let seen = word.load(Ordering::Acquire);
            if seen == 0 {
                return None;
            }
            let (number, len) = unpacked(seen);
            let state = self.checkpoint(number & 1).take(0, len)?;
            fence(Ordering::Acquire);
            // One further checkpoint went to the other place; with two, this one was overwritten.
            if word.load(Ordering::Relaxed) == seen {
                return Some(state);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Shape;
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn segment() -> Segment {
        Segment::create(Shape::new(1, 4096, 4096)).unwrap()
    }

    #[test]
    fn the_last_one_that_was_saved_whole_is_found() {
        let segment = segment();
        assert_eq!(segment.last_checkpoint(), None);
        assert!(segment.save_checkpoint(b""));
        assert_eq!(segment.last_checkpoint(), Some(Vec::new()));
        assert!(segment.save_checkpoint(b"first"));
        assert!(segment.save_checkpoint(b"second"));
        assert!(!segment.save_checkpoint(&vec![0; CHECKPOINT_LIMIT + 1]));
        assert_eq!(segment.last_checkpoint(), Some(b"second".to_vec()));
        let number = unpacked(segment.header().checkpoint.load(Ordering::Relaxed)).0;
        // Killed in the middle of the next one: the other place is half written.
        segment.checkpoint((number + 1) & 1).put(0, b"thi");
        assert_eq!(segment.last_checkpoint(), Some(b"second".to_vec()));
    }

    #[test]
    fn a_worker_that_lies_reaches_nothing_else() {
        let segment = segment();
        segment
            .header()
            .checkpoint
            .store(1 << 32 | u64::from(u32::MAX), Ordering::Relaxed);
        assert_eq!(segment.last_checkpoint(), None);
        segment
            .header()
            .checkpoint
            .store(u64::MAX - 0xffff_ffff, Ordering::Relaxed);
        assert!(segment.save_checkpoint(b"x"), "the number begins anew");
        assert_eq!(segment.last_checkpoint(), Some(b"x".to_vec()));
    }

    #[test]
    fn what_is_read_while_it_is_saved_is_never_a_mix() {
        let segment = segment();
        let done = AtomicBool::new(false);
        let page = |n: u8| vec![n; 64 << 10];
        assert!(segment.save_checkpoint(&page(0)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..2000_u32 {
                    assert!(segment.save_checkpoint(&page(n as u8)));
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                if let Some(state) = segment.last_checkpoint() {
                    assert!(state.iter().all(|b| *b == state[0]), "a mix");
                }
            }
        });
        assert!(segment.last_checkpoint().is_some());
    }
}
