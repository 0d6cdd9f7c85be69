//! Calling Python code that may be hostile, hang, or outlive the interpreter.
//!
//! When the interpreter ends while a thread still runs Python code, CPython before 3.14 ends that
//! thread with `pthread_exit`, which unwinds through our frames. The call is therefore declared
//! as one that may unwind, and a guard parks the thread instead: the process is about to end.

#![allow(
    unsafe_code,
    reason = "PyObject_Call: one of the named unsafe addresses"
)]

use crate::names;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

unsafe extern "C-unwind" {
    fn PyObject_Call(
        callable: *mut PyObject,
        args: *mut PyObject,
        kwargs: *mut PyObject,
    ) -> *mut PyObject;
}

/// Parks the thread for good when it is unwound by the end of the interpreter.
struct ParkOnExit;

impl Drop for ParkOnExit {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// `callable(*args, **kwargs)`.
#[inline]
pub(crate) fn call<'py>(
    callable: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = callable.py();
    let kwargs = kwargs.map_or(std::ptr::null_mut(), |k| k.as_ptr());
    let guard = ParkOnExit;
    // SAFETY: attached; callable and args are live objects, kwargs is a dict or NULL.
    let result = unsafe { PyObject_Call(callable.as_ptr(), args.as_ptr(), kwargs) };
    std::mem::forget(guard);
    // SAFETY: a new reference, or NULL with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, result) }
}

/// `callable(**kwargs)`.
#[inline]
pub(crate) fn call_kwargs<'py>(
    callable: &Bound<'py, PyAny>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    call(callable, names::no_args(callable.py()), kwargs)
}
