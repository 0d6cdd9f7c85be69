//! Objects whose bytes travel beside JSON, looked at where they lie: bytes, memoryviews, arrays.

#![allow(
    unsafe_code,
    reason = "__array_interface__: one of the named unsafe addresses"
)]

use crate::convert::loaded_numpy;
use crate::{names, raw};
use plugward_abi::DType;
use plugward_core::call::{Data, OwnedTensor};
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyString, PyTuple, PyType};
use std::borrow::Cow;
use std::sync::Arc;

/// What an object is at the other end, and its bytes.
pub(crate) type Found = (OwnedTensor, Cow<'static, str>);

/// Reads an object of bytes or numbers; `None` where it is none, an error (`TypeError`) where it is
/// one that cannot cross as it is.
pub(crate) fn tensor(object: &Bound<'_, PyAny>) -> PyResult<Option<Found>> {
    let plain = |data: Data| OwnedTensor {
        dtype: DType::U8,
        shape: vec![data.len() as i64],
        data,
    };
    if let Ok(bytes) = object.cast::<PyBytes>() {
        let place = bytes.as_bytes();
        let held = pinned(object, place.as_ptr().expose_provenance(), place.len());
        return Ok(Some((plain(held.small_or_data()), "bytes".into())));
    }
    if let Ok(bytes) = object.cast::<PyByteArray>() {
        // As long as the view lives, the array cannot be resized.
        let view = PyMemoryView::from(object)?;
        let at = bytes.data().expose_provenance();
        let held = pinned(&view, at, bytes.len());
        return Ok(Some((plain(held.small_or_data()), "bytearray".into())));
    }
    if object.is_instance_of::<PyMemoryView>() {
        return memoryview(object).map(Some);
    }
    if raw::is_subtype(object, names::typed_array_class(object.py())?) {
        return typed_array(object).map(Some);
    }
    Ok(array(object)?.map(|tensor| (tensor, "array".into())))
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

/// Letters of one kind of number, and those of them that stand for each number of bits.
struct Letters {
    code: u8,
    all: &'static str,
    sized: &'static [(u8, &'static str)],
}

/// What a memoryview can be cast to. Half floats cannot.
const LETTERS: [Letters; 4] = [
    Letters {
        code: 0,
        all: "bhilqn",
        sized: &[(8, "b"), (16, "h"), (32, "i"), (64, "q")],
    },
    Letters {
        code: 1,
        all: "BcHILQN",
        sized: &[(8, "B"), (16, "H"), (32, "I"), (64, "Q")],
    },
    Letters {
        code: 2,
        all: "fd",
        sized: &[(32, "f"), (64, "d")],
    },
    Letters {
        code: 6,
        all: "?",
        sized: &[(8, "?")],
    },
];

/// The letter that a view of this format has at the other end, and the code of its numbers.
fn letter_of(format: &str, bits: u8) -> Option<(String, u8)> {
    let ordered = format.strip_prefix([
        '=',
        if cfg!(target_endian = "little") {
            '<'
        } else {
            '>'
        },
    ]);
    let native = format.strip_prefix('@').unwrap_or(format);
    let single = |text: &str| Some(text.chars().next()?).filter(|c| text.len() == c.len_utf8());
    let letter = single(ordered.unwrap_or(native))?;
    let kind = LETTERS.iter().find(|kind| kind.all.contains(letter))?;
    let as_sized = || kind.sized.iter().find(|(n, _)| *n == bits).map(|(_, l)| *l);
    let told = match ordered {
        Some(_) => as_sized()?.to_owned(),
        None => letter.to_string(),
    };
    Some((told, kind.code))
}

fn memoryview(object: &Bound<'_, PyAny>) -> PyResult<Found> {
    let format: String = object.getattr("format")?.extract()?;
    let size: u8 = object.getattr("itemsize")?.extract().unwrap_or(0);
    let shape: Vec<i64> = object.getattr("shape")?.extract()?;
    let bits = size.saturating_mul(8);
    let empty = shape.len() > 1 && shape.contains(&0);
    let Some((letter, code)) = letter_of(&format, bits).filter(|_| !empty) else {
        return Err(PyTypeError::new_err(format!(
            "a memoryview of format {format:?} and shape {shape:?} cannot be made at the other end; hand over \
             bytes(...), or a numpy array"
        )));
    };
    let dtype = DType {
        code,
        bits,
        lanes: 1,
    };
    let form = match (letter.as_str(), shape.len()) {
        ("B", 1) => "memoryview".into(),
        _ => format!("memoryview:{letter}").into(),
    };
    let data = viewed(object)?;
    Ok((OwnedTensor { dtype, shape, data }, form))
}

fn typed_array(object: &Bound<'_, PyAny>) -> PyResult<Found> {
    let letter: String = object.getattr("typecode")?.extract()?;
    let view = PyMemoryView::from(object)?;
    let (read, _) = memoryview(&view).map_err(|_| {
        PyTypeError::new_err(format!(
            "an array.array of {letter:?} is text: hand over .tounicode()"
        ))
    })?;
    Ok((read, format!("array.array:{letter}").into()))
}

/// The bytes of a view.
fn viewed(object: &Bound<'_, PyAny>) -> PyResult<Data> {
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
fn array(object: &Bound<'_, PyAny>) -> PyResult<Option<OwnedTensor>> {
    let py = object.py();
    if loaded_numpy(py).is_some() && raw::is_subtype(object, names::ndarray(py)?) {
        return ndarray(object).map(Some);
    }
    let speaks = object.hasattr(intern!(py, "__dlpack__")).unwrap_or(false);
    if !speaks || object.is_instance_of::<PyType>() {
        return Ok(None);
    }
    on_the_cpu(object)?;
    let name = kind(object);
    let numpy = py.import("numpy").map_err(|_| {
        let program = crate::buffers::interpreter(py);
        PyTypeError::new_err(format!(
            "{name} speaks DLPack, which takes numpy to read; {program} has none"
        ))
    })?;
    let array = numpy.call_method1("from_dlpack", (object,));
    let array = array
        .map_err(|e| PyTypeError::new_err(format!("{name} cannot be read through DLPack: {e}")))?;
    ndarray(&array).map(Some)
}

/// Devices of DLPack whose memory the CPU sees: itself, and what CUDA and ROCm share with it.
const NEAR: [i64; 4] = [1, 3, 11, 13];
const FAR: [(i64, &str); 6] = [
    (2, "CUDA"),
    (4, "OpenCL"),
    (7, "Vulkan"),
    (8, "Metal"),
    (10, "ROCm"),
    (14, "oneAPI"),
];

fn on_the_cpu(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let told = object.call_method0("__dlpack_device__");
    let told = told.and_then(|d| Ok((d.get_item(0)?, d.get_item(1)?)));
    // The kind is often a member of an enumeration.
    let (device, number) = told
        .and_then(|(d, n)| {
            let whole = object.py().get_type::<pyo3::types::PyInt>();
            Ok((whole.call1((d,))?.extract::<i64>()?, n.extract::<i64>()?))
        })
        .map_err(|e| {
            PyTypeError::new_err(format!("{} names no DLPack device: {e}", kind(object)))
        })?;
    if NEAR.contains(&device) {
        return Ok(());
    }
    let known = FAR.iter().find(|(d, _)| *d == device);
    let device = known.map_or_else(|| format!("device kind {device}"), |(_, n)| (*n).to_owned());
    Err(PyTypeError::new_err(format!(
        "{} lies on {device}:{number}, and only arrays on the CPU cross; bring it there first (.cpu())",
        kind(object)
    )))
}

fn ndarray(object: &Bound<'_, PyAny>) -> PyResult<OwnedTensor> {
    if object.is_exact_instance(names::ndarray(object.py())?) {
        if let Some(plain) = plain_array(object)? {
            return Ok(plain);
        }
    } else {
        nothing_lost(object)?;
    }
    let shape: Vec<i64> = object.getattr("shape")?.extract()?;
    let native = object
        .getattr("dtype")?
        .call_method1("newbyteorder", ("=",))?;
    let dtype = dtype(&native)?;
    let numpy = object.py().import("numpy")?;
    let array = numpy.call_method1("ascontiguousarray", (object, &native))?;
    let len: usize = array.getattr("nbytes")?.extract()?;
    // Always where it lies: it may lie in a lease.
    let data = pinned(&array, address(&array)?, len).data();
    Ok(OwnedTensor { dtype, shape, data })
}

/// Classes that come from an array may hold more than their numbers: a mask, a unit.
fn nothing_lost(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let module = object.get_type().module()?;
    let module = module.to_string_lossy();
    let within = |package: &str| {
        let rest = module.strip_prefix(package);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let why = match (within("numpy.ma"), within("numpy")) {
        (true, _) => "would lose its mask; hand over .filled(...), and .mask where it matters",
        (_, true) => return Ok(()),
        _ => "would lose what it adds to numpy's arrays; hand over numpy.asarray(...)",
    };
    Err(PyTypeError::new_err(format!("{} {why}", kind(object))))
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
pub(crate) const ORDER: char = if cfg!(target_endian = "little") {
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
pub(crate) const KINDS: [(char, u8); 5] = [('i', 0), ('u', 1), ('f', 2), ('c', 5), ('b', 6)];

/// A type of numpy's as DLPack numbers it; `TypeError` for what is no plain number.
pub(crate) fn dtype(dtype: &Bound<'_, PyAny>) -> PyResult<DType> {
    let kind: char = dtype.getattr("kind")?.extract()?;
    let bytes: usize = dtype.getattr("itemsize")?.extract()?;
    let found = KINDS.iter().find(|(name, _)| *name == kind);
    let bits = u8::try_from(bytes.saturating_mul(8));
    match (found, bits) {
        (Some((_, code)), Ok(bits)) => Ok(DType {
            code: *code,
            bits,
            lanes: 1,
        }),
        _ => Err(PyTypeError::new_err(format!(
            "an array of dtype {dtype} cannot cross, only whole numbers, floats, complex numbers and truth values; {}",
            remedy(kind, dtype.getattr("names")?.is_none())
        ))),
    }
}

fn remedy(kind: char, is_simple: bool) -> &'static str {
    match kind {
        'M' | 'm' => "hand over .view('i8') and the unit",
        'U' | 'S' | 'T' | 'O' => "hand over .tolist()",
        'V' if is_simple => "hand over .view(...) of whole numbers, or .astype('f4')",
        'V' => "hand over one array for each of its fields",
        _ => "hand over .astype(...) of a smaller one",
    }
}

/// The name of an object's class with its module.
pub(crate) fn kind(object: &Bound<'_, PyAny>) -> String {
    let class = object.get_type();
    match class.fully_qualified_name() {
        Ok(name) => name.to_string_lossy().into_owned(),
        Err(_) => crate::describe::type_name(&class),
    }
}
