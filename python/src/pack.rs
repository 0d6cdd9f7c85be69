//! Python data on its way to or from another process: unchanged, or refused by name.
//!
//! JSON says what it can. What it has no words for has a mark of its own
//! (`core/src/call/{buffer,exact}.rs`) that the other end reads back; whatever has neither is refused with its place, its
//! type and what to hand over instead.

use crate::convert::{DEPTH, Seen, is_callback, seen, step};
use crate::tensors::{kind, tensor};
use crate::{describe, names, watchdog};
use plugward_core::call::{BUFFER, ITEMS, NUMBER, OwnedTensor, buffer_mark, items_mark};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Map, Value};

/// A value, and what travels beside it.
pub(crate) struct Packed {
    pub value: Value,
    pub tensors: Vec<OwnedTensor>,
}

/// Which way data goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Arguments of a plugin that is written in Python: all marks are read.
    ToPython,
    /// Arguments of any other: they see JSON, and arrays beside it.
    ToOthers,
    /// A result: models and dataclasses are dumped.
    Back,
}

/// Where something stands that cannot cross, and why.
pub(crate) struct Refusal {
    at: String,
    why: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at.as_str() {
            "" => write!(f, "at the top: {}", self.why),
            at => write!(f, "at {at}: {}", self.why),
        }
    }
}

/// Converts everything, or says what cannot be.
pub(crate) fn pack(object: &Bound<'_, PyAny>, way: Way) -> Result<Packed, Refusal> {
    let mut walk = Walk {
        way,
        pointer: String::new(),
        tensors: Vec::new(),
        dumped: 0,
    };
    let value = walk.value(object, 0)?;
    Ok(Packed {
        value,
        tensors: walk.tensors,
    })
}

struct Walk {
    way: Way,
    pointer: String,
    tensors: Vec<OwnedTensor>,
    /// How many models it is inside.
    dumped: u32,
}

type Walked = Result<Value, Refusal>;

impl Walk {
    fn refuse<T>(&self, why: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal {
            at: self.pointer.clone(),
            why: why.into(),
        })
    }

    fn value(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Walked {
        if depth > DEPTH {
            return self.refuse(format!("nested more than {DEPTH} deep, or within itself"));
        }
        match seen(object) {
            Seen::Value(Value::Object(_)) if self.way == Way::ToOthers => {
                self.refuse("numbers beyond 64 bits, NaN and infinities go to Python plugins only")
            }
            Seen::Value(value) => Ok(value),
            Seen::Surrogates(_) => self.refuse(SURROGATES),
            Seen::Dict(dict) => self.dict(dict, depth),
            Seen::List(list) => self.array(list.iter(), depth),
            Seen::Tuple(tuple) => self.array(tuple.iter(), depth),
            Seen::Unknown => self.unknown(object, depth),
        }
    }

    fn unknown(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Walked {
        match tensor(object) {
            Ok(Some((tensor, form))) => {
                self.tensors.push(tensor);
                Ok(buffer_mark(self.tensors.len() - 1, &form))
            }
            Ok(None) => self.stand_in(object, depth),
            Err(error) => self.refuse(reason(object, &error)),
        }
    }

    /// What an object of a class that is not ours says of itself.
    fn stand_in(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Walked {
        let py = object.py();
        let is_result = self.way == Way::Back;
        let asked = names::stand_in(py).and_then(|f| f.call1((object, is_result, self.dumped > 0)));
        let plain = match asked {
            Ok(plain) => plain,
            Err(error) => return self.refuse(reason(object, &error)),
        };
        // What a model is made of, pydantic knows how to write.
        let is_dump = is_result && object.get_type().hasattr("model_dump").unwrap_or(false);
        self.dumped += u32::from(is_dump);
        let value = self.value(&plain, depth + 1);
        self.dumped -= u32::from(is_dump);
        value
    }

    fn array<'py>(
        &mut self,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        depth: usize,
    ) -> Walked {
        let each = items
            .enumerate()
            .map(|(at, item)| self.inside(&at.to_string(), |walk| walk.value(&item, depth + 1)));
        each.collect::<Result<_, _>>().map(Value::Array)
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>, depth: usize) -> Walked {
        let is_text = |key: &Bound<'_, PyAny>| key.is_instance_of::<pyo3::types::PyString>();
        if !dict.iter().all(|(key, _)| is_text(&key)) {
            return self.items(dict, depth);
        }
        let mut map = Map::with_capacity(dict.len());
        for (key, item) in dict.iter() {
            let Seen::Value(Value::String(key)) = seen(&key) else {
                return self.refuse(format!("a key is {SURROGATES}"));
            };
            if depth == 0 && is_callback(&key, &item) {
                continue;
            }
            if [BUFFER, NUMBER, ITEMS].contains(&key.as_str()) {
                return self.refuse(format!("the key {key:?} is Plugward's own"));
            }
            let value = self.inside(&step(&key), |walk| walk.value(&item, depth + 1))?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    /// A dict with keys that are no text.
    fn items(&mut self, dict: &Bound<'_, PyDict>, depth: usize) -> Walked {
        let mut pairs = Vec::with_capacity(dict.len());
        for (key, item) in dict.iter() {
            let told = match seen(&key) {
                Seen::Value(told) if self.way != Way::ToOthers => told,
                Seen::Surrogates(_) => return self.refuse(format!("a key is {SURROGATES}")),
                _ => {
                    let name = kind(&key);
                    return self.refuse(format!(
                        "a key is of type {name}; hand over a list of pairs"
                    ));
                }
            };
            let value = self.inside(&pointed(&told), |walk| walk.value(&item, depth + 3))?;
            pairs.push(Value::Array(vec![told, value]));
        }
        Ok(items_mark(pairs))
    }

    fn inside(&mut self, step: &str, body: impl FnOnce(&mut Self) -> Walked) -> Walked {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(step);
        let value = body(self)?;
        self.pointer.truncate(length);
        Ok(value)
    }
}

const SURROGATES: &str = "text with half a surrogate pair, which is no Unicode; hand over \
                          .encode('utf-8', 'surrogatepass')";

fn pointed(key: &Value) -> String {
    match key {
        Value::String(text) => step(text),
        other => other.to_string(),
    }
}

/// The words of an exception; a `TypeError` of ours has said all there is to say.
fn reason(object: &Bound<'_, PyAny>, error: &PyErr) -> String {
    let py = object.py();
    let raised = error.value(py);
    let text = watchdog::with(|dog| Some(describe::message(raised, dog))).unwrap_or_default();
    match error.is_instance_of::<PyTypeError>(py) {
        true => text,
        false => format!(
            "{} cannot be turned into plain data: {}: {text}",
            kind(object),
            describe::type_name(&raised.get_type())
        ),
    }
}
