//! The bounded queue, the ring, and the thread that feeds the sink.

use super::{Level, Record};
use crate::sync::Mutex;
use crossbeam_queue::ArrayQueue;
use serde::Serialize;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// Where a host wants its log records. Called on the log thread only.
pub trait LogSink: Send + Sync {
    /// Takes one record. A panic or an error is counted, nothing else.
    ///
    /// # Errors
    /// Why the record could not be written.
    fn write(&self, record: &Record) -> Result<(), String>;
}

/// How the log path fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogFigures {
    /// Records written so far.
    pub written: u64,
    /// Records that did not fit into the queue.
    pub dropped: u64,
    /// Records that the sink refused, or panicked on.
    pub sink_errors: u64,
    /// Records that wait for the sink.
    pub queued: u64,
}

const RING: usize = 256;
const NAP: Duration = Duration::from_millis(2);

struct Shared {
    queue: ArrayQueue<Record>,
    ring: Mutex<VecDeque<Record>>,
    sink: Mutex<Option<Arc<dyn LogSink>>>,
    thread: OnceLock<Option<Thread>>,
    written: AtomicU64,
    dropped: AtomicU64,
    sink_errors: AtomicU64,
    busy: AtomicBool,
    closed: AtomicBool,
    /// The sink is called by whoever writes.
    immediate: bool,
}

/// One runtime's log path; cheap to clone.
#[derive(Clone)]
pub struct LogHub(Arc<Shared>);

impl LogHub {
    /// A hub whose queue holds `capacity` records. Its thread starts with the first record.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::with(capacity, None, false)
    }

    /// A hub without a queue and a thread: `sink`, which must not block, has a record before
    /// [`LogHub::write`] returns. For processes that may end at any moment.
    #[must_use]
    pub fn immediate(sink: Arc<dyn LogSink>) -> Self {
        Self::with(1, Some(sink), true)
    }

    fn with(capacity: usize, sink: Option<Arc<dyn LogSink>>, immediate: bool) -> Self {
        Self(Arc::new(Shared {
            queue: ArrayQueue::new(capacity.max(1)),
            ring: Mutex::new(VecDeque::with_capacity(RING)),
            sink: Mutex::new(sink),
            thread: OnceLock::new(),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            sink_errors: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            immediate,
        }))
    }

    /// Sends records to `sink` from now on.
    pub fn set_sink(&self, sink: Option<Arc<dyn LogSink>>) {
        // The log thread holds the lock only while it clones the Arc, never while the sink runs; and
        // the old sink ends outside of it, since its end is the host's code.
        let old = std::mem::replace(&mut *self.0.sink.lock(), sink);
        drop(old);
    }

    /// Writes one record; never blocks and never fails.
    pub fn write(&self, record: Record) {
        let shared = &self.0;
        shared.written.fetch_add(1, Ordering::Relaxed);
        if let Some(mut ring) = shared.ring.try_lock_for(NAP) {
            if ring.len() == RING {
                ring.pop_front();
            }
            ring.push_back(Record {
                detail: None,
                ..record.clone()
            });
        }
        if shared.immediate {
            shared.emit(&record);
            return;
        }
        if shared.queue.push(record).is_err() {
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.wake();
    }

    /// The latest records, oldest first.
    #[must_use]
    pub fn recent(&self) -> Vec<Record> {
        self.0
            .ring
            .try_lock_for(NAP)
            .map(|r| r.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// How the log path fares.
    #[must_use]
    pub fn figures(&self) -> LogFigures {
        let shared = &self.0;
        LogFigures {
            written: shared.written.load(Ordering::Relaxed),
            dropped: shared.dropped.load(Ordering::Relaxed),
            sink_errors: shared.sink_errors.load(Ordering::Relaxed),
            queued: shared.queue.len() as u64,
        }
    }

    /// Waits until the queue is empty and the sink idle, at most `patience`. True when it is.
    #[must_use]
    pub fn flush(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            if self.0.queue.is_empty() && !self.0.busy.load(Ordering::Acquire) {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            self.wake();
            std::thread::sleep(NAP);
        }
    }

    /// Lets the thread end once the queue is empty.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        if let Some(Some(thread)) = self.0.thread.get() {
            thread.unpark();
        }
    }

    fn wake(&self) {
        let thread = self.0.thread.get_or_init(|| {
            let body = Arc::clone(&self.0);
            let spawned = std::thread::Builder::new()
                .name("plugward-log".into())
                .spawn(move || body.run())
                .ok()?;
            Some(spawned.thread().clone())
        });
        if let Some(thread) = thread {
            thread.unpark();
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            self.busy.store(true, Ordering::Release);
            while let Some(record) = self.queue.pop() {
                self.emit(&record);
            }
            self.busy.store(false, Ordering::Release);
            if self.closed.load(Ordering::Acquire) && self.queue.is_empty() {
                return;
            }
            if self.queue.is_empty() {
                std::thread::park();
                self.nap();
            }
        }
    }

    /// Whoever wrote has an answer to give first, and often more to write: a sink may hold the
    /// interpreter's lock that its caller waits for.
    fn nap(&self) {
        if !self.closed.load(Ordering::Acquire) {
            std::thread::sleep(NAP);
        }
    }

    fn emit(&self, record: &Record) {
        let sink = self.sink.lock().clone();
        let done = catch_unwind(AssertUnwindSafe(|| {
            trace(record);
            sink.map_or(Ok(()), |s| s.write(record))
        }));
        if !matches!(done, Ok(Ok(()))) {
            self.sink_errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn trace(record: &Record) {
    let plugin = record.plugin.as_deref().unwrap_or("");
    let code = record.code.map_or("", |c| c.as_str());
    let message = record.message.as_str();
    match record.level {
        Level::Debug => tracing::debug!(target: "plugward", plugin, code, "{message}"),
        Level::Info => tracing::info!(target: "plugward", plugin, code, "{message}"),
        Level::Warn => tracing::warn!(target: "plugward", plugin, code, "{message}"),
        Level::Error => tracing::error!(target: "plugward", plugin, code, "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Bad;
    impl LogSink for Bad {
        fn write(&self, record: &Record) -> Result<(), String> {
            if record.message == "panic" {
                panic!("on purpose")
            } else {
                Err("disk full".into())
            }
        }
    }

    struct Blocks(Mutex<mpsc::Receiver<()>>);
    impl LogSink for Blocks {
        fn write(&self, _: &Record) -> Result<(), String> {
            let _ = self.0.lock().recv();
            Ok(())
        }
    }

    fn line(text: &str) -> Record {
        Record::new(Level::Info, None, text.into())
    }

    #[test]
    fn a_sink_that_fails_is_counted() {
        let hub = LogHub::new(8);
        hub.set_sink(Some(Arc::new(Bad)));
        hub.write(line("panic"));
        hub.write(line("x"));
        assert!(hub.flush(Duration::from_secs(60)));
        assert_eq!(hub.figures().sink_errors, 2);
        assert_eq!(hub.recent().len(), 2);
    }

    #[test]
    fn a_sink_that_blocks_costs_records_not_time() {
        let (release, gate) = mpsc::channel();
        let hub = LogHub::new(4);
        hub.set_sink(Some(Arc::new(Blocks(Mutex::new(gate)))));
        // Whoever waited for the sink would wait for ever, and drop nothing.
        for n in 0..100 {
            hub.write(line(&n.to_string()));
        }
        assert!(hub.figures().dropped >= 90);
        assert!(!hub.flush(Duration::from_millis(10)));
        drop(release);
        assert!(hub.flush(Duration::from_secs(60)));
        hub.close();
    }
}
