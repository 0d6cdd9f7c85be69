//! `docs/manifest.schema.json`: the manifest's schema, where readers and editors look for it.

use crate::generators::{NOTICE, Result};
use plugward_core::manifest::SCHEMA;

/// The core's schema with the notice as its first member: JSON has no comments.
pub(crate) fn make() -> Result<String> {
    let rest = SCHEMA
        .strip_prefix("{\n")
        .ok_or("schema.json does not begin with a brace")?;
    Ok(format!(
        "{{ \"$comment\": \"{NOTICE}\",\n{}\n",
        rest.trim_end()
    ))
}
