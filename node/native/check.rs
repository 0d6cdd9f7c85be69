//! The dependency check as this door makes it; nothing is loaded.

use crate::guard::Thrown;
use crate::packages;
use crate::runtime::{NativeRuntime, to_json};
use crate::signal::Signal;
use crate::words::{millis, read};
use napi_derive::napi;
use plugward_core::Result;
use plugward_core::check::{
    CheckOptions, Finding, Progress, check_beyond, check_foreign_packages, check_with,
};
use plugward_core::manifest::{Kind, Manifest};
use serde::Deserialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// `CheckOptions` of the TypeScript package, and what is to be checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    /// A manifest's file or its plugin's folder.
    path: Option<String>,
    /// Else the manifest itself, as JSON.
    manifest: Option<String>,
    /// The folder that its paths are relative to.
    dir: Option<PathBuf>,
    /// Node, where packages are to be imported.
    program: Option<PathBuf>,
    /// How long one import may take.
    import_timeout_ms: f64,
    /// Whether `progress` is to be signalled.
    progress: bool,
}

#[napi]
impl NativeRuntime {
    /// Checks what a manifest asks for; `asked` is JSON. Signals `progress` of large files, and
    /// `done` with the findings.
    #[napi]
    pub fn check(&self, id: f64, asked: String) -> std::result::Result<(), Thrown> {
        let signal = Arc::clone(&self.signal);
        self.aside(id, move || {
            let asked = read::<Asked>(&asked)?;
            let bound = millis(asked.import_timeout_ms, "importTimeoutMs")?;
            let manifest = manifest_of(&asked)?;
            let progress = asked.progress.then(|| teller(signal, id as u64));
            let deep = asked.program.as_deref().map(|program| (program, bound));
            Ok(to_json(&findings(&manifest, progress, deep)))
        })
    }
}

fn manifest_of(asked: &Asked) -> Result<Manifest> {
    let parsed = match &asked.path {
        Some(path) => Manifest::from_path(Path::new(path))?,
        None => Manifest::from_json_str(asked.manifest.as_deref().unwrap_or_default())?,
    };
    let mut manifest = parsed.manifest;
    manifest.dir = asked.dir.clone().or(manifest.dir);
    Ok(manifest)
}

fn teller(signal: Arc<Signal>, id: u64) -> Progress {
    Arc::new(move |path, done, total| {
        let told = json!({"path": path, "done": done, "total": total});
        signal.send("progress", id, told.to_string());
    })
}

/// What a load would find, and what it finds out by entering the plugin.
fn findings(
    manifest: &Manifest,
    progress: Option<Progress>,
    deep: Option<(&Path, Duration)>,
) -> Vec<Finding> {
    let mut options = CheckOptions::default();
    options.model.progress = progress;
    let mut findings = check_with(manifest, &options);
    let packages = match manifest.kind {
        Kind::Node => packages::check(manifest),
        _ => check_foreign_packages(manifest),
    };
    let tried = deep.filter(|_| manifest.kind == Kind::Node);
    let tried = tried.map(|(node, bound)| packages::imported(manifest, &packages, node, bound));
    findings.extend(packages);
    findings.extend(tried.unwrap_or_default());
    findings.extend(check_beyond(manifest));
    findings
}
