//! Manifests as text.

use crate::bytes::Text;
use crate::error::Error;
use crate::guard::guard;
use crate::ownership::{Out, Owned, Utf8};
use plugward_abi::Bytes;
use plugward_core::error::Result;
use plugward_core::manifest::{Manifest, Parsed, SCHEMA};

/// Reads JSON, which begins with a brace, or TOML.
pub(crate) fn parse(text: &str) -> Result<Parsed> {
    if text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('{')
    {
        Manifest::from_json_str(text)
    } else {
        Manifest::from_toml_str(text)
    }
}

/// The published JSON Schema of a manifest. Static.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_manifest_schema() -> Bytes {
    guard("plugward_manifest_schema", || {
        Ok(Bytes::borrow(SCHEMA.as_bytes()))
    })
}

/// Reads a manifest (JSON or TOML text) without loading it: `{"manifest": with every key spelled
/// out, "assumptions": [{"key", "message"}]}`. The error lists every problem found.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_manifest_read(manifest: Utf8, out: Out<Owned<Text>>) -> Owned<Error> {
    guard("plugward_manifest_read", || {
        let out = out.open("out")?;
        let Parsed {
            manifest,
            assumptions,
        } = parse(manifest.read("manifest")?)?;
        let value = serde_json::json!({
            "manifest": manifest.to_value(),
            "assumptions": assumptions,
        });
        out.set(Text::give(value.to_string()));
        Ok(())
    })
}
