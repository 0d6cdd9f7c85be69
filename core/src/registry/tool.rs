//! One tool of one generation: its compiled schemas, its latencies, the door's handle.

use crate::call::{BEYOND_TEXT, stand_ins};
use crate::error::{Code, Error, Result};
use crate::manifest::ToolSpec;
use crate::metrics::Histogram;
use jsonschema::Validator;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// One callable operation.
pub struct Tool {
    /// What the plugin says of it.
    pub spec: ToolSpec,
    /// How long it may take, where the tool says so.
    pub deadline: Option<Duration>,
    /// Its latencies, over all generations.
    pub latency: Arc<Histogram>,
    /// The door's own.
    pub handle: Option<Arc<dyn Any + Send + Sync>>,
    input: Option<Validator>,
    output: Option<Validator>,
}

impl Tool {
    /// Compiles the schemas.
    ///
    /// # Errors
    /// [`Code::ManifestBadSchema`], naming the tool.
    pub fn new(
        spec: ToolSpec,
        handle: Option<Arc<dyn Any + Send + Sync>>,
        latency: Arc<Histogram>,
    ) -> Result<Self> {
        let input = compile(&spec.id, "input_schema", spec.input_schema.as_ref())?;
        let output = compile(&spec.id, "output_schema", spec.output_schema.as_ref())?;
        let deadline = spec.deadline_ms.map(Duration::from_millis);
        Ok(Self {
            spec,
            deadline,
            latency,
            handle,
            input,
            output,
        })
    }

    /// Whether there is an input schema to check against.
    #[must_use]
    pub fn checks_input(&self) -> bool {
        self.input.is_some()
    }

    /// Whether there is an output schema to check against.
    #[must_use]
    pub fn checks_output(&self) -> bool {
        self.output.is_some()
    }

    /// Validates arguments.
    ///
    /// # Errors
    /// [`Code::CallInvalidInput`] naming the places.
    pub fn check_input(&self, args: &Value) -> Result<()> {
        self.check_input_except(args, &[])
    }

    /// Validates arguments, of which the values at the `opaque` JSON pointers have no JSON form
    /// (arrays, buffers): what a schema says of their inside is not checked.
    ///
    /// # Errors
    /// [`Code::CallInvalidInput`] naming the places.
    pub fn check_input_except(&self, args: &Value, opaque: &[String]) -> Result<()> {
        check(
            self.input.as_ref(),
            args,
            opaque,
            Code::CallInvalidInput,
            &self.spec.id,
        )
    }

    /// Validates a result.
    ///
    /// # Errors
    /// [`Code::CallInvalidOutput`] naming the places.
    pub fn check_output(&self, result: &Value) -> Result<()> {
        self.check_output_except(result, &[])
    }

    /// Validates a result, of which the values at the `opaque` JSON pointers have no JSON form.
    ///
    /// # Errors
    /// [`Code::CallInvalidOutput`] naming the places.
    pub fn check_output_except(&self, result: &Value, opaque: &[String]) -> Result<()> {
        check(
            self.output.as_ref(),
            result,
            opaque,
            Code::CallInvalidOutput,
            &self.spec.id,
        )
    }
}

fn compile(tool: &str, which: &str, schema: Option<&Value>) -> Result<Option<Validator>> {
    match schema {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) if map.is_empty() => Ok(None),
        Some(schema) => jsonschema::validator_for(schema).map(Some).map_err(|e| {
            Error::new(Code::ManifestBadSchema).with_message(format!(
                "{which} of tool \"{tool}\" at {}: {e}",
                place(e.instance_path().as_str())
            ))
        }),
    }
}

/// How many violations one error names.
const NAMED: usize = 8;

fn check(
    validator: Option<&Validator>,
    value: &Value,
    opaque: &[String],
    code: Code,
    tool: &str,
) -> Result<()> {
    let Some(validator) = validator else {
        return Ok(());
    };
    let unmarked = stand_ins(value);
    let seen = match unmarked.is_empty() {
        true => std::slice::from_ref(value),
        false => &unmarked,
    };
    let fits = |value| opaque.is_empty() && validator.is_valid(value);
    let Some(problems) = seen
        .iter()
        .filter(|value| !fits(value))
        .map(|value| problems(validator, value, opaque, !unmarked.is_empty()))
        .find(|problems| !problems.is_empty())
    else {
        return Ok(());
    };
    let Some((at, text)) = problems.first() else {
        return Ok(());
    };
    let details = problems
        .iter()
        .map(|(at, text)| serde_json::json!({"at": at, "problem": text}));
    Err(Error::new(code)
        .with_message(format!("{tool}: at {at}: {text}"))
        .with_details(details.collect()))
}

fn problems(
    validator: &Validator,
    value: &Value,
    opaque: &[String],
    marked: bool,
) -> Vec<(String, String)> {
    let words = |text: String| match marked {
        true => text
            .replace(&format!("-{BEYOND_TEXT}"), NOT_FINITE)
            .replace(BEYOND_TEXT, NOT_FINITE),
        false => text,
    };
    validator
        .iter_errors(value)
        .map(|e| (e.instance_path().as_str().to_owned(), e.to_string()))
        .filter(|(at, _)| !opaque.iter().any(|o| at == o))
        .take(NAMED)
        .map(|(at, text)| (place(&at).to_owned(), short(words(text))))
        .collect()
}

/// What a message says where the schema saw a stand-in.
const NOT_FINITE: &str = "a number that is not finite";

fn place(pointer: &str) -> &str {
    if pointer.is_empty() {
        "the top"
    } else {
        pointer
    }
}

/// A violation's text quotes the value, which may be a whole image.
fn short(text: String) -> String {
    const MOST: usize = 300;
    if text.len() <= MOST {
        return text;
    }
    let head: String = text.chars().take(MOST / 2).collect();
    let tail: String = text.chars().rev().take(MOST / 4).collect();
    format!("{head} ... {}", tail.chars().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(schema: Value) -> Result<Tool> {
        let spec = ToolSpec {
            id: "t".into(),
            input_schema: Some(schema),
            ..ToolSpec::default()
        };
        Tool::new(spec, None, Arc::default())
    }

    #[test]
    fn a_violation_names_its_place_and_stays_short() {
        let tool =
            tool(json!({"properties": {"n": {"type": "integer"}}, "required": ["n"]})).unwrap();
        let error = tool
            .check_input(&json!({"n": "x".repeat(10_000)}))
            .unwrap_err();
        assert!(error.message().contains("/n"), "{error}");
        assert!(error.message().len() < 500);
        let error = tool.check_input(&json!({})).unwrap_err();
        assert!(
            error.message().contains("\"n\" is a required property"),
            "{error}"
        );
        tool.check_input(&json!({"n": 1})).unwrap();
    }

    #[test]
    fn opaque_values_are_there_but_not_looked_into() {
        let tool =
            tool(json!({"properties": {"a": {"type": "string"}}, "required": ["a", "b"]})).unwrap();
        let opaque = vec!["/a".to_owned()];
        let error = tool
            .check_input_except(&json!({"a": null}), &opaque)
            .unwrap_err();
        assert!(error.message().contains("\"b\""), "{error}");
        tool.check_input_except(&json!({"a": null, "b": 1}), &opaque)
            .unwrap();
    }

    #[test]
    fn nan_and_the_infinities_are_numbers_beyond_every_limit() {
        let number = tool(json!({"type": "number"})).unwrap();
        let whole = tool(json!({"type": "integer"})).unwrap();
        let least = tool(json!({"type": "number", "minimum": 0})).unwrap();
        let mark = crate::call::number_mark;
        for (text, in_range) in [("nan", false), ("inf", true), ("-inf", false)] {
            number.check_input(&mark(text)).unwrap();
            assert_eq!(least.check_input(&mark(text)).is_ok(), in_range, "{text}");
            let error = whole.check_input(&mark(text)).unwrap_err();
            assert!(
                error
                    .message()
                    .contains("a number that is not finite is not"),
                "{error}"
            );
        }
        whole.check_input(&mark("0x10000000000000000")).unwrap();
    }

    #[test]
    fn a_bad_schema_names_its_tool() {
        let error = tool(json!({"type": "no such type"})).err().unwrap();
        assert_eq!(error.code(), Code::ManifestBadSchema);
        assert!(error.message().contains("\"t\""), "{error}");
    }
}
