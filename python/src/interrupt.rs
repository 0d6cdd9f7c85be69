//! Stopping Python code on another thread: `DeadlineExceeded` or `CallCancelled` is raised in it.
//!
//! The core's timer thread must not block, so it only hands the call over; one thread a runtime
//! attaches to the interpreter and delivers. A call that hangs in native code gets the exception
//! when it returns to the interpreter; one that swallows it gets it again, with growing pauses.
//!
//! No exception may reach code that comes after the call. Delivery and the end of a call are
//! therefore ordered by the interpreter lock *and* by [`DELIVERY`] (for interpreters without such
//! a lock): whoever ends a call after a delivery takes a pending exception back.

#![allow(
    unsafe_code,
    reason = "PyThreadState_SetAsyncExc: one of the named unsafe addresses"
)]

use crate::ending;
use crate::names;
use plugward_core::deadline::Expired;
use plugward_core::runtime::Interrupter;
use plugward_core::sync::Mutex;
use pyo3::ffi;
use pyo3::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Held while an exception is sent or taken back; never while anything else is waited for.
static DELIVERY: Mutex<()> = Mutex::new(());

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// After a cancellation there is time to clean up before it is raised again.
const CANCELLED_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Python's name of the calling thread.
pub(crate) fn thread_ident() -> u64 {
    // SAFETY: no preconditions.
    unsafe { ffi::PyThread_get_thread_ident() as u64 }
}

/// Python's name of the thread that handles signals.
static MAIN: AtomicU64 = AtomicU64::new(0);

/// Remembers which thread handles signals.
pub(crate) fn note_main_thread(py: Python<'_>) -> PyResult<()> {
    let main = py
        .import("threading")?
        .call_method0("main_thread")?
        .getattr("ident")?;
    MAIN.store(main.extract().unwrap_or(0), Ordering::Relaxed);
    Ok(())
}

/// Whether signals are handled on the calling thread.
pub(crate) fn on_main_thread() -> bool {
    thread_ident() == MAIN.load(Ordering::Relaxed)
}

/// Why a call is stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its deadline has passed.
    Deadline,
    /// Its caller has left.
    Cancelled,
}

/// Raises (or, without a reason, takes back) in the thread `ident`. False when it is gone.
fn set_async(py: Python<'_>, ident: u64, why: Option<Why>) -> bool {
    let class = match why {
        None => None,
        Some(Why::Deadline) => Some(names::deadline_exceeded(py)),
        Some(Why::Cancelled) => Some(names::call_cancelled(py)),
    };
    let exception = match class {
        None => std::ptr::null_mut(),
        Some(Ok(class)) => class.as_ptr(),
        Some(Err(_)) => return false,
    };
    // SAFETY: attached; the class is a live exception type, or NULL takes back.
    unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, exception) > 0 }
}

/// Takes back an exception that was sent to the calling thread and has not been raised.
pub(crate) fn take_back(py: Python<'_>) {
    let _lock = DELIVERY.lock();
    set_async(py, thread_ident(), None);
}

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const INTERRUPTED: u8 = 2;
const ENDED: u8 = 3;

/// A call on another thread, as far as interrupting it goes.
#[derive(Default)]
pub(crate) struct Worker {
    ident: AtomicU64,
    stage: AtomicU8,
    /// Cancels its coroutine, where it has one; see `plugward._async.Stopper`.
    stopper: Mutex<Option<Py<PyAny>>>,
    told: AtomicBool,
}

impl Worker {
    /// The calling thread begins the call.
    pub(crate) fn begin(&self) {
        self.ident.store(thread_ident(), Ordering::Relaxed);
        self.stage.store(RUNNING, Ordering::Release);
    }

    /// The calling thread has ended the call; whether it was told to stop.
    pub(crate) fn end(&self, py: Python<'_>) -> bool {
        let stopper = self.stopper.lock().take();
        let lock = DELIVERY.lock();
        if self.stage.swap(ENDED, Ordering::AcqRel) == INTERRUPTED {
            set_async(py, thread_ident(), None);
        }
        drop(lock);
        drop(stopper);
        self.told.load(Ordering::Acquire)
    }

    /// What cancels the coroutine of this call.
    fn hold(&self, stopper: Py<PyAny>) {
        *self.stopper.lock() = Some(stopper);
    }

    /// Lets the event loop cancel the coroutine. False where there is none, or the loop does not
    /// get to it. Not under [`DELIVERY`]: this runs Python code.
    fn cancels_itself(&self, py: Python<'_>) -> bool {
        let stopper = self.stopper.lock().as_ref().map(|s| s.clone_ref(py));
        let Some(stopper) = stopper else { return false };
        self.told.store(true, Ordering::Release);
        // An error means that the loop is closed: the call is about to end.
        stopper
            .call0(py)
            .and_then(|heard| heard.is_truthy(py))
            .unwrap_or(true)
    }

    fn interrupt(&self, py: Python<'_>, why: Why) -> bool {
        if why == Why::Cancelled && self.cancels_itself(py) {
            return self.stage.load(Ordering::Acquire) != ENDED;
        }
        let _lock = DELIVERY.lock();
        match self.stage.load(Ordering::Acquire) {
            RUNNING | INTERRUPTED => {
                self.stage.store(INTERRUPTED, Ordering::Release);
                self.told.store(true, Ordering::Release);
                set_async(py, self.ident.load(Ordering::Relaxed), Some(why))
            }
            stage => stage == WAITING,
        }
    }
}

/// Takes the stopper of a coroutine, once it has begun.
#[pyclass(frozen, module = "plugward._native")]
pub(crate) struct Hold(pub(crate) Arc<Worker>);

#[pymethods]
impl Hold {
    fn __call__(&self, stopper: Py<PyAny>) {
        self.0.hold(stopper);
    }
}

enum Subject {
    Slot(Expired),
    Worker(Arc<Worker>, Why),
}

struct Pending {
    subject: Subject,
    due: Instant,
    pause: Duration,
}

impl Pending {
    /// Sends the exception; false when the call has ended.
    fn deliver(&mut self, py: Python<'_>) -> bool {
        self.due = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        match &self.subject {
            Subject::Worker(worker, why) => worker.interrupt(py, *why),
            Subject::Slot(expired) => {
                let _lock = DELIVERY.lock();
                expired.slot.deliver(expired.armed)
                    && set_async(py, expired.slot.thread(), Some(Why::Deadline))
            }
        }
    }
}

/// One runtime's interrupting thread; it starts with the first deadline that passes.
#[derive(Clone, Default)]
pub(crate) struct Interrupts(Arc<Mutex<Option<Sender<Subject>>>>);

impl Interrupts {
    /// Stops a call on another thread, if it runs Python code.
    pub(crate) fn worker(&self, worker: &Arc<Worker>, why: Why) {
        self.send(Subject::Worker(Arc::clone(worker), why));
    }

    fn send(&self, subject: Subject) {
        let mut sender = self.0.lock();
        let Err(returned) = (match sender.as_ref() {
            Some(open) => open.send(subject).map_err(|e| e.0),
            None => Err(subject),
        }) else {
            return;
        };
        let (open, inbox) = channel();
        let spawned = std::thread::Builder::new()
            .name("plugward-intr".into())
            .spawn(move || serve(&inbox));
        if spawned.is_ok() && open.send(returned).is_ok() {
            *sender = Some(open);
        }
    }
}

impl Interrupter for Interrupts {
    fn interrupt(&self, expired: &Expired) {
        // A slot without a thread belongs to a call that is not Python's.
        if expired.slot.thread() != 0 {
            self.send(Subject::Slot(expired.clone()));
        }
    }
}

fn serve(inbox: &Receiver<Subject>) {
    let mut pending: Vec<Pending> = Vec::new();
    loop {
        match receive(inbox, &pending) {
            Ok(subject) => {
                let pause = match &subject {
                    Subject::Worker(_, Why::Cancelled) => CANCELLED_PAUSE,
                    _ => FIRST_PAUSE,
                };
                pending.push(Pending {
                    subject,
                    due: Instant::now(),
                    pause,
                });
            }
            Err(true) => {}
            Err(false) => return,
        }
        let delivered = ending::attach(|py| {
            let now = Instant::now();
            pending.retain_mut(|p| p.due > now || p.deliver(py));
        });
        if delivered.is_none() {
            return;
        }
    }
}

/// The next call to stop; else whether one that is known is due again.
fn receive(inbox: &Receiver<Subject>, pending: &[Pending]) -> Result<Subject, bool> {
    let Some(due) = pending.iter().map(|p| p.due).min() else {
        return inbox.recv().map_err(|_| false);
    };
    let left = due.saturating_duration_since(Instant::now());
    inbox.recv_timeout(left).map_err(|e| {
        if e == RecvTimeoutError::Disconnected {
            std::thread::sleep(left);
        }
        true
    })
}
