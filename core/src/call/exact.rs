//! How JSON says what it has no words for, so that it crosses unchanged: whole numbers beyond 64 bits, NaN, the
//! infinities, and keys that are no text.

use serde_json::{Map, Number, Value, json};

/// The member that marks a number: `{"plugward.number": "nan"}`.
pub const NUMBER: &str = "plugward.number";

/// The member that marks an object with keys that are no text: `{"plugward.items": [[7, "a"]]}`.
pub const ITEMS: &str = "plugward.items";

/// The mark for a number: `nan`, `inf`, `-inf`, or a whole number in hexadecimal (`-0x1f`).
#[must_use]
pub fn number_mark(text: &str) -> Value {
    json!({NUMBER: text})
}

/// The text of a number's mark; `None` for every other object.
#[must_use]
pub fn read_number(object: &Map<String, Value>) -> Option<&str> {
    let text = object.get(NUMBER)?.as_str()?;
    let digits = || text.strip_prefix('-').unwrap_or(text).strip_prefix("0x");
    let is_hex = |d: &str| !d.is_empty() && d.bytes().all(|b| b.is_ascii_hexdigit());
    let is_whole = || digits().is_some_and(is_hex);
    let known = ["nan", "inf", "-inf"].contains(&text) || is_whole();
    (object.len() == 1 && known).then_some(text)
}

/// The mark for an object of these pairs.
#[must_use]
pub fn items_mark(pairs: Vec<Value>) -> Value {
    json!({ITEMS: pairs})
}

/// Keys and values of such a mark; `None` for every other object.
#[must_use]
pub fn read_items(object: &Map<String, Value>) -> Option<Vec<(&Value, &Value)>> {
    let pairs = object
        .get(ITEMS)
        .filter(|_| object.len() == 1)?
        .as_array()?;
    let pair = |pair: &'_ Value| pair.as_array().filter(|p| p.len() == 2).is_some();
    let all = pairs.iter().all(pair);
    let each = pairs.iter().filter_map(Value::as_array);
    all.then(|| each.map(|pair| (&pair[0], &pair[1])).collect())
}

/// A key as JSON writes it where it must be text.
pub(super) fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Object(map) => read_number(map).unwrap_or_default().to_owned(),
        other => other.to_string(),
    }
}

/// What a schema sees in the place of an infinity: beyond every limit that means anything, and no
/// whole number.
const BEYOND: f64 = 4_503_599_627_370_495.5;

/// The same as a message quotes it.
pub(crate) const BEYOND_TEXT: &str = "4503599627370495.5";

/// What a schema is asked about in the place of a value with marks; all of it must fit. Empty where
/// there is none.
///
/// A number beyond 64 bits is the nearest float, an infinity is a large number that is not whole, and
/// NaN is both ends at once: so it is a number, and within no limits. Keys are text.
pub(crate) fn stand_ins(value: &Value) -> Vec<Value> {
    let mut found = Found::default();
    seek(value, &mut found);
    match found {
        Found { any: false, .. } => Vec::new(),
        Found { nan: false, .. } => vec![stand_in(value, BEYOND)],
        Found { nan: true, .. } => vec![stand_in(value, BEYOND), stand_in(value, -BEYOND)],
    }
}

#[derive(Default)]
struct Found {
    any: bool,
    nan: bool,
}

fn seek(value: &Value, found: &mut Found) {
    match value {
        Value::Object(map) => {
            let number = read_number(map);
            found.nan |= number == Some("nan");
            found.any |= number.is_some() || map.contains_key(ITEMS);
            map.values().for_each(|item| seek(item, found));
        }
        Value::Array(items) => items.iter().for_each(|item| seek(item, found)),
        _ => {}
    }
}

fn stand_in(value: &Value, nan: f64) -> Value {
    match value {
        Value::Object(map) => {
            if let Some(text) = read_number(map) {
                return Number::from_f64(near(text, nan)).map_or(Value::Null, Value::Number);
            }
            let inside = |(key, item): (String, &Value)| (key, stand_in(item, nan));
            match read_items(map) {
                Some(pairs) => {
                    let pairs = pairs.into_iter().map(|(k, item)| (key_text(k), item));
                    Value::Object(pairs.map(inside).collect())
                }
                None => Value::Object(map.iter().map(|(k, i)| inside((k.clone(), i))).collect()),
            }
        }
        Value::Array(items) => items.iter().map(|item| stand_in(item, nan)).collect(),
        plain => plain.clone(),
    }
}

fn near(text: &str, nan: f64) -> f64 {
    match text {
        "nan" => nan,
        "inf" => BEYOND,
        "-inf" => -BEYOND,
        whole => {
            let digits = whole.trim_start_matches('-').trim_start_matches("0x");
            let digit = |n: f64, c: char| n * 16.0 + f64::from(c.to_digit(16).unwrap_or(0));
            let size = digits.chars().fold(0.0, digit).min(f64::MAX);
            if whole.starts_with('-') { -size } else { size }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_sees_numbers_and_text_keys() {
        let value = json!({"a": number_mark("0x100000000000000000"), "b": items_mark(vec![json!([7, "x"])])});
        assert_eq!(
            stand_ins(&value),
            [json!({"a": 2f64.powi(68), "b": {"7": "x"}})]
        );
        assert!(stand_ins(&json!({"a": [1, {NUMBER: "many"}]})).is_empty());
        let ends = stand_ins(&json!([number_mark("nan"), number_mark("-inf")]));
        assert_eq!(ends, [json!([BEYOND, -BEYOND]), json!([-BEYOND, -BEYOND])]);
        assert_eq!(json!(BEYOND).to_string(), BEYOND_TEXT);
        let huge = format!("-0x{}", "f".repeat(400));
        assert_eq!(stand_ins(&number_mark(&huge)), [json!(-f64::MAX)]);
    }

    #[test]
    fn only_whole_marks_are_marks() {
        let read = |value: Value| value.as_object().and_then(read_number).map(str::to_owned);
        assert_eq!(read(number_mark("-0x1F")).as_deref(), Some("-0x1F"));
        for other in [
            json!({NUMBER: "nan", "b": 1}),
            json!({NUMBER: 1}),
            json!({NUMBER: "12"}),
        ] {
            assert_eq!(read(other), None);
        }
        let items = json!({ITEMS: [[1, 2], [3]]});
        assert!(items.as_object().and_then(read_items).is_none());
    }
}
