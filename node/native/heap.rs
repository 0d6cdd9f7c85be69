//! A worker whose heap is full must end alone.
//!
//! Node gives a worker that reaches its limit 16 MB more and ends it; a single allocation above that
//! (a large Map that grows) then ends the *whole process*. V8 lets an embedder answer otherwise:
//! the callback below grants the allocation, stops the script where it is and tells the main
//! thread, which ends the worker. V8's C++ functions are looked up by name in the running program;
//! where one is not there, Node's own behaviour stays.
#![allow(
    unsafe_code,
    reason = "V8 has no C interface for this; see each SAFETY note"
)]

use crate::guard::{Thrown, guard};
use crate::signal::Signal;
use napi_derive::napi;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, LazyLock, Weak};

type Isolate = *mut c_void;
type NearLimit = unsafe extern "C" fn(*mut c_void, usize, usize) -> usize;

/// More than any one object of V8 may have: the largest array and string are 1 GiB.
const GRANT: usize = 4 << 30;

static OWNERS: LazyLock<Mutex<HashMap<u64, Weak<Signal>>>> = LazyLock::new(Mutex::default);

/// Remembers who is told when the worker `token` is full.
pub(crate) fn expect(token: u64, owner: &Arc<Signal>) {
    OWNERS.lock().insert(token, Arc::downgrade(owner));
}

/// The worker is gone.
pub(crate) fn forget(token: u64) {
    OWNERS.lock().remove(&token);
}

struct V8 {
    current: unsafe extern "C" fn() -> Isolate,
    add: unsafe extern "C" fn(Isolate, NearLimit, *mut c_void),
    terminate: unsafe extern "C" fn(Isolate),
}

static V8: LazyLock<Option<V8>> = LazyLock::new(find);

#[cfg(all(unix, target_pointer_width = "64"))]
fn find() -> Option<V8> {
    let program = libloading::os::unix::Library::this();
    // SAFETY: the mangled names state the signatures: `Isolate* v8::Isolate::GetCurrent()`,
    // `void v8::Isolate::AddNearHeapLimitCallback(size_t (*)(void*, size_t, size_t), void*)` and
    // `void v8::Isolate::TerminateExecution()`. A method's `this` is its first argument in the C++
    // ABI of these platforms, and V8 is never unloaded.
    unsafe {
        Some(V8 {
            current: *program.get(b"_ZN2v87Isolate10GetCurrentEv\0").ok()?,
            add: *program
                .get(b"_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_\0")
                .ok()?,
            terminate: *program
                .get(b"_ZN2v87Isolate18TerminateExecutionEv\0")
                .ok()?,
        })
    }
}

#[cfg(not(all(unix, target_pointer_width = "64")))]
fn find() -> Option<V8> {
    None
}

struct Watch {
    isolate: Isolate,
    token: u64,
}

unsafe extern "C" fn near_limit(data: *mut c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: `data` is the `Watch` that `guard_heap` leaked for this isolate.
    let watch = unsafe { &*data.cast::<Watch>() };
    if let Some(v8) = V8.as_ref() {
        // SAFETY: the isolate is the one that calls us; V8 allows this from any thread.
        unsafe { (v8.terminate)(watch.isolate) };
    }
    let owner = OWNERS.lock().get(&watch.token).and_then(Weak::upgrade);
    if let Some(owner) = owner {
        owner.send("heap", watch.token, String::new());
    }
    current.saturating_add(GRANT)
}

/// Makes the calling worker end alone when its heap is full. False where that cannot be had.
#[napi]
pub fn guard_heap(token: f64) -> Result<bool, Thrown> {
    guard(|| {
        let Some(v8) = V8.as_ref() else {
            return Ok(false);
        };
        // SAFETY: no arguments; a function that JavaScript calls runs inside an isolate.
        let isolate = unsafe { (v8.current)() };
        if isolate.is_null() {
            return Ok(false);
        }
        // Lives as long as the isolate, which has no end that we are told of: 16 bytes a worker.
        let watch = Box::leak(Box::new(Watch {
            isolate,
            token: token as u64,
        }));
        // SAFETY: the isolate is alive and this is its thread; `watch` outlives it.
        unsafe { (v8.add)(isolate, near_limit, std::ptr::from_mut(watch).cast()) };
        Ok(true)
    })
}
