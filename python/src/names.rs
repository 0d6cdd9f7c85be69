//! Python objects that are looked up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

macro_rules! imported {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $module:literal, $attr:literal;)*) => {
        $( $(#[$doc])* pub(crate) fn $name<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, $type>> {
            static CELL: PyOnceLock<Py<$type>> = PyOnceLock::new();
            CELL.import(py, $module, $attr)
        } )*
    };
}

imported! {
    /// Raised in a call whose deadline has passed.
    deadline_exceeded: PyType = "plugward.errors", "DeadlineExceeded";
    /// Raised in a call that its caller has cancelled.
    call_cancelled: PyType = "plugward.errors", "CallCancelled";
    /// Raised by a plugin that refuses its input.
    invalid_input: PyType = "plugward.errors", "InvalidInput";
    /// Raised where the host misuses the API.
    plugward_error: PyType = "plugward.errors", "PlugwardError";
    /// Raised by `Outcome.unwrap`.
    plugin_call_error: PyType = "plugward.errors", "PluginCallError";
    /// Builds plugins.
    build: PyAny = "plugward._loading", "build";
    /// Ends plugins.
    stop: PyAny = "plugward._loading", "stop";
    /// Lets go of plugins that never began.
    discard: PyAny = "plugward._loading", "discard";
    /// Gives a plugin what its last generation kept.
    restore: PyAny = "plugward._loading", "restore";
    /// Asks a plugin whether it is fit.
    validate: PyAny = "plugward._loading", "validate";
    /// Checks packages.
    check_packages: PyAny = "plugward._packages", "check";
    /// Looks for a plugin's code.
    check_code: PyAny = "plugward._code", "check";
    /// Names the modules of the packages that are installed.
    package_modules: PyAny = "plugward._packages", "modules";
    /// Finds a package's folder without importing it.
    package_folder: PyAny = "plugward._packages", "folder";
    /// An event loop for one call.
    own_loop: PyAny = "plugward._async", "OwnLoop";
    /// Formats an exception, whatever it is.
    format_exception: PyAny = "plugward._describe", "format_exception";
    /// Writes one record to `logging`.
    emit: PyAny = "plugward._logging", "emit";
    /// Numpy's arrays.
    ndarray: PyType = "numpy", "ndarray";
    /// What all of numpy's scalars are.
    generic: PyType = "numpy", "generic";
    /// What stands for an object on its way to another process.
    stand_in: PyAny = "plugward._crossing", "stand_in";
    /// Lays a memoryview over memory.
    view: PyAny = "plugward._crossing", "view";
    /// Memory as an object with a buffer.
    borrowed: PyAny = "plugward._crossing", "borrowed";
    /// The class of typed arrays.
    typed_array_class: PyType = "array", "array";
    /// Makes an `array.array` again.
    typed_array: PyAny = "plugward._crossing", "typed_array";
    /// Makes an array of what says where it lies.
    asarray: PyAny = "numpy", "asarray";
    /// Copies the context of the calling thread.
    copy_context: PyAny = "contextvars", "copy_context";
}

/// `()`.
pub(crate) fn no_args(py: Python<'_>) -> &Bound<'_, PyTuple> {
    static CELL: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();
    CELL.get_or_init(py, || PyTuple::empty(py).unbind())
        .bind(py)
}
