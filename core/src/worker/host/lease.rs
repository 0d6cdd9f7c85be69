//! Frames that a host fills in place, before the call that they are for.
//!
//! An argument whose memory lies in a lease of the called worker is not copied: the call names the
//! place. So every door and every kind of array can use one without knowing of it. All leases of the
//! process are found by address; a lease that has ended stays mapped as long as somebody holds it, so
//! using it too late is an error and never a crash.

use super::pool::{Frame, Pool};
use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

static LEASES: Mutex<BTreeMap<usize, Weak<Held>>> = Mutex::new(BTreeMap::new());
/// How many there are: calls look no further while there is none.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Memory of a worker that is filled in place; see [`crate::Runtime::lease`]. Clones are one lease.
#[derive(Clone)]
pub struct Lease(Arc<Held>);

pub(super) struct Held {
    frame: Frame,
    plugin: String,
    len: usize,
    ended: AtomicBool,
}

impl Lease {
    /// A lease of `bytes` in the worker of `plugin`.
    pub(super) fn new(pool: &Arc<Pool>, plugin: &str, bytes: usize) -> Result<Self> {
        if pool.is_over() {
            return Err(gone(plugin));
        }
        let held = Arc::new(Held {
            frame: pool.frame(bytes as u64)?,
            plugin: plugin.to_owned(),
            len: bytes,
            ended: AtomicBool::new(false),
        });
        LEASES.lock().insert(held.start(), Arc::downgrade(&held));
        COUNT.fetch_add(1, Ordering::SeqCst);
        Ok(Self(held))
    }

    /// Where its bytes begin, on a page of their own. They stay mapped as long as a clone lives.
    #[must_use]
    pub fn data(&self) -> NonNull<u8> {
        self.0.frame.region().start()
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Ends it: calls refuse its memory from now on, and once nobody holds it any more it is used for
    /// something else.
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }

    /// Whether it was ended, or its worker has.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }
}

impl Held {
    fn start(&self) -> usize {
        self.frame.region().start().as_ptr().expose_provenance()
    }

    fn is_over(&self) -> bool {
        self.ended.load(Ordering::SeqCst) || self.frame.pool().is_over()
    }

    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let start = self.start();
        let mut leases = LEASES.lock();
        // Another one may have begun at the same place of another mapping meanwhile: not here.
        if leases.get(&start).is_some_and(|l| l.strong_count() == 0) {
            leases.remove(&start);
        }
        COUNT.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The lease in whose memory `bytes` lie, and their offset in it, where `pool` is its own; `None`
/// where they must be copied.
///
/// # Errors
/// [`Code::WorkerLease`] where it has ended.
pub(super) fn find(pool: &Arc<Pool>, bytes: &[u8]) -> Result<Option<(Arc<Held>, u64)>> {
    if COUNT.load(Ordering::Relaxed) == 0 || bytes.is_empty() {
        return Ok(None);
    }
    let at = bytes.as_ptr().addr();
    let last = LEASES
        .lock()
        .range(..=at)
        .next_back()
        .map(|(_, l)| l.upgrade());
    let held = last
        .flatten()
        .filter(|held| at + bytes.len() <= held.start() + held.len);
    match held {
        Some(held) if held.is_over() => Err(over(&held)),
        Some(held) if Arc::ptr_eq(held.frame.pool(), pool) => {
            let offset = (at - held.start()) as u64;
            Ok(Some((held, offset)))
        }
        _ => Ok(None),
    }
}

fn over(held: &Held) -> Error {
    if held.ended.load(Ordering::SeqCst) {
        return Error::new(Code::WorkerLease).with_message(format!(
            "an argument lies in a lease of {} that was ended",
            held.plugin
        ));
    }
    gone(&held.plugin)
}

fn gone(plugin: &str) -> Error {
    Error::new(Code::WorkerLease).with_message(format!(
        "the lease was of a worker of {plugin} that has ended"
    ))
}
