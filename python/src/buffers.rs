//! Arrays and bytes that travel beside JSON to and from worker processes, without pickle.
//!
//! In the host they are copied once, into shared memory. In the worker a tool sees them where they
//! lie: read-only, and only until it returns; one that keeps an array must copy it.

#![allow(
    unsafe_code,
    reason = "PyMemoryView_FromMemory, __array_interface__: named unsafe addresses"
)]

use crate::convert::{self, Converted};
use plugward_abi::DType;
use plugward_core::call::{OwnedTensor, TensorView, buffer_mark, read_mark};
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyMemoryView, PyTuple};
use serde_json::Value;

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

fn tensor(object: &Bound<'_, PyAny>) -> PyResult<(OwnedTensor, &'static str)> {
    let plain = |data: Vec<u8>| OwnedTensor {
        dtype: DType::U8,
        shape: vec![data.len() as i64],
        data,
    };
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok((plain(bytes.as_bytes().to_vec()), "bytes"));
    }
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        return Ok((plain(bytes.to_vec()), "bytearray"));
    }
    if object.is_instance_of::<PyMemoryView>() {
        let bytes = object.call_method0("tobytes")?.cast_into::<PyBytes>()?;
        return Ok((plain(bytes.as_bytes().to_vec()), "memoryview"));
    }
    array(object).map(|tensor| (tensor, "array"))
}

/// A numpy array, or anything on the CPU that speaks DLPack.
fn array(object: &Bound<'_, PyAny>) -> PyResult<OwnedTensor> {
    let numpy = object.py().import("numpy")?;
    let array = match object.is_instance(&numpy.getattr("ndarray")?)? {
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
    let interface = array
        .getattr("__array_interface__")?
        .cast_into::<PyDict>()?;
    let place = interface
        .get_item("data")?
        .ok_or_else(|| PyBufferError::new_err("no data"))?
        .cast_into::<PyTuple>()?;
    let address: usize = place.get_item(0)?.extract()?;
    let mut data: Vec<u8> = Vec::with_capacity(len);
    if len > 0 {
        let from = std::ptr::with_exposed_provenance::<u8>(address);
        // SAFETY: numpy's word on a contiguous array that is alive: `nbytes` bytes lie at `data`.
        // Another thread may write to them meanwhile, as it may during any numpy copy.
        unsafe {
            data.as_mut_ptr().copy_from_nonoverlapping(from, len);
            data.set_len(len);
        }
    }
    Ok(OwnedTensor { dtype, shape, data })
}

/// DLPack's numbers for numpy's kinds.
const KINDS: [(char, u8); 5] = [('i', 0), ('u', 1), ('f', 2), ('c', 5), ('b', 6)];

fn dtype(dtype: &Bound<'_, PyAny>) -> PyResult<DType> {
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
    /// Ours: what is made of it is a copy that may be written.
    Owned(&'a [OwnedTensor]),
    /// Shared memory: what is made of it may be read until the call ends.
    Views(&'a [TensorView<'a>]),
}

impl<'a> Beside<'a> {
    fn get(self, number: usize) -> Option<TensorView<'a>> {
        match self {
            Beside::Views(views) => views.get(number).copied(),
            Beside::Owned(tensors) => tensors.get(number).map(|t| TensorView {
                dtype: t.dtype,
                shape: &t.shape,
                data: &t.data,
            }),
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
                && let Some(view) = beside.get(number)
            {
                return object(py, view, form, matches!(beside, Beside::Views(_)));
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

fn object<'py>(
    py: Python<'py>,
    view: TensorView<'_>,
    form: &str,
    in_place: bool,
) -> PyResult<Bound<'py, PyAny>> {
    match form {
        "bytes" => Ok(PyBytes::new(py, view.data).into_any()),
        "bytearray" => Ok(PyByteArray::new(py, view.data).into_any()),
        "memoryview" => memory(py, view.data, in_place),
        _ => {
            let numpy = py.import("numpy")?;
            let name = KINDS.iter().find(|(_, code)| *code == view.dtype.code);
            let (kind, _) = name.ok_or_else(|| PyValueError::new_err("numpy has no such type"))?;
            let kind = format!("{kind}{}", view.dtype.bits / 8);
            let flat =
                numpy.call_method1("frombuffer", (memory(py, view.data, in_place)?, kind))?;
            flat.call_method1("reshape", (PyTuple::new(py, view.shape)?,))
        }
    }
}

/// CPython's `PyBUF_READ`.
const READ_ONLY: std::ffi::c_int = 0x100;

fn memory<'py>(py: Python<'py>, data: &[u8], in_place: bool) -> PyResult<Bound<'py, PyAny>> {
    if !in_place {
        let owned = PyByteArray::new(py, data);
        return Ok(PyMemoryView::from(&owned)?.into_any());
    }
    let at = data.as_ptr().cast_mut().cast();
    // SAFETY: attached. `data` lies in the worker's shared memory, which stays mapped as long as
    // the process lives; the view is read-only.
    unsafe {
        let made = ffi::PyMemoryView_FromMemory(at, data.len() as ffi::Py_ssize_t, READ_ONLY);
        Bound::from_owned_ptr_or_err(py, made)
    }
}
