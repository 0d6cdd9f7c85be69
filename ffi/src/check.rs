//! The dependency check of a manifest, without loading it.

use crate::bytes::Text;
use crate::error::Error;
use crate::guard::guard;
use crate::manifest::parse;
use crate::ownership::{Out, Owned, Utf8};
use plugward_core::check::{Finding, Subject, check};
use plugward_core::manifest::Manifest;
use std::path::Path;

fn findings(manifest: &Manifest) -> String {
    let mut findings = check(manifest);
    findings.extend(not_looked_at(manifest.dependencies.len()));
    serde_json::to_string(&findings).unwrap_or_else(|_| "[]".to_owned())
}

/// Packages that nobody looked at must not look like packages that are there.
fn not_looked_at(packages: usize) -> Option<Finding> {
    let message = format!("{packages} packages were not looked at");
    let note = "this door knows no interpreter; ask the Python or the Node door";
    (packages > 0).then(|| Finding::ok(Subject::Package, "packages", message).with_cause(note))
}

/// Checks what a manifest (JSON or TOML text) asks for, good findings too: a JSON array of
/// `{"kind", "subject", "ok", "code", "cause", "message", "remedy", "took_us"}`. Nothing is loaded,
/// no package imported, no CUDA initialised. Packages are not looked at, which a finding says.
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
