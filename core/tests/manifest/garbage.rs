//! Whatever comes in, an answer comes out.

use super::with;
use plugward_core::manifest::Manifest;
use serde_json::{Map, Value, json};

/// SplitMix64 (Steele, Lea, Flood 2014): the same run every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}

const KEYS: [&str; 32] = [
    "name",
    "kind",
    "entrypoint",
    "id",
    "main",
    "type",
    "tools",
    "models",
    "limits",
    "gpu",
    "dependencies",
    "permissions",
    "resources",
    "restart",
    "probe",
    "input_schema",
    "inputs",
    "path",
    "sha256",
    "min_compute",
    "deadline_ms",
    "backoff_ms",
    "queue",
    "packages",
    "system",
    "$schema",
    "$ref",
    "",
    "naïve",
    "requiresGpu",
    "properties",
    "handler",
];

const WORDS: [&str; 12] = [
    "",
    "p",
    "python",
    "node",
    "a/b",
    "a:b",
    "\u{0}",
    "\u{202e}x",
    "^1.2",
    "é",
    "#",
    "7.0",
];

fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth == 0 { 6 } else { 9 }) {
        0 => Value::Null,
        1 => json!(dice.roll(2) == 0),
        2 => json!(dice.roll(1000) as i64 - 500),
        3 => json!(dice.roll(1000) as f64 * 1e300),
        4 => json!(u64::MAX),
        5 => json!(WORDS[dice.roll(WORDS.len())]),
        6 => (0..dice.roll(4)).map(|_| value(dice, depth - 1)).collect(),
        _ => Value::Object(
            (0..dice.roll(6))
                .map(|_| {
                    (
                        KEYS[dice.roll(KEYS.len())].to_owned(),
                        value(dice, depth - 1),
                    )
                })
                .collect::<Map<_, _>>(),
        ),
    }
}

/// Refused with a text and a manifest code, or understood and read back the same.
fn answered(input: Value) {
    match Manifest::from_value(input) {
        Ok(parsed) => {
            let again = Manifest::from_value(parsed.manifest.to_value()).unwrap();
            assert_eq!(again.manifest, parsed.manifest);
        }
        Err(error) => {
            assert!(error.code().as_str().starts_with("PW-MAN-"), "{error}");
            assert!(!error.message().is_empty());
        }
    }
}

#[test]
fn random_data() {
    let mut dice = Dice(1);
    for _ in 0..3000 {
        answered(value(&mut dice, 4));
    }
}

#[test]
fn one_random_key_in_a_good_manifest() {
    let mut dice = Dice(2);
    for _ in 0..3000 {
        let key = KEYS[dice.roll(KEYS.len())];
        let item = value(&mut dice, 3);
        answered(with(json!({ key: item })));
    }
}

#[test]
fn damaged_text() {
    let good =
        serde_json::to_string(&with(json!({"limits": {"queue": 1}, "tools": ["t"]}))).unwrap();
    let toml = "name = \"p\"\nkind = \"node\"\nentrypoint = \"x\"\n[limits]\nqueue = 1\n[[tools]]\nid = \"t\"\n";
    let mut dice = Dice(3);
    for _ in 0..2000 {
        for text in [good.as_str(), toml] {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=dice.roll(3) {
                let at = dice.roll(bytes.len());
                bytes[at] = b"{}[]\",:=\n\\ 0\x00\x7f"[dice.roll(14)];
            }
            let text = String::from_utf8_lossy(&bytes);
            let _ = Manifest::from_json_str(&text);
            let _ = Manifest::from_toml_str(&text);
        }
    }
}

#[test]
fn deep_nesting_is_refused_not_fatal() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(
            Manifest::from_json_str(&text).unwrap_err().code().as_str(),
            "PW-MAN-002"
        );
    }
    let toml = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        Manifest::from_toml_str(&toml).unwrap_err().code().as_str(),
        "PW-MAN-002"
    );
    let mut deep = json!(1);
    for _ in 0..100_000 {
        deep = Value::Array(vec![deep]);
    }
    let mut map = Map::new();
    map.insert("name".into(), deep);
    let error = Manifest::from_value(Value::Object(map)).unwrap_err();
    assert!(error.message().contains("nested deeper than"), "{error}");
}

#[test]
fn a_schema_as_deep_as_allowed_fits_a_small_stack() {
    let mut schema = json!({"type": "string"});
    for _ in 0..60 {
        schema = json!({"type": "object", "properties": {"a": schema}});
    }
    let value = with(json!({"tools": [{"id": "t", "input_schema": schema}]}));
    let small = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    small
        .spawn(move || super::read(value))
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn long_things_make_short_messages() {
    let long = "x".repeat(1_000_000);
    let error = super::refuse(with(json!({"name": long, long.clone(): 1, "kind": long})));
    assert!(error.to_value().to_string().len() < 20_000);
    let many: Map<String, Value> = (0..50_000).map(|n| (format!("k{n}"), json!(1))).collect();
    let error = super::refuse(Value::Object(many));
    assert!(error.to_value().to_string().len() < 200_000);
}
