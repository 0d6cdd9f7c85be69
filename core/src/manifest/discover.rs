//! Every plugin that a path leads to, the broken ones included: a plugin that cannot be read must
//! be listed with its reason, not be absent.

use super::file::{self, fallback_name};
use super::{Manifest, Parsed};
use crate::error::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// One plugin that was found, readable or not.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The manifest file, or the path that was given or met.
    pub path: PathBuf,
    /// The manifest, or why it cannot be used.
    pub result: Result<Parsed>,
    /// The name to list it under when the manifest is of no use.
    pub fallback_name: String,
}

/// Finds plugins: in a manifest file, a plugin's folder, or a folder of plugin folders.
///
/// Never fails as a whole. A path that is not there is one candidate with an error; a folder
/// without any plugin gives none. Subfolders come in the order of their names; hidden ones and
/// those without a manifest or a well-known script are passed over.
#[must_use]
pub fn discover(path: &Path) -> Vec<Candidate> {
    if !path.is_dir() || file::manifest_in(path).is_some() {
        return vec![candidate(path)];
    }
    let folders = match subfolders(path) {
        Ok(folders) => folders,
        Err(wrong) => return vec![failed(path, file::unreachable(path, &wrong))],
    };
    let found: Vec<Candidate> = folders
        .iter()
        .filter(|f| is_plugin(f))
        .map(|f| candidate(f))
        .collect();
    if found.is_empty() && file::script_in(path).is_some() {
        return vec![candidate(path)];
    }
    found
}

fn is_plugin(folder: &Path) -> bool {
    file::manifest_in(folder).is_some() || file::script_in(folder).is_some()
}

fn candidate(path: &Path) -> Candidate {
    let found = file::manifest_in(path).or_else(|| file::script_in(path));
    Candidate {
        result: Manifest::from_path(path),
        fallback_name: name_of(path),
        path: found.unwrap_or_else(|| path.to_path_buf()),
    }
}

fn failed(path: &Path, error: crate::error::Error) -> Candidate {
    Candidate {
        path: path.to_path_buf(),
        result: Err(error),
        fallback_name: name_of(path),
    }
}

/// `.` and `..` have no name of their own; the absolute path does.
fn name_of(path: &Path) -> String {
    let path = path.canonicalize().or_else(|_| std::path::absolute(path));
    let name = path
        .map(|path| fallback_name(&path))
        .unwrap_or_else(|_| "plugin".into());
    name.chars()
        .map(|c| if c.is_control() || c == '\\' { '_' } else { c })
        .collect()
}

fn subfolders(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(path)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && !is_hidden(path))
        .collect();
    folders.sort();
    Ok(folders)
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || matches!(&*name, "__pycache__" | "node_modules" | "target")
}
