//! Between Python objects and JSON values.

use crate::{names, raw};
use plugward_core::call::number_mark;
use plugward_core::error::Error;
use pyo3::IntoPyObjectExt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use serde_json::{Map, Number, Value};

/// Deeper than this, data is taken for circular. What reads JSON goes to 127.
pub(crate) const DEPTH: usize = 120;

/// Any mapping as a dict: itself, where it is one.
pub(crate) fn mapping<'py>(args: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = args.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    let dict = PyDict::new(args.py());
    dict.update(args.cast::<PyMapping>()?)?;
    Ok(dict)
}

/// What an object is, as far as it can be told without running any code of its own.
pub(crate) enum Seen<'a, 'py> {
    /// JSON, or the mark of a number that JSON has no words for.
    Value(Value),
    /// Text with half a surrogate pair: no Unicode.
    Surrogates(&'a Bound<'py, PyString>),
    Dict(&'a Bound<'py, PyDict>),
    List(&'a Bound<'py, PyList>),
    Tuple(&'a Bound<'py, PyTuple>),
    Unknown,
}

/// Looks at an object.
pub(crate) fn seen<'a, 'py>(object: &'a Bound<'py, PyAny>) -> Seen<'a, 'py> {
    if object.is_none() {
        return Seen::Value(Value::Null);
    }
    if let Ok(text) = object.cast::<PyString>() {
        return match text.to_str() {
            Ok(text) => Seen::Value(Value::String(text.to_owned())),
            Err(_) => Seen::Surrogates(text),
        };
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        return Seen::Dict(dict);
    }
    if let Ok(list) = object.cast::<PyList>() {
        return Seen::List(list);
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        return Seen::Tuple(tuple);
    }
    number(object)
        .or_else(|| number(&numpy_scalar(object)?))
        .map_or(Seen::Unknown, Seen::Value)
}

fn number(object: &Bound<'_, PyAny>) -> Option<Value> {
    if let Ok(truth) = object.cast::<PyBool>() {
        return Some(Value::Bool(truth.is_true()));
    }
    if let Ok(whole) = object.cast::<PyInt>() {
        return integer(whole);
    }
    let float = object.cast::<PyFloat>().ok()?.value();
    Some(match Number::from_f64(float) {
        Some(number) => Value::Number(number),
        None if float.is_nan() => number_mark("nan"),
        None if float > 0.0 => number_mark("inf"),
        None => number_mark("-inf"),
    })
}

fn integer(number: &Bound<'_, PyInt>) -> Option<Value> {
    if let Ok(n) = number.extract::<i64>() {
        return Some(n.into());
    }
    if let Ok(n) = number.extract::<u64>() {
        return Some(n.into());
    }
    let py = number.py();
    // Not the number's own method: a class that comes from `int` may have another.
    let format = py.get_type::<PyInt>().getattr(intern!(py, "__format__"));
    let text = format.ok()?.call1((number, "#x")).ok()?;
    Some(number_mark(text.cast::<PyString>().ok()?.to_str().ok()?))
}

/// Numpy, where somebody uses it already: what is no array needs no import to tell.
pub(crate) fn loaded_numpy<'py>(py: Python<'py>) -> Option<Bound<'py, PyAny>> {
    let modules = py.import(intern!(py, "sys")).ok()?;
    let modules = modules.getattr(intern!(py, "modules")).ok()?;
    let numpy = modules.get_item(intern!(py, "numpy")).ok();
    numpy.filter(|m| !m.is_none())
}

/// One number of numpy's as Python's own, where that has all its digits.
fn numpy_scalar<'py>(object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let py = object.py();
    loaded_numpy(py)?;
    if !raw::is_subtype(object, names::generic(py).ok()?) {
        return None;
    }
    let dtype = object.getattr(intern!(py, "dtype")).ok()?;
    let kind: char = dtype.getattr(intern!(py, "kind")).ok()?.extract().ok()?;
    let size: usize = dtype
        .getattr(intern!(py, "itemsize"))
        .ok()?
        .extract()
        .ok()?;
    let plain = "biuf".contains(kind) && size <= 8;
    plain.then(|| object.call_method0(intern!(py, "item")).ok())?
}

/// A value, and the JSON pointers at which the object has no JSON form.
#[derive(Default)]
pub(crate) struct Converted {
    /// The value; `null` stands for what has no JSON form.
    pub value: Value,
    /// Where that is.
    pub opaque: Vec<String>,
}

/// Converts what can be converted, for a schema to look at; no code of the object is run.
pub(crate) fn to_value(object: &Bound<'_, PyAny>) -> Converted {
    let mut opaque = Vec::new();
    let walk = &mut Walk {
        opaque: &mut opaque,
        pointer: String::new(),
        circular: false,
    };
    let value = walk.value(object, 0);
    Converted { value, opaque }
}

struct Walk<'a> {
    opaque: &'a mut Vec<String>,
    pointer: String,
    /// It is too deep to be looked at: nor is what is left. Two lists that hold one another twice have no end.
    circular: bool,
}

impl Walk<'_> {
    fn value(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Value {
        self.circular |= depth > DEPTH;
        if self.circular {
            return self.unknown();
        }
        match seen(object) {
            Seen::Value(value) => value,
            Seen::Surrogates(text) => Value::String(text.to_string_lossy().into_owned()),
            Seen::Dict(dict) => self.object(dict, depth),
            Seen::List(list) => self.array(list.iter(), depth),
            Seen::Tuple(tuple) => self.array(tuple.iter(), depth),
            Seen::Unknown => self.unknown(),
        }
    }

    fn unknown(&mut self) -> Value {
        self.opaque.push(self.pointer.clone());
        Value::Null
    }

    fn array<'py>(
        &mut self,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        depth: usize,
    ) -> Value {
        let found = items
            .enumerate()
            .map(|(at, item)| self.inside(&at.to_string(), |walk| walk.value(&item, depth + 1)));
        Value::Array(found.collect())
    }

    fn object(&mut self, dict: &Bound<'_, PyDict>, depth: usize) -> Value {
        let mut map = Map::with_capacity(dict.len());
        for (key, item) in dict.iter() {
            let key = match seen(&key) {
                Seen::Value(Value::String(key)) => key,
                Seen::Surrogates(key) => key.to_string_lossy().into_owned(),
                Seen::Value(key) => key.to_string(),
                _ => return self.unknown(),
            };
            if depth == 0 && is_callback(&key, &item) {
                continue;
            }
            let value = self.inside(&step(&key), |walk| walk.value(&item, depth + 1));
            map.insert(key, value);
        }
        Value::Object(map)
    }

    fn inside(&mut self, step: &str, body: impl FnOnce(&mut Self) -> Value) -> Value {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(step);
        let value = body(self);
        self.pointer.truncate(length);
        value
    }
}

/// One step of a JSON pointer.
pub(crate) fn step(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The argument that carries a callback is no part of the data.
pub(crate) fn is_callback(key: &str, item: &Bound<'_, PyAny>) -> bool {
    key == "progress_callback" && item.is_callable()
}

/// A JSON value as Python data.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(b) => b.into_bound_py_any(py),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => n.into_bound_py_any(py),
            (_, Some(n)) => n.into_bound_py_any(py),
            _ => n.as_f64().into_bound_py_any(py),
        },
        Value::String(s) => s.into_bound_py_any(py),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            Ok(list.into_any())
        }
        Value::Object(map) => to_dict(py, map).map(Bound::into_any),
    }
}

/// The number that a mark stands for.
pub(crate) fn marked_number<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    match text {
        "nan" => f64::NAN.into_bound_py_any(py),
        "inf" => f64::INFINITY.into_bound_py_any(py),
        "-inf" => f64::NEG_INFINITY.into_bound_py_any(py),
        // Base 16 has no limit on the number of digits.
        whole => py.get_type::<PyInt>().call1((whole, 16)),
    }
}

/// A JSON object as a dict.
pub(crate) fn to_dict<'py>(
    py: Python<'py>,
    map: &Map<String, Value>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in map {
        dict.set_item(key, to_python(py, value)?)?;
    }
    Ok(dict)
}

/// Anything that serialises, as Python data.
pub(crate) fn serialised<'py, T: serde::Serialize>(
    py: Python<'py>,
    what: &T,
) -> PyResult<Bound<'py, PyAny>> {
    to_python(py, &serde_json::to_value(what).unwrap_or_default())
}

/// The error half of an answer as a dict.
pub(crate) fn error_into(error: &Error, dict: &Bound<'_, PyDict>) -> PyResult<()> {
    let mut map = Map::new();
    plugward_core::call::error_fields(error, &mut map);
    for (key, value) in &map {
        dict.set_item(key, to_python(dict.py(), value)?)?;
    }
    Ok(())
}
