//! Arrays and bytes that travel beside JSON to and from worker processes, without pickle.
//!
//! In the host they are looked at where they lie and copied once, into shared memory. In the worker a
//! tool sees them there, read-only; an array that it keeps keeps its memory from being used again.
//! What comes back is copied once out of the shared memory, so that no worker can change it later.
//!
//! An array's memory is lent to numpy by `__array_interface__`, because the buffer protocol is no part
//! of the stable ABI of Python 3.10.

#![allow(
    unsafe_code,
    reason = "__array_interface__: one of the named unsafe addresses"
)]

use crate::convert::{self, Converted};
use crate::names;
use plugward_abi::DType;
use plugward_core::call::{Data, OwnedTensor, TensorView, buffer_mark, read_mark};
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyMemoryView, PyString, PyTuple};
use serde_json::Value;
use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

/// A value, what travels beside it, and where something stands that cannot travel.
pub(crate) struct Packed {
    pub value: Value,
    pub tensors: Vec<OwnedTensor>,
    pub opaque: Vec<String>,
}

/// Converts what can be converted: JSON data, bytes, arrays.
pub(crate) fn pack(object: &Bound<'_, PyAny>) -> Packed {
    let Converted { mut value, opaque } = convert::to_value(object);
    let mut tensors = Vec::new();
    let mut left = Vec::new();
    for pointer in opaque {
        let found = at(object, &pointer).and_then(|item| tensor(&item));
        match (found, value.pointer_mut(&pointer)) {
            (Ok((tensor, form)), Some(place)) => {
                *place = buffer_mark(tensors.len(), form);
                tensors.push(tensor);
            }
            _ => left.push(pointer),
        }
    }
    Packed {
        value,
        tensors,
        opaque: left,
    }
}

/// The object at a JSON pointer.
fn at<'py>(object: &Bound<'py, PyAny>, pointer: &str) -> PyResult<Bound<'py, PyAny>> {
    let mut here = object.clone();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        here = match here.cast::<PyDict>() {
            Ok(dict) => dict
                .get_item(&step)?
                .ok_or_else(|| PyValueError::new_err(step))?,
            Err(_) => here.get_item(step.parse::<usize>()?)?,
        };
    }
    Ok(here)
}

/// Below this a copy costs less than holding somebody else's object.
const SMALL: usize = 4 << 10;

/// A Python object's bytes where they lie; the object is held.
struct Pinned {
    _owner: Py<PyAny>,
    at: usize,
    len: usize,
}

impl AsRef<[u8]> for Pinned {
    fn as_ref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the word of bytes, bytearray or numpy on an object that is alive and, by the export
        // that is held, keeps its size. Another thread may write to them meanwhile, as it may during
        // any copy that numpy makes.
        unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(self.at), self.len) }
    }
}

fn pinned(owner: &Bound<'_, PyAny>, at: usize, len: usize) -> Pinned {
    Pinned {
        _owner: owner.clone().unbind(),
        at,
        len,
    }
}

impl Pinned {
    fn data(self) -> Data {
        Data::Elsewhere(Arc::new(self))
    }

    fn small_or_data(self) -> Data {
        match self.len {
            0..SMALL => self.as_ref().to_vec().into(),
            _ => self.data(),
        }
    }
}

fn tensor(object: &Bound<'_, PyAny>) -> PyResult<(OwnedTensor, &'static str)> {
    let plain = |data: Data| OwnedTensor {
        dtype: DType::U8,
        shape: vec![data.len() as i64],
        data,
    };
    if let Ok(bytes) = object.cast::<PyBytes>() {
        let place = bytes.as_bytes();
        let held = pinned(object, place.as_ptr().expose_provenance(), place.len());
        return Ok((plain(held.small_or_data()), "bytes"));
    }
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        // As long as the view lives, the array cannot be resized.
        let view = PyMemoryView::from(object)?;
        let at = bytes.data().expose_provenance();
        let held = pinned(&view, at, bytes.len());
        return Ok((plain(held.small_or_data()), "bytearray"));
    }
    if object.is_instance_of::<PyMemoryView>() {
        return Ok((plain(memoryview(object)?), "memoryview"));
    }
    array(object).map(|tensor| (tensor, "array"))
}

/// Numpy, where the host or the plugin uses it already: only to find an address it is not imported.
fn loaded_numpy<'py>(py: Python<'py>) -> Option<Bound<'py, PyAny>> {
    let modules = py.import("sys").ok()?.getattr("modules").ok()?;
    modules.get_item("numpy").ok().filter(|m| !m.is_none())
}

fn memoryview(object: &Bound<'_, PyAny>) -> PyResult<Data> {
    let compact = object.getattr("c_contiguous")?.is_truthy()?;
    let len: usize = object.getattr("nbytes")?.extract()?;
    match loaded_numpy(object.py()).filter(|_| compact && len >= SMALL) {
        Some(numpy) => {
            let flat = object.call_method1("cast", ("B",))?;
            let array = numpy.call_method1("frombuffer", (flat, "u1"))?;
            Ok(pinned(&array, address(&array)?, len).data())
        }
        None => {
            let bytes = object.call_method0("tobytes")?.cast_into::<PyBytes>()?;
            Ok(bytes.as_bytes().to_vec().into())
        }
    }
}

/// A numpy array, or anything on the CPU that speaks DLPack.
fn array(object: &Bound<'_, PyAny>) -> PyResult<OwnedTensor> {
    let ndarray = names::ndarray(object.py())?;
    if object.is_exact_instance(ndarray)
        && let Some(plain) = plain_array(object)?
    {
        return Ok(plain);
    }
    let numpy = object.py().import("numpy")?;
    let array = match object.is_instance(ndarray)? {
        true => object.clone(),
        false if object.hasattr("__dlpack__")? => numpy.call_method1("from_dlpack", (object,))?,
        false => return Err(PyValueError::new_err("no array")),
    };
    let native = array
        .getattr("dtype")?
        .call_method1("newbyteorder", ("=",))?;
    let array = numpy.call_method1("ascontiguousarray", (&array, &native))?;
    let shape: Vec<i64> = object
        .getattr("shape")?
        .extract()
        .or_else(|_| array.getattr("shape")?.extract())?;
    let dtype = dtype(&native)?;
    let len: usize = array.getattr("nbytes")?.extract()?;
    // Always where it lies: it may lie in a lease.
    let data = pinned(&array, address(&array)?, len).data();
    Ok(OwnedTensor { dtype, shape, data })
}

/// An array that is contiguous and in this machine's byte order, read in one go.
fn plain_array(array: &Bound<'_, PyAny>) -> PyResult<Option<OwnedTensor>> {
    let py = array.py();
    let interface = array
        .getattr(intern!(py, "__array_interface__"))?
        .cast_into::<PyDict>()?;
    let field = |name: &'static str| {
        let found = interface.get_item(PyString::intern(py, name))?;
        found.ok_or_else(|| PyBufferError::new_err(name))
    };
    let compact = field("strides")?.is_none();
    let typestr = field("typestr")?.cast_into::<PyString>()?;
    let Some(dtype) = plain_type(&typestr.to_string_lossy()).filter(|_| compact) else {
        return Ok(None);
    };
    let shape: Vec<i64> = field("shape")?.extract()?;
    let place = field("data")?.cast_into::<PyTuple>()?;
    let count: i64 = shape.iter().product();
    let len = count as usize * usize::from(dtype.bits / 8);
    let data = pinned(array, place.get_item(0)?.extract()?, len).data();
    Ok(Some(OwnedTensor { dtype, shape, data }))
}

/// `<f4` and the like, where the order is this machine's.
fn plain_type(typestr: &str) -> Option<DType> {
    let mut letters = typestr.chars();
    let order = letters.next()?;
    let kind = letters.next()?;
    let bytes: u8 = letters.as_str().parse().ok()?;
    let (_, code) = KINDS.iter().find(|(name, _)| *name == kind)?;
    let bits = bytes.checked_mul(8)?;
    ([ORDER, '|'].contains(&order)).then_some(DType {
        code: *code,
        bits,
        lanes: 1,
    })
}

/// This machine's byte order, as numpy writes it.
const ORDER: char = if cfg!(target_endian = "little") {
    '<'
} else {
    '>'
};

/// Where a contiguous array lies.
fn address(array: &Bound<'_, PyAny>) -> PyResult<usize> {
    let interface = array
        .getattr("__array_interface__")?
        .cast_into::<PyDict>()?;
    let place = interface
        .get_item("data")?
        .ok_or_else(|| PyBufferError::new_err("no data"))?
        .cast_into::<PyTuple>()?;
    place.get_item(0)?.extract()
}

/// DLPack's numbers for numpy's kinds.
const KINDS: [(char, u8); 5] = [('i', 0), ('u', 1), ('f', 2), ('c', 5), ('b', 6)];

pub(crate) fn dtype(dtype: &Bound<'_, PyAny>) -> PyResult<DType> {
    let kind: char = dtype.getattr("kind")?.extract()?;
    let bytes: u8 = dtype.getattr("itemsize")?.extract()?;
    let found = KINDS.iter().find(|(name, _)| *name == kind);
    let (_, code) = found.ok_or_else(|| PyValueError::new_err("no plain numbers"))?;
    let bits = bytes.checked_mul(8);
    let bits = bits.ok_or_else(|| PyValueError::new_err("too wide"))?;
    Ok(DType {
        code: *code,
        bits,
        lanes: 1,
    })
}

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

/// The reverse of [`pack`].
pub(crate) fn unpack<'py>(
    py: Python<'py>,
    value: &Value,
    beside: Beside<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Object(map) => {
            if let Some((number, form)) = read_mark(map)
                && let Some(one) = beside.get(number)
            {
                return one.object(py, form);
            }
            let dict = PyDict::new(py);
            for (key, item) in map {
                dict.set_item(key, unpack(py, item, beside)?)?;
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
        plain => convert::to_python(py, plain),
    }
}

impl One<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            One::Owned(tensor) => &tensor.data,
            One::View(view) => view.data,
        }
    }

    fn object<'py>(self, py: Python<'py>, form: &str) -> PyResult<Bound<'py, PyAny>> {
        match form {
            "bytes" => Ok(PyBytes::new(py, self.bytes()).into_any()),
            "bytearray" => Ok(PyByteArray::new(py, self.bytes()).into_any()),
            "memoryview" => self.memoryview(py),
            _ => self.memory()?.array(py),
        }
    }

    fn memoryview<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if py.import("numpy").is_ok() {
            let array = self.memory()?.array(py)?;
            return Ok(PyMemoryView::from(&array)?.into_any());
        }
        // Nothing else makes a view of memory that it keeps.
        let copy = match self {
            One::Owned(_) => PyByteArray::new(py, self.bytes()).into_any(),
            One::View(_) => PyBytes::new(py, self.bytes()).into_any(),
        };
        Ok(PyMemoryView::from(&copy)?.into_any())
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
