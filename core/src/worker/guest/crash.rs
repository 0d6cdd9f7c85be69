//! A last note before a fatal signal ends the process.

#![allow(
    unsafe_code,
    reason = "signal handlers: one of the named unsafe addresses"
)]

use crate::worker::wire::Crash;
use std::sync::atomic::{AtomicPtr, Ordering};

static NOTE: AtomicPtr<Crash> = AtomicPtr::new(std::ptr::null_mut());

/// What handled each of [`FATAL`] before (Python's faulthandler); it goes on after the note.
static BEFORE: [AtomicPtr<libc::sigaction>; 5] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; 5];

const FATAL: [i32; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
];

/// From now on a fatal signal leaves its number, address and the memory in use in `note`.
///
/// A plugin that installs its own handlers replaces these; only the note is lost then.
pub(super) fn watch(note: &'static Crash) {
    NOTE.store(std::ptr::from_ref(note).cast_mut(), Ordering::Release);
    for (signal, place) in FATAL.into_iter().zip(&BEFORE) {
        // SAFETY: a zeroed sigaction is a valid one; the handler does only what a signal handler
        // may do.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags =
                libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND | libc::SA_NODEFER;
            let before = Box::into_raw(Box::new(std::mem::zeroed::<libc::sigaction>()));
            libc::sigaction(signal, &raw const action, before);
            place.store(before, Ordering::Release);
        }
    }
}

extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: `watch` stored a reference that lives as long as the process; the kernel passes a
    // valid siginfo. open, read, close, gettid and raise may be called in a handler.
    unsafe {
        if let Some(note) = NOTE.load(Ordering::Acquire).as_ref() {
            let first = note.signal.compare_exchange(
                0,
                signal as u32,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if first.is_ok() {
                let address = info.as_ref().map_or(0, |i| i.si_addr() as u64);
                note.address.store(address, Ordering::Relaxed);
                note.thread.store(libc::gettid() as u32, Ordering::Relaxed);
                note.data_pages.store(data_pages(), Ordering::Relaxed);
            }
        }
        for (fatal, place) in FATAL.into_iter().zip(&BEFORE) {
            let before = place.load(Ordering::Acquire);
            if fatal == signal && !before.is_null() {
                libc::sigaction(signal, before, std::ptr::null_mut());
                libc::raise(signal);
            }
        }
        // Whoever was before us has returned: now the signal does what it always does.
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// The sixth number of `/proc/self/statm`, without allocating; 0 where it cannot be read.
///
/// # Safety
/// None; it is unsafe only for its system calls.
unsafe fn data_pages() -> u64 {
    let mut text = [0_u8; 128];
    // SAFETY: the path is terminated, the buffer is ours.
    let read = unsafe {
        let fd = libc::open(
            c"/proc/self/statm".as_ptr(),
            libc::O_RDONLY | libc::O_CLOEXEC,
        );
        if fd < 0 {
            return 0;
        }
        let read = libc::read(fd, text.as_mut_ptr().cast(), text.len());
        libc::close(fd);
        read
    };
    let len = usize::try_from(read).unwrap_or(0);
    let numbers = text[..len]
        .split(|b| !b.is_ascii_digit())
        .filter(|n| !n.is_empty());
    let number = |digits: &[u8]| {
        digits.iter().fold(0_u64, |n, d| {
            n.wrapping_mul(10).wrapping_add(u64::from(d - b'0'))
        })
    };
    numbers.map(number).nth(5).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_memory_in_use_is_read_without_allocating() {
        // SAFETY: it has no conditions.
        assert!(unsafe { super::data_pages() } > 10);
    }
}
