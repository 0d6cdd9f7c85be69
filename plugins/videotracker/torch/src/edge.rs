//! The exported table: pointers in, numbers out, no panic and no C++ exception across.

#![allow(
    unsafe_code,
    reason = "the table that the plugin opens: one of the named unsafe addresses"
)]

use crate::model::{Model, Trouble};
use crate::table::{BACKEND_ABI, DONE, FAILED, Input, Say, Setup, Table, Take};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

static TABLE: Table = Table {
    abi: BACKEND_ABI,
    cuda_devices,
    open,
    run,
    close,
};

/// The back end's table.
#[allow(unreachable_pub, reason = "the dynamic linker reaches it")]
#[unsafe(no_mangle)]
pub extern "C" fn videotracker_backend() -> *const Table {
    &raw const TABLE
}

/// Runs `body`. A panic is a failure like any other: where `tch` has no fallible function, that is how
/// it tells of a C++ exception.
fn guard(say: Say, context: *mut c_void, body: impl FnOnce() -> Result<(), Trouble>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Trouble(words.unwrap_or("it panicked").to_owned()))
    });
    let Err(Trouble(words)) = outcome else {
        return DONE;
    };
    // SAFETY: the caller gave the function for this, and the text lives until it returns.
    unsafe { say(context, words.as_ptr(), words.len()) };
    FAILED
}

unsafe extern "C" fn cuda_devices() -> i64 {
    // There is no fallible form; what it throws is caught here, and means that there is none.
    catch_unwind(tch::Cuda::device_count).unwrap_or(0)
}

unsafe extern "C" fn open(
    data: *const u8,
    len: usize,
    setup: Setup,
    model: *mut *mut c_void,
    say: Say,
    context: *mut c_void,
) -> i32 {
    guard(say, context, || {
        // SAFETY: the caller lends `len` bytes for the length of this call.
        let bytes = unsafe { std::slice::from_raw_parts(data, len) };
        let opened = Box::new(Model::open(bytes, setup)?);
        // SAFETY: the caller's own variable.
        unsafe { *model = Box::into_raw(opened).cast() };
        Ok(())
    })
}

unsafe extern "C" fn run(
    model: *mut c_void,
    input: *const Input,
    take: Take,
    say: Say,
    context: *mut c_void,
) -> i32 {
    guard(say, context, || {
        // SAFETY: a model that `open` made and `close` has not freed, and an input that is there.
        let answer = unsafe { (*model.cast::<Model>()).run(&*input)? };
        // There are no fallible forms of `size` and `data_ptr`. They throw for tensors without storage,
        // and a compact one on the CPU has it.
        let shape = answer.size();
        // SAFETY: the tensor is compact, of floats, on the CPU, and lives beyond the call.
        unsafe {
            take(
                context,
                answer.data_ptr().cast(),
                shape.as_ptr(),
                shape.len(),
            );
        }
        Ok(())
    })
}

unsafe extern "C" fn close(model: *mut c_void) {
    if !model.is_null() {
        // SAFETY: made by `open`, closed once.
        let _ = catch_unwind(|| drop(unsafe { Box::from_raw(model.cast::<Model>()) }));
    }
}

/// Fails as PLUGWARD_VIDEO_FAULT says: what a full or broken GPU answers, on a machine without one.
/// `oom@4` is the run of that number in this process, `oom@open` is the first model's opening, and
/// `say WORDS@4` an error of libtorch's in these words.
#[cfg(feature = "faults")]
pub(crate) fn injected(opening: bool) -> Result<(), Trouble> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let now = match opening {
        true => "open".to_owned(),
        false => RUNS.fetch_add(1, Ordering::Relaxed).to_string(),
    };
    let wish = std::env::var("PLUGWARD_VIDEO_FAULT").unwrap_or_default();
    let (what, at) = wish.rsplit_once('@').unwrap_or((&wish, "0"));
    if at != now {
        return Ok(());
    }
    if let Some(words) = what.strip_prefix("say ") {
        return Err(Trouble(words.to_owned()));
    }
    match what {
        "oom" => Err(Trouble(
            "CUDA out of memory. Tried to allocate 20.00 GiB".into(),
        )),
        "poison" => Err(Trouble(
            "CUDA error: an illegal memory access was encountered".into(),
        )),
        "throw" => {
            // A real C++ exception of libtorch: shapes that cannot be multiplied.
            let ones = tch::Tensor::f_from_slice(&[1.0_f32, 2.0, 3.0])?;
            let twos = tch::Tensor::f_from_slice(&[1.0_f32, 2.0])?;
            ones.f_dot(&twos).map(drop).map_err(Trouble::from)
        }
        "crash" => std::process::abort(),
        _ => Ok(()),
    }
}
