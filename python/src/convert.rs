//! Between Python objects and JSON values.

use plugward_core::error::Error;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde_json::{Map, Number, Value};

/// Deeper than this, data is taken for circular.
const DEPTH: usize = 128;

/// A value, and the JSON pointers at which the object has no JSON form.
#[derive(Default)]
pub(crate) struct Converted {
    /// The value; `null` stands for what has no JSON form.
    pub value: Value,
    /// Where that is.
    pub opaque: Vec<String>,
}

/// Converts what can be converted; no code of the object is run.
pub(crate) fn to_value(object: &Bound<'_, PyAny>) -> Converted {
    let mut opaque = Vec::new();
    let value = Walk {
        opaque: &mut opaque,
        pointer: String::new(),
    }
    .value(object, 0);
    Converted { value, opaque }
}

struct Walk<'a> {
    opaque: &'a mut Vec<String>,
    pointer: String,
}

impl Walk<'_> {
    fn value(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Value {
        if depth > DEPTH {
            return self.unknown();
        }
        if object.is_none() {
            Value::Null
        } else if let Ok(text) = object.cast::<PyString>() {
            Value::String(text.to_string_lossy().into_owned())
        } else if object.is_exact_instance_of::<PyBool>() {
            Value::Bool(object.is_truthy().unwrap_or(false))
        } else if let Ok(number) = object.cast_exact::<PyInt>() {
            integer(number).unwrap_or_else(|| self.unknown())
        } else if let Ok(number) = object.cast::<PyFloat>() {
            Number::from_f64(number.value()).map_or_else(|| self.unknown(), Value::Number)
        } else if let Ok(dict) = object.cast::<PyDict>() {
            self.object(dict, depth)
        } else if let Ok(list) = object.cast::<PyList>() {
            self.array(list.iter(), depth)
        } else if let Ok(tuple) = object.cast::<PyTuple>() {
            self.array(tuple.iter(), depth)
        } else {
            self.unknown()
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
            let Ok(key) = key.cast::<PyString>() else {
                return self.unknown();
            };
            let key = key.to_string_lossy().into_owned();
            if depth == 0 && is_callback(&key, &item) {
                continue;
            }
            let step = key.replace('~', "~0").replace('/', "~1");
            let value = self.inside(&step, |walk| walk.value(&item, depth + 1));
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

/// The argument that carries a callback is no part of the data.
pub(crate) fn is_callback(key: &str, item: &Bound<'_, PyAny>) -> bool {
    key == "progress_callback" && item.is_callable()
}

fn integer(number: &Bound<'_, PyInt>) -> Option<Value> {
    if let Ok(n) = number.extract::<i64>() {
        return Some(n.into());
    }
    if let Ok(n) = number.extract::<u64>() {
        return Some(n.into());
    }
    number
        .extract::<f64>()
        .ok()
        .and_then(Number::from_f64)
        .map(Value::Number)
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
