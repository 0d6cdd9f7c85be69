//! Locks whose whole state lies in the lock.
//!
//! parking_lot keeps the waiters of all its locks in one table of the process. A thread that holds a
//! bucket of that table while another thread forks leaves it locked for ever in the child, and a
//! runtime that the child makes for itself stands still at its first wait. These locks wait on a
//! futex of their own, so what was made after a fork shares nothing with what was there before it.
//! The guards and the timed locks are parking_lot's (`lock_api`). Rejected: `std::sync::Mutex`, which
//! cannot give up after a time, and whose slow path ThreadSanitizer cannot see.

#[cfg(target_os = "linux")]
mod condvar;
#[cfg(target_os = "linux")]
mod futex;
#[cfg(target_os = "linux")]
mod raw;

#[cfg(target_os = "linux")]
pub use condvar::{Condvar, TimedOut};
#[cfg(not(target_os = "linux"))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, WaitTimeoutResult as TimedOut};

/// A mutex; see the module's text.
#[cfg(target_os = "linux")]
pub type Mutex<T> = parking_lot::lock_api::Mutex<raw::RawLock, T>;
/// What [`Mutex::lock`] gives.
#[cfg(target_os = "linux")]
pub type MutexGuard<'a, T> = parking_lot::lock_api::MutexGuard<'a, raw::RawLock, T>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    #[test]
    fn nothing_is_counted_twice_or_lost() {
        let (threads, rounds) = (8, 2_000);
        let shared = Arc::new((Mutex::new(0_u32), Condvar::new()));
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    for _ in 0..rounds {
                        *shared.0.lock() += 1;
                        shared.1.notify_one();
                    }
                })
            })
            .collect();
        let until = Instant::now() + Duration::from_secs(60);
        let mut sum = shared.0.lock();
        while *sum < threads * rounds {
            assert!(!shared.1.wait_until(&mut sum, until).timed_out());
        }
        drop(sum);
        workers.into_iter().for_each(|w| w.join().unwrap());
        assert_eq!(*shared.0.lock(), threads * rounds);
    }

    #[test]
    fn a_timed_lock_gives_up_and_a_timed_wait_ends() {
        let lock = Arc::new(Mutex::new(()));
        let guard = lock.lock();
        let other = Arc::clone(&lock);
        let since = Instant::now();
        let tried = std::thread::spawn(move || {
            let wait = Duration::from_millis(20);
            (
                other.try_lock().is_none(),
                other.try_lock_for(wait).is_none(),
            )
        });
        assert_eq!(tried.join().unwrap(), (true, true));
        assert!(since.elapsed() >= Duration::from_millis(20));
        drop(guard);
        let mut guard = lock.try_lock_for(Duration::from_secs(60)).unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(Condvar::new().wait_until(&mut guard, soon).timed_out());
    }
}
