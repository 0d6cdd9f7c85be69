//! Calling Python code that may be hostile, hang, or outlive the interpreter.
//!
//! When the interpreter ends while a thread still runs Python code, CPython before 3.14 ends that
//! thread with `pthread_exit`, which unwinds through our frames. The call is therefore declared
//! as one that may unwind, and a guard parks the thread instead: the process is about to end.

#![allow(
    unsafe_code,
    reason = "PyObject_Call: one of the named unsafe addresses"
)]

use pyo3::exceptions::PyBaseException;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::ptr::null_mut;

type MayUnwind =
    unsafe extern "C-unwind" fn(*mut PyObject, *mut PyObject, *mut PyObject) -> *mut PyObject;

/// `PyObject_Call` as a function that may unwind.
///
/// Declaring it a second time was rejected: PyO3 declares it as one that never unwinds, the two
/// declarations become one in a release build, and the guard below is optimised away. The address
/// is therefore hidden from the optimiser.
#[inline]
fn object_call() -> MayUnwind {
    let address = std::hint::black_box(ffi::PyObject_Call as *const ());
    // SAFETY: the same function with the same arguments, under the calling convention that also
    // allows what CPython does when the interpreter ends.
    unsafe { std::mem::transmute::<*const (), MayUnwind>(address) }
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

/// An exception that left the code that was called.
pub(crate) struct Raised<'py> {
    /// It.
    pub exception: Bound<'py, PyBaseException>,
    /// Whether no line of Python was reached: the call itself was refused.
    pub placeless: bool,
}

impl From<Raised<'_>> for PyErr {
    fn from(raised: Raised<'_>) -> Self {
        PyErr::from_value(raised.exception.into_any())
    }
}

impl<'py> Raised<'py> {
    /// Takes the interpreter's present exception. `PyErr` would also allocate, and would turn a
    /// Rust panic that travels as an exception into a panic of ours.
    fn fetch(py: Python<'py>) -> Self {
        let (mut class, mut value, mut place) = (null_mut(), null_mut(), null_mut());
        // SAFETY: attached, with an exception set; each pointer is a new reference or NULL, and
        // after normalising `value` is a live exception.
        unsafe {
            ffi::PyErr_Fetch(&raw mut class, &raw mut value, &raw mut place);
            ffi::PyErr_NormalizeException(&raw mut class, &raw mut value, &raw mut place);
            if !place.is_null() {
                ffi::PyException_SetTraceback(value, place);
                ffi::Py_DECREF(place);
            }
            ffi::Py_XDECREF(class);
            let exception = Bound::from_owned_ptr(py, value).cast_into_unchecked();
            Self {
                exception,
                placeless: place.is_null(),
            }
        }
    }
}

/// `callable(*args, **kwargs)`.
#[inline]
pub(crate) fn call<'py>(
    callable: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> Result<Bound<'py, PyAny>, Raised<'py>> {
    let py = callable.py();
    let kwargs = kwargs.map_or(null_mut(), |k| k.as_ptr());
    let guard = ParkOnExit;
    // SAFETY: attached; callable and args are live objects, kwargs is a dict or NULL.
    let result = unsafe { object_call()(callable.as_ptr(), args.as_ptr(), kwargs) };
    std::mem::forget(guard);
    if result.is_null() {
        return Err(Raised::fetch(py));
    }
    // SAFETY: a new reference.
    Ok(unsafe { Bound::from_owned_ptr(py, result) })
}
