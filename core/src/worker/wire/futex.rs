//! Waiting and waking across processes, and the kernel's promise to wake us when a thread dies.

#![allow(
    unsafe_code,
    reason = "set_robust_list: one of the named unsafe addresses"
)]

use rustix::io::Errno;
use rustix::thread::ClockId;
use rustix::thread::futex::{self, Flags, Timespec, WaitFlags, WaitvFlags};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

/// Somebody may be waiting.
pub(super) const WAITERS: u32 = futex::WAITERS;
/// The thread that owned the word has ended.
pub(super) const OWNER_DIED: u32 = futex::OWNER_DIED;

/// Sleeps while `word` is `seen`, until woken or `deadline`. False when the deadline passed.
pub(in crate::worker) fn wait(word: &AtomicU32, seen: u32, deadline: Option<Instant>) -> bool {
    let left = match deadline {
        None => None,
        Some(at) => match at.checked_duration_since(Instant::now()) {
            Some(left) => Timespec::try_from(left).ok(),
            None => return false,
        },
    };
    let done = futex::wait(word, Flags::empty(), seen, left.as_ref());
    !matches!(done, Err(Errno::TIMEDOUT))
}

/// The most words that one thread can wait for: the kernel's `FUTEX_WAITV_MAX`.
pub(crate) const MOST: usize = 128;

/// Whether [`wait_any`] works here: Linux 5.16, and no seccomp filter that forbids it.
pub(crate) fn can_wait_for_any() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let word = AtomicU32::new(1);
        let seen = [waiter(&word, 0)];
        // The word does not hold 0, so a kernel that knows the call says so at once.
        futex::waitv(&seen, WaitvFlags::empty(), None, ClockId::Monotonic) == Err(Errno::AGAIN)
    })
}

fn waiter(word: &AtomicU32, seen: u32) -> futex::Wait {
    let mut wait = futex::Wait::new();
    wait.val = seen.into();
    wait.uaddr = futex::WaitPtr::new(word.as_ptr().cast());
    wait.flags = WaitFlags::SIZE_U32;
    wait
}

/// Sleeps while every word is what was seen in it, until one is woken or `deadline`. Of more words
/// than [`MOST`] the rest is not waited for.
pub(crate) fn wait_any(words: &[(&AtomicU32, u32)], deadline: Option<Instant>) {
    let until = deadline.map(|at| {
        let left = at.saturating_duration_since(Instant::now());
        let now = rustix::time::clock_gettime(ClockId::Monotonic);
        Timespec::try_from(left).map_or(now, |left| now + left)
    });
    let words: Vec<_> = words
        .iter()
        .take(MOST)
        .map(|(word, seen)| waiter(word, *seen))
        .collect();
    let _ = futex::waitv(
        &words,
        WaitvFlags::empty(),
        until.as_ref(),
        ClockId::Monotonic,
    );
}

/// Wakes whoever sleeps on `word`.
pub(crate) fn wake(word: &AtomicU32) {
    // Fails only for addresses that are not mapped, which a reference is.
    let _ = futex::wake(word, Flags::empty(), i32::MAX as u32);
}

/// The kernel's `robust_list_head` and the one entry that ours has.
#[repr(C)]
struct Robust {
    list: *const Node,
    offset: isize,
    pending: *const Node,
    node: Node,
}

#[repr(C)]
struct Node {
    next: *const Node,
}

/// From now on, when the calling thread ends in whatever way, the kernel looks at `word`: if it
/// names this thread, it writes "owner died" into it and wakes one waiter.
///
/// This replaces the C library's list for this thread: robust mutexes that a plugin locks on it are
/// not marked when it dies. A robust pthread mutex in the mapping was rejected: its layout is the C
/// library's own.
pub(in crate::worker) fn entrust(word: &'static AtomicU32) -> std::io::Result<()> {
    let robust = Box::leak(Box::new(Robust {
        list: std::ptr::null(),
        offset: 0,
        pending: std::ptr::null(),
        node: Node {
            next: std::ptr::null(),
        },
    }));
    let node = &raw const robust.node;
    robust.list = node;
    robust.node.next = (&raw const *robust).cast();
    robust.offset = word.as_ptr() as isize - node as isize;
    // SAFETY: the list lives as long as the process, is circular as the kernel demands, and its one
    // entry leads to a word that stays mapped.
    let done = unsafe {
        libc::syscall(
            libc::SYS_set_robust_list,
            &raw const *robust,
            offset_of_node(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// The size of the kernel's `struct robust_list_head`.
const fn offset_of_node() -> usize {
    std::mem::offset_of!(Robust, node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    #[test]
    fn a_threads_end_is_written_into_its_word() {
        let word: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
        let thread = std::thread::spawn(move || {
            entrust(word).unwrap();
            let tid = rustix::thread::gettid().as_raw_nonzero().get() as u32;
            word.store(WAITERS | tid, Ordering::SeqCst);
            wake(word);
            std::thread::sleep(Duration::from_millis(20));
        });
        let soon = Some(Instant::now() + Duration::from_secs(60));
        while word.load(Ordering::SeqCst) != WAITERS | OWNER_DIED {
            assert!(
                wait(word, word.load(Ordering::SeqCst), soon),
                "nobody woke us"
            );
        }
        thread.join().unwrap();
    }

    #[test]
    fn any_of_several_words_ends_the_wait() {
        assert!(
            can_wait_for_any(),
            "this kernel has no futex_waitv: awaited calls hold threads"
        );
        let words = [AtomicU32::new(1), AtomicU32::new(2)];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                words[1].store(3, Ordering::SeqCst);
                wake(&words[1]);
            });
            while words[1].load(Ordering::SeqCst) == 2 {
                wait_any(&[(&words[0], 1), (&words[1], 2)], None);
            }
        });
        let since = Instant::now();
        let soon = Some(since + Duration::from_millis(5));
        wait_any(&[(&words[0], 1)], soon);
        assert!(since.elapsed() >= Duration::from_millis(5));
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let word = AtomicU32::new(7);
        assert!(!wait(
            &word,
            7,
            Some(Instant::now() + Duration::from_millis(5))
        ));
        assert!(wait(&word, 8, None), "a changed word does not sleep");
    }
}
