//! How JSON says "here belongs an array": the arrays themselves travel beside it.

use super::exact::{key_text, read_items};
use serde_json::{Map, Value, json};

/// The member that marks a place: `{"plugward.buffer": 0, "as": "array"}` stands for the first
/// tensor beside the value.
pub const BUFFER: &str = "plugward.buffer";

/// The mark for tensor `number`, to be given back as `form`.
#[must_use]
pub fn buffer_mark(number: usize, form: &str) -> Value {
    json!({BUFFER: number, "as": form})
}

/// The number and form of a mark; `None` for every other object.
#[must_use]
pub fn read_mark(object: &Map<String, Value>) -> Option<(usize, &str)> {
    let number = usize::try_from(object.get(BUFFER)?.as_u64()?).ok()?;
    Some((number, object.get("as")?.as_str()?)).filter(|_| object.len() == 2)
}

/// The JSON pointers of all marks: what a schema says of them cannot be checked. Where keys are no text, the
/// pointers are those of what a schema sees.
#[must_use]
pub fn buffer_places(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, &mut String::new(), &mut found);
    found
}

fn walk(value: &Value, pointer: &mut String, found: &mut Vec<String>) {
    let length = pointer.len();
    let mut inside = |step: &str, item: &Value| {
        pointer.push('/');
        pointer.push_str(step);
        walk(item, pointer, found);
        pointer.truncate(length);
    };
    match value {
        Value::Object(map) if read_mark(map).is_some() => found.push(pointer.clone()),
        Value::Object(map) => {
            let mut member =
                |key: &str, item| inside(&key.replace('~', "~0").replace('/', "~1"), item);
            match read_items(map) {
                Some(pairs) => pairs
                    .iter()
                    .for_each(|(key, item)| member(&key_text(key), item)),
                None => map.iter().for_each(|(key, item)| member(key, item)),
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                inside(&at.to_string(), item);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_stand() {
        let keyed = super::super::items_mark(vec![json!([7, buffer_mark(1, "bytes")])]);
        let value =
            json!({"a/b": [1, buffer_mark(0, "array")], "c": {BUFFER: 1}, "d": null, "e": keyed});
        assert_eq!(buffer_places(&value), ["/a~1b/1", "/e/7"]);
        let mark = value.pointer("/a~1b/1").and_then(Value::as_object);
        assert_eq!(mark.and_then(read_mark), Some((0, "array")));
    }
}
