//! From a path to a manifest: the file itself, the file in a plugin's folder, or a bare script.

use super::problem::{self, Problem};
use super::{Assumption, Parsed, parse};
use crate::error::{Code, Error, Result};
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest manifest, in bytes.
pub const MANIFEST_LIMIT: usize = 4 * 1024 * 1024;

/// The names under which a folder's manifest is looked for, in this order.
pub const MANIFEST_NAMES: [&str; 4] = [
    "manifest.json",
    "manifest.toml",
    "plugward.json",
    "plugward.toml",
];

/// Scripts that make a folder a plugin when it has no manifest.
pub(super) const SCRIPT_NAMES: [&str; 7] = [
    "plugin.py",
    "plugin.js",
    "plugin.mjs",
    "plugin.cjs",
    "index.js",
    "index.mjs",
    "index.cjs",
];

/// Reads what `path` leads to.
pub(super) fn read(path: &Path) -> Result<Parsed> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let about = fs::metadata(&path).map_err(|wrong| unreachable(&path, &wrong))?;
    if about.is_dir() {
        let found = manifest_in(&path).or_else(|| script_in(&path));
        return read_file(&found.ok_or_else(|| no_manifest(&path))?);
    }
    read_file(&path)
}

/// The manifest of a folder, if it has one.
pub(super) fn manifest_in(folder: &Path) -> Option<PathBuf> {
    MANIFEST_NAMES
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists())
}

/// The script that makes a folder without a manifest a plugin.
pub(super) fn script_in(folder: &Path) -> Option<PathBuf> {
    SCRIPT_NAMES
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

fn read_file(path: &Path) -> Result<Parsed> {
    let folder = path.parent().map(Path::to_path_buf);
    if is_script(path) {
        return bare(path, folder.as_deref());
    }
    let text = parse::utf8(bytes(path)?, path)?;
    let value = if is_toml(path, &text) {
        parse::toml(&text, Some(path))
    } else {
        parse::json(&text, Some(path))
    }?;
    parse::understand(value, folder.as_deref(), Some(path))
}

/// Reads at most [`MANIFEST_LIMIT`] bytes of a regular file: a pipe would hang the load.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    let about = fs::metadata(path).map_err(|wrong| unreachable(path, &wrong))?;
    if !about.is_file() {
        return Err(irregular(path));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MANIFEST_LIMIT as u64 + 1).read_to_end(&mut bytes))
        .map_err(|wrong| unreachable(path, &wrong))?;
    if bytes.len() > MANIFEST_LIMIT {
        return Err(parse::too_large(Some(path)));
    }
    Ok(bytes)
}

fn is_toml(path: &Path, text: &str) -> bool {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some(ending) if ending.eq_ignore_ascii_case("toml") => true,
        Some(ending) if ending.eq_ignore_ascii_case("json") => false,
        // Some other ending: a JSON manifest begins with a brace.
        _ => !text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with('{'),
    }
}

fn is_script(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    super::dialect::kind_of_file(&name).is_some()
}

/// A script or library without a manifest: everything but its place is the default.
fn bare(path: &Path, folder: Option<&Path>) -> Result<Parsed> {
    bytes_exist(path)?;
    let file = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let name = fallback_name(path);
    let message = format!("there is no manifest; \"{file}\" is the plugin \"{name}\"");
    let value: Map<String, Value> = [
        ("name".into(), name.into()),
        ("entrypoint".into(), file.into()),
    ]
    .into_iter()
    .collect();
    let mut parsed = parse::understand(Value::Object(value), folder, Some(path))?;
    parsed.assumptions.insert(
        0,
        Assumption {
            key: String::new(),
            message,
        },
    );
    Ok(parsed)
}

/// A bare file is run, not read, here; but it must be there.
fn bytes_exist(path: &Path) -> Result<()> {
    let about = fs::metadata(path).map_err(|wrong| unreachable(path, &wrong))?;
    if about.is_file() {
        Ok(())
    } else {
        Err(irregular(path))
    }
}

/// The name of a plugin whose manifest states none: its folder's, or a bare Python file's or
/// library's own.
pub(super) fn fallback_name(path: &Path) -> String {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let file = text(path.file_name());
    let folder = text(path.parent().and_then(Path::file_name));
    let stem = file.split('.').next().unwrap_or_default().to_owned();
    let own = match super::dialect::kind_of_file(&file) {
        Some("python") if !matches!(&*stem, "plugin" | "main" | "__init__") => stem,
        Some("native") => stem.strip_prefix("lib").unwrap_or(&stem).to_owned(),
        // A path that leads nowhere is called what it is called itself, not what is around it.
        _ if path.is_dir() || !path.exists() => file,
        _ => folder,
    };
    if own.is_empty() { "plugin".into() } else { own }
}

fn no_manifest(folder: &Path) -> Error {
    let names = MANIFEST_NAMES.join(", ");
    let text = format!("the folder holds none of {names}");
    problem::single(Problem::new(Code::ManifestNotFound, "", text), Some(folder))
}

/// Not there, or there but refused by the operating system.
pub(super) fn unreachable(path: &Path, wrong: &std::io::Error) -> Error {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    if matches!(wrong.kind(), NotFound | NotADirectory) {
        let problem = Problem::new(
            Code::ManifestNotFound,
            "",
            "there is no such file or folder",
        );
        return problem::single(problem, Some(path));
    }
    unreadable(path, &wrong.to_string())
}

fn unreadable(path: &Path, why: &str) -> Error {
    problem::single(refused(why), Some(path))
}

/// A device, a pipe, a folder: no permission in the world makes a manifest of it.
fn irregular(path: &Path) -> Error {
    let problem = refused("it is not a regular file");
    let remedy = "name a manifest's file, or the folder of a plugin";
    problem::single(problem.with_remedy(remedy), Some(path))
}

fn refused(why: &str) -> Problem {
    let text = format!("it cannot be read: {why}");
    Problem::new(Code::ManifestUnreadable, "", text)
}
