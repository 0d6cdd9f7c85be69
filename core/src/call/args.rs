//! What goes into a call and what comes out of it, on the JSON path.

use super::Data;
use crate::error::{Code, Error, Result};
use plugward_abi::{DType, Device};
use serde_json::Value;
use std::sync::OnceLock;

/// The arguments of a call: one JSON value, as text, parsed, or both, and tensors beside it.
#[derive(Debug, Default)]
pub struct Args {
    text: OnceLock<String>,
    value: OnceLock<Value>,
    /// Arrays that travel beside the JSON, in the caller's order.
    pub tensors: Vec<OwnedTensor>,
}

impl Args {
    /// Arguments from JSON text; an empty text is `{}`.
    ///
    /// # Errors
    /// [`Code::AbiJson`] with line and column.
    pub fn from_text(text: &str) -> Result<Self> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let value: Value = serde_json::from_str(text)
            .map_err(|e| Error::new(Code::AbiJson).with_message(format!("arguments: {e}")))?;
        Ok(Self {
            text: OnceLock::from(text.to_owned()),
            ..Self::from(value)
        })
    }

    /// Arguments from text that is known to be one JSON value: it is parsed when it is asked for.
    pub(crate) fn from_checked_text(text: String) -> Self {
        Self {
            text: OnceLock::from(text),
            ..Self::default()
        }
    }

    /// The same arguments with tensors.
    #[must_use]
    pub fn with_tensors(mut self, tensors: Vec<OwnedTensor>) -> Self {
        self.tensors = tensors;
        self
    }

    /// The same arguments with every array copied that was not its own: what is left to a thread must
    /// not look at its caller's memory.
    #[must_use]
    pub fn owned(mut self) -> Self {
        for tensor in &mut self.tensors {
            tensor.data = std::mem::take(&mut tensor.data).into_vec().into();
        }
        self
    }

    /// As JSON text.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| self.value().to_string())
    }

    /// As a value.
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| {
            let text = self.text.get().map_or("{}", String::as_str);
            serde_json::from_str(text).unwrap_or_else(|_| Value::Object(serde_json::Map::new()))
        })
    }
}

impl From<Value> for Args {
    fn from(value: Value) -> Self {
        Self {
            value: OnceLock::from(value),
            ..Self::default()
        }
    }
}

/// A dense CPU array.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedTensor {
    /// Element type.
    pub dtype: DType,
    /// Sizes, in elements; compact row-major.
    pub shape: Vec<i64>,
    /// `product(shape) * bits * lanes / 8` bytes.
    pub data: Data,
}

impl OwnedTensor {
    /// The CPU.
    pub const DEVICE: Device = Device { kind: 1, id: 0 };
}

/// What a plugin answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// One JSON value.
    pub value: Value,
    /// Arrays beside it.
    pub tensors: Vec<OwnedTensor>,
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        Self {
            value,
            tensors: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_text_is_an_empty_object_and_bad_text_names_its_place() {
        assert_eq!(
            Args::from_text(" ").unwrap().value(),
            &serde_json::json!({})
        );
        let error = Args::from_text("{\"a\":}").unwrap_err();
        assert_eq!(error.code(), Code::AbiJson);
        assert!(error.message().contains("line 1 column 6"), "{error}");
    }
}
