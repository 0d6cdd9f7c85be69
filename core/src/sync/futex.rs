//! The two system calls: sleep while a word has a value, wake who sleeps on it.

#![allow(
    unsafe_code,
    reason = "the futex system call: one of the named unsafe addresses"
)]

use std::sync::atomic::AtomicU32;
use std::time::Instant;

/// Sleeps while `word` is `expected`, at most until `until`. False when the time was up; true says
/// nothing: look again.
pub(super) fn wait(word: &AtomicU32, expected: u32, until: Option<Instant>) -> bool {
    let left = until.map(|at| at.saturating_duration_since(Instant::now()));
    if left.is_some_and(|d| d.is_zero()) {
        return false;
    }
    let timeout = left.map(|d| libc::timespec {
        tv_sec: libc::time_t::try_from(d.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: d.subsec_nanos().into(),
    });
    let pointer = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word and the time outlive the call, which reads them and writes neither.
    unsafe {
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation, expected, pointer);
    }
    until.is_none_or(|at| Instant::now() < at)
}

/// Wakes up to `count` sleepers of `word`.
pub(super) fn wake(word: &AtomicU32, count: i32) {
    // SAFETY: the word outlives the call; its address is only compared.
    unsafe {
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        libc::syscall(libc::SYS_futex, word.as_ptr(), operation, count);
    }
}
