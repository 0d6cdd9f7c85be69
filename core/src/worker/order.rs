//! What a worker is told when it begins, and what it answers.

use crate::manifest::{Manifest, ToolSpec};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a worker is told when it begins.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) manifest: Manifest,
    /// The manifest's folder, absolute.
    pub(super) dir: Option<PathBuf>,
    pub(super) generation: u32,
    /// The folder that the plugin may always write to.
    pub(super) scratch: PathBuf,
}

impl Order {
    pub(super) fn new(manifest: &Manifest, generation: u32, scratch: &Path) -> Self {
        let dir = manifest
            .dir
            .as_ref()
            .map(|d| std::path::absolute(d).unwrap_or_else(|_| d.clone()));
        Self {
            manifest: manifest.clone(),
            dir,
            generation,
            scratch: scratch.to_owned(),
        }
    }

    /// A path as the manifest writes it: relative to the manifest's folder.
    pub(super) fn path(&self, written: impl AsRef<Path>) -> PathBuf {
        match &self.dir {
            Some(dir) => dir.join(written),
            None => written.as_ref().to_owned(),
        }
    }
}

/// What it answers when it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Loaded {
    /// Its tools; empty means the manifest's.
    pub(super) tools: Vec<ToolSpec>,
    /// Which mechanism holds each limit and permission.
    pub(super) enforcement: Value,
}
