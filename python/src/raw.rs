//! Two small things that PyO3's safe API has no word for.

#![allow(unsafe_code, reason = "PyType_IsSubtype, Send: named unsafe addresses")]

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Whether `object` really is a `class`: neither `__class__` nor `__instancecheck__` is asked.
#[inline]
pub(crate) fn is_subtype(object: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> bool {
    // SAFETY: attached; both are live, and the second is a type.
    unsafe { ffi::PyType_IsSubtype(ffi::Py_TYPE(object.as_ptr()), class.as_type_ptr()) != 0 }
}

/// Work that stays on this thread while it is detached, which `Python::detach` asks to be `Send`.
pub(crate) struct SameThread<'a>(&'a mut dyn FnMut());

// SAFETY: `Python::detach` runs its closure on the calling thread; nothing is sent. The only maker
// is below, and what it is given knows nothing of Python (the core's pool loop).
unsafe impl Send for SameThread<'_> {}

impl<'a> SameThread<'a> {
    /// Wraps a body of the core.
    pub(crate) fn new(body: &'a mut dyn FnMut()) -> Self {
        Self(body)
    }

    /// Runs it.
    pub(crate) fn run(self) {
        (self.0)();
    }
}
