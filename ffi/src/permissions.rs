//! What a plugin may do, told to people.

use crate::bytes::Text;
use crate::error::Error;
use crate::guard::guard;
use crate::manifest::parse;
use crate::ownership::{Out, Owned, Utf8};
use plugward_core::manifest::Manifest;
use plugward_core::permissions::describe;
use std::path::Path;

fn described(manifest: &Manifest) -> String {
    serde_json::to_string(&describe(manifest)).unwrap_or_else(|_| "{}".to_owned())
}

/// What a plugin of that manifest (JSON or TOML text) may do, and what enforces it on this machine:
/// `{"plugin", "manifest", "isolation", "confined", "clauses": [{"subject", "allowed", "values",
/// "text", "line", "mechanism", "enforced"}]}`. Nothing is loaded.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_permissions_manifest(
    manifest: Utf8,
    out: Out<Owned<Text>>,
) -> Owned<Error> {
    guard("plugward_permissions_manifest", || {
        let out = out.open("out")?;
        let parsed = parse(manifest.read("manifest")?)?;
        out.set(Text::give(described(&parsed.manifest)));
        Ok(())
    })
}

/// The same for a manifest file or a plugin's folder; its paths are relative to it.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_permissions_path(path: Utf8, out: Out<Owned<Text>>) -> Owned<Error> {
    guard("plugward_permissions_path", || {
        let out = out.open("out")?;
        let parsed = Manifest::from_path(Path::new(path.read("path")?))?;
        out.set(Text::give(described(&parsed.manifest)));
        Ok(())
    })
}
