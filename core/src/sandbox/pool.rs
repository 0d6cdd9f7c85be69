//! Threads that run a plugin's calls, one pool a generation.
//!
//! Threads are made on demand up to the plugin's concurrency and kept while the generation lives.
//! A thread whose caller walked away is *abandoned*: it no longer counts towards the limit, is
//! named in health, and ends when its plugin at last returns. Killing it was rejected: no platform
//! can end a thread without leaving its locks held.

use crate::error::{Code, Error, Result};
use crate::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// Work for a pool.
type Job = Box<dyn FnOnce() + Send>;

/// Lets a door prepare its threads (Python: keep one thread state for the thread's whole life).
pub trait ThreadHost: Send + Sync {
    /// Runs `body` on a new pool thread and returns when it returns.
    fn run(&self, body: &mut dyn FnMut());
}

struct Queue {
    jobs: VecDeque<Job>,
    threads: u32,
    idle: u32,
    closed: bool,
}

struct Shared {
    name: String,
    limit: u32,
    queue: Mutex<Queue>,
    work: Condvar,
    abandoned: Arc<AtomicI32>,
    host: Option<Arc<dyn ThreadHost>>,
}

/// A pool; dropping it lets its idle threads end.
pub struct Pool(Arc<Shared>);

impl Pool {
    /// A pool of at most `limit` threads; none is made yet.
    #[must_use]
    pub fn new(name: &str, limit: u32, host: Option<Arc<dyn ThreadHost>>) -> Self {
        // Linux shows 15 bytes of a thread's name.
        let name = format!("pw-{}", name.chars().take(12).collect::<String>());
        let queue = Queue {
            jobs: VecDeque::new(),
            threads: 0,
            idle: 0,
            closed: false,
        };
        Self(Arc::new(Shared {
            name,
            limit: limit.max(1),
            queue: Mutex::new(queue),
            work: Condvar::new(),
            abandoned: Arc::default(),
            host,
        }))
    }

    /// Queues `job`, with a new thread if all are busy and the limit allows.
    ///
    /// # Errors
    /// [`Code::RuntimeThread`] when no thread can be had, [`Code::CallCancelled`] when closed.
    pub fn submit(&self, job: Job) -> Result<()> {
        let shared = &self.0;
        let mut queue = shared.queue.lock();
        if queue.closed {
            return Err(Error::new(Code::CallCancelled).with_message("the plugin was stopped"));
        }
        queue.jobs.push_back(job);
        if (queue.idle as usize) >= queue.jobs.len() || queue.threads >= shared.limit {
            drop(queue);
            shared.work.notify_one();
            return Ok(());
        }
        queue.threads += 1;
        let body = Arc::clone(shared);
        let spawned = std::thread::Builder::new()
            .name(shared.name.clone())
            .spawn(move || body.thread_main());
        if let Err(e) = spawned {
            queue.threads -= 1;
            if queue.threads == 0 {
                queue.jobs.pop_back();
                return Err(Error::new(Code::RuntimeThread).with_cause(e.to_string()));
            }
        }
        Ok(())
    }

    /// One running thread is given up: another may take its place.
    pub fn abandon_one(&self) {
        self.0.abandoned.fetch_add(1, Ordering::Relaxed);
        let mut queue = self.0.queue.lock();
        queue.threads = queue.threads.saturating_sub(1);
    }

    /// An abandoned thread has come back; its own loop ends it. It may be back before its caller has
    /// said [`Pool::abandon_one`]: the count is then below zero for that moment.
    pub fn returned_one(&self) {
        self.0.abandoned.fetch_sub(1, Ordering::Relaxed);
        self.0.queue.lock().threads += 1;
    }

    /// How many abandoned threads are still stuck.
    #[must_use]
    pub fn abandoned(&self) -> u32 {
        stuck(&self.0.abandoned)
    }

    /// The counter behind [`Pool::abandoned`]; it outlives the pool, and holding it keeps no plugin
    /// alive.
    pub(crate) fn abandoned_counter(&self) -> &Arc<AtomicI32> {
        &self.0.abandoned
    }

    /// Threads that work or wait for work.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.0.queue.lock().threads
    }

    /// Takes no further jobs; queued ones are dropped, idle threads end.
    pub fn close(&self) {
        let dropped = {
            let mut queue = self.0.queue.lock();
            queue.closed = true;
            std::mem::take(&mut queue.jobs)
        };
        self.0.work.notify_all();
        drop(dropped);
    }
}

/// What a counter of [`Pool::abandoned_counter`] says.
pub(crate) fn stuck(counter: &AtomicI32) -> u32 {
    counter.load(Ordering::Relaxed).max(0).unsigned_abs()
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn thread_main(self: Arc<Self>) {
        match self.host.clone() {
            Some(host) => host.run(&mut || self.serve()),
            None => self.serve(),
        }
    }

    fn serve(&self) {
        while let Some(job) = self.take() {
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!(target: "plugward", thread = %self.name, "a pool job panicked");
            }
        }
    }

    fn take(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed || queue.threads > self.limit {
                queue.threads = queue.threads.saturating_sub(1);
                return None;
            }
            queue.idle += 1;
            self.work.wait(&mut queue);
            queue.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    /// It was once counted as stuck for ever.
    #[test]
    fn a_thread_that_is_back_before_it_is_given_up_is_not_stuck() {
        let pool = Pool::new("test", 1, None);
        pool.returned_one();
        assert_eq!(pool.abandoned(), 0);
        pool.abandon_one();
        assert_eq!(pool.abandoned(), 0);
    }

    #[test]
    fn a_stuck_thread_is_replaced_and_a_panic_ends_nothing() {
        let pool = Pool::new("test", 1, None);
        let (release, stuck) = mpsc::channel::<()>();
        let (tx, rx) = mpsc::channel();
        pool.submit(Box::new(move || {
            let _ = stuck.recv();
        }))
        .unwrap();
        pool.abandon_one();
        let sender = tx.clone();
        pool.submit(Box::new(|| panic!("on purpose"))).unwrap();
        pool.submit(Box::new(move || sender.send(1).unwrap()))
            .unwrap();
        assert_eq!(rx.recv_timeout(Duration::from_secs(60)), Ok(1));
        assert_eq!(pool.abandoned(), 1);
        release.send(()).unwrap();
        pool.close();
        assert!(pool.submit(Box::new(|| {})).is_err());
    }
}
