//! The dependency check of a manifest, without loading it.

use crate::bytes::Text;
use crate::error::Error;
use crate::guard::guard;
use crate::manifest::parse;
use crate::ownership::{Out, Owned, Utf8};
use plugward_core::check::{check, check_beyond, check_foreign_packages};
use plugward_core::manifest::Manifest;
use std::path::Path;

fn findings(manifest: &Manifest) -> String {
    let mut findings = check(manifest);
    findings.extend(check_beyond(manifest));
    findings.extend(check_foreign_packages(manifest));
    serde_json::to_string(&findings).unwrap_or_else(|_| "[]".to_owned())
}

/// Checks what a manifest (JSON or TOML text) asks for, good findings too: a JSON array of
/// `{"kind", "subject", "ok", "code", "cause", "message", "remedy", "took_us"}`. Nothing is loaded,
/// no package imported, no CUDA initialised. Python packages are not looked at, which a finding says;
/// npm packages are.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_check_manifest(manifest: Utf8, out: Out<Owned<Text>>) -> Owned<Error> {
    guard("plugward_check_manifest", || {
        let out = out.open("out")?;
        let parsed = parse(manifest.read("manifest")?)?;
        out.set(Text::give(findings(&parsed.manifest)));
        Ok(())
    })
}

/// The same for a manifest file or a plugin's folder; its paths are relative to it.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_check_path(path: Utf8, out: Out<Owned<Text>>) -> Owned<Error> {
    guard("plugward_check_path", || {
        let out = out.open("out")?;
        let parsed = Manifest::from_path(Path::new(path.read("path")?))?;
        out.set(Text::give(findings(&parsed.manifest)));
        Ok(())
    })
}
