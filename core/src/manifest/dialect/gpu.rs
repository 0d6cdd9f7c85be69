//! Short forms of `gpu`.

use super::Notes;
use serde_json::{Map, Value};

/// `gpu: true`, and a compute capability written as a number.
pub(super) fn shape(map: &mut Map<String, Value>, notes: &mut Notes) {
    if let Some(Value::Bool(needed)) = map.get("gpu").cloned() {
        map.remove("gpu");
        notes.add("gpu", "read as requires_gpu");
        map.entry("requires_gpu").or_insert(needed.into());
    }
    let Some(compute) = map
        .get_mut("gpu")
        .and_then(|gpu| gpu.get_mut("min_compute"))
    else {
        return;
    };
    if let Some(number) = compute.as_f64() {
        let text = if number.fract() == 0.0 {
            format!("{number:.1}")
        } else {
            number.to_string()
        };
        notes.add(
            "gpu.min_compute",
            format!("the number is read as \"{text}\""),
        );
        *compute = text.into();
    }
}
