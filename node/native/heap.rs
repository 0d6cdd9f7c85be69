//! A worker whose heap is full must end alone.
//!
//! Node gives a worker that reaches its limit 16 MB more and ends it; a single allocation above that
//! (a large Map that grows) then ends the *whole process*. V8 lets an embedder answer otherwise:
//! the callback below grants the allocation, but first waits until the main thread, which it tells,
//! has told the worker to end. Stopping the script from here (`TerminateExecution`) was rejected:
//! Node then finds the stack of its async hooks unbalanced, and ends the process for that. V8's C++
//! functions are looked up by name in the running program; where one is not there, Node's own
//! behaviour stays.
#![allow(
    unsafe_code,
    reason = "V8 has no C interface for this; see each SAFETY note"
)]

use crate::guard::{Thrown, guard};
use crate::signal::Signal;
use napi_derive::napi;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

type Isolate = *mut c_void;
type NearLimit = unsafe extern "C" fn(*mut c_void, usize, usize) -> usize;
type AfterGc = unsafe extern "C" fn(Isolate, i32, i32, *mut c_void);

/// V8's name for a full collection, `kGCTypeMarkSweepCompact`.
const FULL_GC: i32 = 4;
/// Full collections in a row that must find the buffers above their limit: what one of them has
/// freed may still be counted when it ends.
const STRIKES: u32 = 2;

/// More than any one object of V8 may have: the largest array and string are 1 GiB.
const GRANT: usize = 4 << 30;

/// How long a full worker waits for the main thread: not for ever, because a process that ends joins
/// its workers.
const PATIENCE: Duration = Duration::from_secs(5);

static FORGOTTEN: Condvar = Condvar::new();
static OWNERS: LazyLock<Mutex<HashMap<u64, Weak<Signal>>>> = LazyLock::new(Mutex::default);

/// Remembers who is told when the worker `token` is full.
pub(crate) fn expect(token: u64, owner: &Arc<Signal>) {
    OWNERS.lock().insert(token, Arc::downgrade(owner));
}

/// The worker has been told to end.
pub(crate) fn forget(token: u64) {
    OWNERS.lock().remove(&token);
    FORGOTTEN.notify_all();
}

struct V8 {
    current: unsafe extern "C" fn() -> Isolate,
    add: unsafe extern "C" fn(Isolate, NearLimit, *mut c_void),
    /// A V8 without them still guards the heap.
    buffers: Option<Buffers>,
}

struct Buffers {
    after_gc: unsafe extern "C" fn(Isolate, AfterGc, *mut c_void, i32),
    count: unsafe extern "C" fn(Isolate, i64) -> i64,
}

static V8: LazyLock<Option<V8>> = LazyLock::new(find);

#[cfg(all(unix, target_pointer_width = "64"))]
fn find() -> Option<V8> {
    let program = libloading::os::unix::Library::this();
    // SAFETY: the mangled names state the signatures: `Isolate* v8::Isolate::GetCurrent()` and
    // `void v8::Isolate::AddNearHeapLimitCallback(size_t (*)(void*, size_t, size_t), void*)`. A method's `this` is its first argument in the C++
    // ABI of these platforms, and V8 is never unloaded.
    unsafe {
        Some(V8 {
            current: *program.get(b"_ZN2v87Isolate10GetCurrentEv\0").ok()?,
            add: *program
                .get(b"_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_\0")
                .ok()?,
            buffers: find_buffers(&program),
        })
    }
}

#[cfg(all(unix, target_pointer_width = "64"))]
fn find_buffers(program: &libloading::os::unix::Library) -> Option<Buffers> {
    const AFTER_GC: &[u8] =
        b"_ZN2v87Isolate21AddGCEpilogueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_\0";
    const COUNT: &[u8] = b"_ZN2v87Isolate37AdjustAmountOfExternalAllocatedMemoryEl\0";
    // SAFETY: as in `find`: `void AddGCEpilogueCallback(void (*)(Isolate*, GCType, GCCallbackFlags,
    // void*), void*, GCType)` and `int64_t AdjustAmountOfExternalAllocatedMemory(int64_t)`.
    unsafe {
        Some(Buffers {
            after_gc: *program.get(AFTER_GC).ok()?,
            count: *program.get(COUNT).ok()?,
        })
    }
}

#[cfg(not(all(unix, target_pointer_width = "64")))]
fn find() -> Option<V8> {
    None
}

struct Watch {
    token: u64,
    /// Bytes that buffers outside the heap may have.
    buffers: i64,
    strikes: AtomicU32,
}

impl Watch {
    /// Has the main thread end the worker, and waits here until it has.
    fn full(&self) {
        let mut owners = OWNERS.lock();
        let Some(owner) = owners.get(&self.token).and_then(Weak::upgrade) else {
            return;
        };
        owner.send("heap", self.token, String::new());
        drop(owner);
        let until = Instant::now() + PATIENCE;
        while owners.contains_key(&self.token) && Instant::now() < until {
            FORGOTTEN.wait_for(&mut owners, PATIENCE);
        }
    }
}

unsafe extern "C" fn near_limit(data: *mut c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: `data` is the `Watch` that `guard_heap` leaked for this isolate.
    let watch = unsafe { &*data.cast::<Watch>() };
    watch.full();
    current.saturating_add(GRANT)
}

/// Buffers are outside the heap and its limit, but V8 counts them and collects when they grow.
unsafe extern "C" fn after_gc(isolate: Isolate, _kind: i32, _flags: i32, data: *mut c_void) {
    // SAFETY: as in `near_limit`.
    let watch = unsafe { &*data.cast::<Watch>() };
    let Some(v8) = V8.as_ref() else { return };
    let Some(buffers) = &v8.buffers else { return };
    // SAFETY: the isolate is the one that calls us; a change of 0 only reads the count.
    let bytes = unsafe { (buffers.count)(isolate, 0) };
    if bytes <= watch.buffers {
        watch.strikes.store(0, Ordering::Relaxed);
    } else if watch.strikes.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES {
        watch.full();
    }
}

/// Makes the calling worker end alone when its heap, or its `buffer_mb` of buffers outside it, are
/// full. False where that cannot be had.
#[napi]
pub fn guard_heap(token: f64, buffer_mb: f64) -> Result<bool, Thrown> {
    guard(|| {
        let Some(v8) = V8.as_ref() else {
            return Ok(false);
        };
        // SAFETY: no arguments; a function that JavaScript calls runs inside an isolate.
        let isolate = unsafe { (v8.current)() };
        if isolate.is_null() {
            return Ok(false);
        }
        // Lives as long as the isolate, which has no end that we are told of: 24 bytes a worker.
        let watch = Box::leak(Box::new(Watch {
            token: token as u64,
            buffers: (buffer_mb * 1024.0 * 1024.0) as i64,
            strikes: AtomicU32::new(0),
        }));
        let data: *mut c_void = std::ptr::from_mut(watch).cast();
        // SAFETY: the isolate is alive and this is its thread; `watch` outlives it.
        unsafe { (v8.add)(isolate, near_limit, data) };
        if let Some(buffers) = &v8.buffers {
            // SAFETY: as above.
            unsafe { (buffers.after_gc)(isolate, after_gc, data, FULL_GC) };
        }
        Ok(true)
    })
}
