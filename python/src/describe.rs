//! What an exception says of itself, asked so that a hostile one can neither raise nor hang here.
//!
//! The common case (a class that inherits `BaseException.__str__`, one text as argument) runs no
//! Python code at all; everything else runs under a deadline of its own.

#![allow(
    unsafe_code,
    reason = "type slots and descriptors: named unsafe addresses"
)]

use crate::interrupt;
use crate::names;
use crate::raw;
use plugward_core::deadline::{Disarmed, Watchdog};
use plugward_core::error::MESSAGE_LIMIT;
use pyo3::exceptions::{PyBaseException, PyMemoryError, PySystemExit};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long an exception may take to describe itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// A descriptor of a builtin type that reads a C field: no Python code runs.
struct Field {
    descriptor: Py<PyAny>,
    get: ffi::descrgetfunc,
}

// SAFETY: a reference and a function pointer; both are only used while attached.
unsafe impl Send for Field {}
// SAFETY: as above.
unsafe impl Sync for Field {}

impl Field {
    fn new(owner: &Bound<'_, PyType>, name: &str) -> PyResult<Self> {
        let descriptor = owner.getattr("__dict__")?.get_item(name)?;
        // SAFETY: a live type; the slot exists, for the attribute is a descriptor.
        let slot = unsafe {
            ffi::PyType_GetSlot(descriptor.get_type().as_type_ptr(), ffi::Py_tp_descr_get)
        };
        if slot.is_null() {
            return Err(PyErr::new::<pyo3::exceptions::PyTypeError, _>(
                "no descriptor",
            ));
        }
        // SAFETY: Py_tp_descr_get holds a descrgetfunc.
        let get = unsafe { std::mem::transmute::<*mut std::ffi::c_void, ffi::descrgetfunc>(slot) };
        Ok(Self {
            descriptor: descriptor.unbind(),
            get,
        })
    }

    fn of<'py>(&self, object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        // SAFETY: attached; the descriptor belongs to a base type of the object.
        unsafe {
            let found = (self.get)(
                self.descriptor.as_ptr(),
                object.as_ptr(),
                object.get_type().as_ptr(),
            );
            Bound::from_owned_ptr_or_err(object.py(), found).ok()
        }
    }
}

fn name_field(py: Python<'_>) -> Option<&Field> {
    static CELL: PyOnceLock<Field> = PyOnceLock::new();
    CELL.get_or_try_init(py, || Field::new(&py.get_type::<PyType>(), "__name__"))
        .ok()
}

fn args_field(py: Python<'_>) -> Option<&Field> {
    static CELL: PyOnceLock<Field> = PyOnceLock::new();
    CELL.get_or_try_init(py, || Field::new(&py.get_type::<PyBaseException>(), "args"))
        .ok()
}

/// A class of exceptions.
#[derive(Clone)]
pub(crate) struct Kind {
    /// Its real name; a metaclass that lies about it is not asked.
    pub name: String,
    /// Whether it is a compiled-in class that means nothing special to Plugward.
    pub is_ordinary: bool,
}

impl Kind {
    /// The class of an exception.
    pub(crate) fn of(exception: &Bound<'_, PyBaseException>) -> Self {
        let class = exception.get_type();
        // SAFETY: a live type.
        let flags = unsafe { ffi::PyType_GetFlags(class.as_type_ptr()) };
        if flags & ffi::Py_TPFLAGS_HEAPTYPE != 0 {
            return Self {
                name: type_name(&class),
                is_ordinary: false,
            };
        }
        // Types that are compiled in live for ever, so their address stands for them.
        let address = class.as_ptr() as usize;
        BUILTIN.with_borrow_mut(|known| {
            if let Some((_, kind)) = known.iter().find(|(at, _)| *at == address) {
                return kind.clone();
            }
            let py = class.py();
            let special = [
                py.get_type::<PySystemExit>(),
                py.get_type::<PyMemoryError>(),
            ];
            let is_ordinary = !special
                .iter()
                .any(|s| raw::is_subtype(exception.as_any(), s));
            let kind = Self {
                name: type_name(&class),
                is_ordinary,
            };
            known.push((address, kind.clone()));
            kind
        })
    }
}

thread_local! {
    static BUILTIN: RefCell<Vec<(usize, Kind)>> = const { RefCell::new(Vec::new()) };
}

/// The class's real name.
pub(crate) fn type_name(class: &Bound<'_, PyType>) -> String {
    name_field(class.py())
        .and_then(|field| field.of(class.as_any()))
        .and_then(|name| name.cast_into::<PyString>().ok())
        .map_or_else(|| "exception".to_owned(), |name| text(&name))
}

/// A string, cut at the limit before it is copied.
pub(crate) fn text(string: &Bound<'_, PyString>) -> String {
    let whole = string.len().unwrap_or(0);
    if whole <= MESSAGE_LIMIT {
        return string.to_string_lossy().into_owned();
    }
    // SAFETY: attached, a live string, bounds within it.
    let head = unsafe {
        let cut = ffi::PyUnicode_Substring(string.as_ptr(), 0, MESSAGE_LIMIT as isize / 2);
        Bound::from_owned_ptr_or_err(string.py(), cut)
    };
    let head = head.ok().and_then(|h| h.cast_into::<PyString>().ok());
    let head = head
        .map(|h| h.to_string_lossy().into_owned())
        .unwrap_or_default();
    format!("{head} ... [cut; {whole} characters in all]")
}

/// Runs `body` for at most [`PATIENCE`]; `None` when it had to be stopped.
pub(crate) fn bounded<R>(py: Python<'_>, dog: &Watchdog, body: impl FnOnce() -> R) -> Option<R> {
    bounded_for(py, dog, PATIENCE, body)
}

/// Runs `body` for at most `patience`; `None` when it had to be stopped.
pub(crate) fn bounded_for<R>(
    py: Python<'_>,
    dog: &Watchdog,
    patience: Duration,
    body: impl FnOnce() -> R,
) -> Option<R> {
    // Subject 0 is no plugin: whatever the exception does, its plugin's state is decided elsewhere.
    let guard = dog.guard(Instant::now() + patience, 0, interrupt::thread_ident);
    let found = body();
    match guard.disarm() {
        Disarmed::InTime => Some(found),
        Disarmed::Expired => None,
        Disarmed::Delivered => {
            interrupt::take_back(py);
            None
        }
    }
}

/// `str(exception)`.
pub(crate) fn message(exception: &Bound<'_, PyBaseException>, dog: &Watchdog) -> String {
    said(exception, dog).text
}

/// A message, and the very string that it is, where the exception holds it and it is not cut.
pub(crate) struct Said {
    /// The message.
    pub text: String,
    /// It as an object.
    pub object: Option<Py<PyString>>,
}

/// The same with the object, so that nobody has to make it anew.
pub(crate) fn said(exception: &Bound<'_, PyBaseException>, dog: &Watchdog) -> Said {
    if let Some(plain) = plain_message(exception) {
        return plain;
    }
    Said {
        text: asked(exception, dog),
        object: None,
    }
}

fn asked(exception: &Bound<'_, PyBaseException>, dog: &Watchdog) -> String {
    let kind = || type_name(&exception.get_type());
    match bounded(exception.py(), dog, || exception.str().map(|s| text(&s))) {
        Some(Ok(said)) => said,
        Some(Err(error)) => {
            let other = type_name(&error.get_type(exception.py()));
            format!("<{}: its __str__ raised {other}>", kind())
        }
        None => format!(
            "<{}: its __str__ did not end within {} s>",
            kind(),
            PATIENCE.as_secs()
        ),
    }
}

/// The message where no Python code is needed to get it.
fn plain_message(exception: &Bound<'_, PyBaseException>) -> Option<Said> {
    let py = exception.py();
    let base = py.get_type::<PyBaseException>();
    // SAFETY: live types.
    let inherited = unsafe {
        let own = ffi::PyType_GetSlot(ffi::Py_TYPE(exception.as_ptr()), ffi::Py_tp_str);
        own == ffi::PyType_GetSlot(base.as_type_ptr(), ffi::Py_tp_str)
    };
    if !inherited {
        return None;
    }
    let args = args_field(py)?
        .of(exception.as_any())?
        .cast_into::<PyTuple>()
        .ok()?;
    match args.len() {
        0 => Some(Said {
            text: String::new(),
            object: None,
        }),
        1 => {
            let object = args.get_item(0).ok()?.cast_into_exact::<PyString>().ok()?;
            let text = text(&object);
            let whole =
                object.len().is_ok_and(|n| n <= MESSAGE_LIMIT) && text.len() <= MESSAGE_LIMIT;
            Some(Said {
                text,
                object: whole.then(|| object.unbind()),
            })
        }
        _ => None,
    }
}

/// The exception's first argument, read without running its code.
pub(crate) fn first_argument<'py>(
    exception: &Bound<'py, PyBaseException>,
) -> Option<Bound<'py, PyAny>> {
    let args = args_field(exception.py())?
        .of(exception.as_any())?
        .cast_into::<PyTuple>()
        .ok()?;
    args.get_item(0).ok()
}

/// The full traceback as text; never more than a few hundred KiB.
pub(crate) fn traceback(exception: &Bound<'_, PyBaseException>, dog: &Watchdog) -> Option<String> {
    let py = exception.py();
    let asker = Py::new(py, Asker::default()).ok()?;
    let args = (exception, asker).into_pyobject(py).ok()?;
    let format = names::format_exception(py).ok()?;
    // Reading source lines may run the code of a module's loader.
    let said = bounded(py, dog, || crate::invoke::call(format, &args, None).ok())??;
    said.cast::<PyString>()
        .ok()
        .map(|s| s.to_string_lossy().into_owned())
}

/// Asks the exceptions of one chain for their messages. One that hangs costs its second once; the
/// rest of the chain is then not asked.
#[pyclass(frozen)]
#[derive(Default)]
struct Asker {
    hung: AtomicBool,
}

#[pymethods]
impl Asker {
    fn __call__(&self, exception: &Bound<'_, PyBaseException>) -> String {
        if self.hung.load(Ordering::Relaxed) {
            return plain_message(exception).map_or_else(|| "<not asked>".to_owned(), |s| s.text);
        }
        let begun = Instant::now();
        let said = crate::watchdog::with(|dog| Some(message(exception, dog)));
        self.hung
            .store(begun.elapsed() >= PATIENCE / 2, Ordering::Relaxed);
        said.unwrap_or_default()
    }
}
