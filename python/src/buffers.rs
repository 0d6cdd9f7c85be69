//! Arrays and bytes that have travelled beside JSON, without pickle, made Python objects again.
//!
//! In the host they were looked at where they lie and copied once, into shared memory (`tensors.rs`). In the
//! worker a tool sees them there, read-only; an array that it keeps keeps its memory from being used again.
//! What comes back is copied once out of the shared memory, so that no worker can change it later.
//!
//! An array's memory is lent to numpy by `__array_interface__`, because the buffer protocol is no part
//! of the stable ABI of Python 3.10. Where there is no numpy an array becomes a memoryview.

use crate::convert::{self, loaded_numpy};
use crate::names;
use crate::tensors::{KINDS, ORDER};
use plugward_abi::DType;
use plugward_core::call::{OwnedTensor, TensorView, read_items, read_mark, read_number};
use pyo3::exceptions::{PyBufferError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyTuple};
use serde_json::Value;
use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

/// Where an array comes from that is to become a Python object.
#[derive(Clone, Copy)]
pub(crate) enum Beside<'a> {
    /// The caller's: what is made of it is a copy that may be written.
    Owned(&'a [OwnedTensor]),
    /// Ours alone: what is made of it has its memory, and each can be had once.
    Taken(&'a RefCell<Vec<Option<OwnedTensor>>>),
    /// Shared memory: what is made of it may be read, and keeps it.
    Views(&'a [TensorView<'a>]),
}

/// One array of them.
enum One<'a> {
    Owned(OwnedTensor),
    View(TensorView<'a>),
}

impl<'a> Beside<'a> {
    fn get(self, number: usize) -> Option<One<'a>> {
        match self {
            Beside::Views(views) => views.get(number).copied().map(One::View),
            Beside::Owned(tensors) => tensors.get(number).cloned().map(One::Owned),
            Beside::Taken(tensors) => tensors.borrow_mut().get_mut(number)?.take().map(One::Owned),
        }
    }
}

/// Why no object could be made.
pub(crate) enum Unfit {
    /// This interpreter cannot hold it.
    Here(String),
    /// A mistake of ours.
    Wrong(PyErr),
}

impl From<PyErr> for Unfit {
    fn from(error: PyErr) -> Self {
        Self::Wrong(error)
    }
}

type Made<'py> = Result<Bound<'py, PyAny>, Unfit>;

/// The reverse of `pack`.
pub(crate) fn unpack<'py>(py: Python<'py>, value: &Value, beside: Beside<'_>) -> Made<'py> {
    match value {
        Value::Object(map) => {
            if let Some((number, form)) = read_mark(map)
                && let Some(one) = beside.get(number)
            {
                return one.object(py, form);
            }
            if let Some(text) = read_number(map) {
                return Ok(convert::marked_number(py, text)?);
            }
            let dict = PyDict::new(py);
            match read_items(map) {
                Some(pairs) => {
                    for (key, item) in pairs {
                        dict.set_item(unpack(py, key, beside)?, unpack(py, item, beside)?)?;
                    }
                }
                None => {
                    for (key, item) in map {
                        dict.set_item(key, unpack(py, item, beside)?)?;
                    }
                }
            }
            Ok(dict.into_any())
        }
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(unpack(py, item, beside)?)?;
            }
            Ok(list.into_any())
        }
        plain => Ok(convert::to_python(py, plain)?),
    }
}

impl One<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            One::Owned(tensor) => &tensor.data,
            One::View(view) => view.data,
        }
    }

    fn kind(&self) -> (DType, Vec<i64>) {
        match self {
            One::Owned(tensor) => (tensor.dtype, tensor.shape.clone()),
            One::View(view) => (view.dtype, view.shape.to_vec()),
        }
    }

    fn object<'py>(self, py: Python<'py>, form: &str) -> Made<'py> {
        let (class, letter) = form.split_once(':').unwrap_or((form, ""));
        match class {
            "bytes" => Ok(PyBytes::new(py, self.bytes()).into_any()),
            "bytearray" => Ok(PyByteArray::new(py, self.bytes()).into_any()),
            "memoryview" => Ok(self.memoryview(py, letter)?),
            "array.array" => {
                let bytes = PyBytes::new(py, self.bytes());
                Ok(names::typed_array(py)?.call1((letter, bytes))?)
            }
            _ => self.array(py),
        }
    }

    fn array<'py>(self, py: Python<'py>) -> Made<'py> {
        if names::asarray(py).is_ok() {
            return Ok(self.memory()?.array(py)?);
        }
        let (dtype, shape) = self.kind();
        self.memoryview(py, "").map_err(|error| {
            let DType { code, bits, .. } = dtype;
            let letter = KINDS.iter().find(|(_, c)| *c == code).map_or('?', |(k, _)| *k);
            match error.is_instance_of::<PyTypeError>(py) {
                true => Unfit::Here(format!(
                    "an array of {letter}{} and shape {shape:?} takes numpy, which {} has not: install it there, \
                     or hand over plain data",
                    bits / 8,
                    interpreter(py)
                )),
                false => Unfit::Wrong(error),
            }
        })
    }

    /// A view of the letter's kind, or of the array's own.
    fn memoryview<'py>(self, py: Python<'py>, letter: &str) -> PyResult<Bound<'py, PyAny>> {
        let (dtype, shape) = self.kind();
        let shape = PyTuple::new(py, shape)?;
        let is_view = matches!(self, One::View(_));
        let memory = match loaded_numpy(py) {
            Some(_) => self.memory()?.flat().array(py)?,
            None if is_view => self.borrowed(py)?,
            None => PyByteArray::new(py, self.bytes()).into_any(),
        };
        let view = names::view(py)?.call1((memory, dtype.code, dtype.bits, letter, shape))?;
        match is_view {
            true => view.call_method0(intern!(py, "toreadonly")),
            false => Ok(view),
        }
    }

    /// The memory itself, without numpy. Without ctypes either, a copy.
    fn borrowed<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let copy = PyBytes::new(py, &[]);
        let (at, len) = (
            self.bytes().as_ptr().expose_provenance(),
            self.bytes().len(),
        );
        if len == 0 || py.import("ctypes").is_err() {
            let copy = if len == 0 {
                copy
            } else {
                PyBytes::new(py, self.bytes())
            };
            return Ok(copy.into_any());
        }
        let keeper = Py::new(py, self.memory()?)?;
        names::borrowed(py)?.call1((at, len, keeper))
    }

    fn memory(self) -> PyResult<Memory> {
        match self {
            One::Owned(OwnedTensor { dtype, shape, data }) => {
                let mut bytes = data.into_vec();
                let at = bytes.as_mut_ptr().expose_provenance();
                Memory::new(at, true, dtype, shape, Box::new(bytes))
            }
            One::View(view) => {
                let keep: Box<dyn Any + Send + Sync> = match view.keep {
                    Some(keep) => Box::new(Arc::clone(keep)),
                    None => return Err(PyBufferError::new_err("a view that nothing keeps")),
                };
                let at = view.data.as_ptr().expose_provenance();
                Memory::new(at, false, view.dtype, view.shape.to_vec(), keep)
            }
        }
    }
}

/// The program of this interpreter, as a message names it.
pub(crate) fn interpreter(py: Python<'_>) -> String {
    let program = py.import("sys").and_then(|sys| sys.getattr("executable"));
    let program = program.and_then(|p| p.extract::<String>());
    program.unwrap_or_else(|_| "this interpreter".to_owned())
}

/// Memory that an array of numpy lies in; it lives as long as the array does.
#[pyclass(frozen, module = "plugward._native")]
pub(crate) struct Memory {
    at: usize,
    writable: bool,
    kind: String,
    shape: Vec<i64>,
    _keep: Box<dyn Any + Send + Sync>,
}

impl Memory {
    /// `at` must hold what dtype and shape describe as long as `keep` lives.
    pub(crate) fn new(
        at: usize,
        writable: bool,
        dtype: DType,
        shape: Vec<i64>,
        keep: Box<dyn Any + Send + Sync>,
    ) -> PyResult<Self> {
        let name = KINDS.iter().find(|(_, code)| *code == dtype.code);
        let (kind, _) = name.ok_or_else(|| PyValueError::new_err("numpy has no such type"))?;
        Ok(Self {
            at,
            writable,
            kind: format!("{ORDER}{kind}{}", dtype.bits / 8),
            shape,
            _keep: keep,
        })
    }

    /// The same bytes as nothing but bytes.
    fn flat(mut self) -> Self {
        let width = self.kind.trim_start_matches(|c: char| !c.is_ascii_digit());
        let size: i64 = width.parse().unwrap_or(1);
        self.shape = vec![self.shape.iter().product::<i64>() * size];
        self.kind = "|u1".to_owned();
        self
    }

    /// As an array.
    pub(crate) fn array(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        names::asarray(py)?.call1((Py::new(py, self)?,))
    }
}

#[pymethods]
impl Memory {
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let interface = PyDict::new(py);
        interface.set_item(intern!(py, "version"), 3)?;
        interface.set_item(intern!(py, "data"), (self.at, !self.writable))?;
        interface.set_item(intern!(py, "shape"), PyTuple::new(py, &self.shape)?)?;
        interface.set_item(intern!(py, "typestr"), &self.kind)?;
        Ok(interface)
    }
}
