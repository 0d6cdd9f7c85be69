//! What a worker is told when it begins, and what it answers.

use crate::manifest::{Manifest, ToolSpec};
use crate::permissions;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The entry of [`Order::held`] that says why there is no control group.
pub(super) const NO_CGROUP: &str = "cgroup v2";

/// What a worker is told when it begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) manifest: Manifest,
    /// The manifest's folder, absolute.
    dir: Option<PathBuf>,
    /// The manifest's file.
    file: Option<PathBuf>,
    pub(super) generation: u32,
    /// Whether the generation before still serves.
    pub(super) replaces: bool,
    /// The folder that the plugin may always write to.
    pub(super) scratch: PathBuf,
    /// What the host holds already, by limit; and why it has no control group for it.
    pub(super) held: BTreeMap<String, String>,
    /// The most memory where the manifest names none; held by the host alone.
    pub(super) default_memory_mb: Option<u64>,
    /// Names of the host's environment variables that the plugin does not see.
    pub(super) withheld: Vec<String>,
    /// Where the worker's interpreter finds modules; the worker itself knows.
    #[serde(skip)]
    pub(super) code: Vec<PathBuf>,
}

impl Order {
    pub(super) fn new(
        manifest: &Manifest,
        generation: u32,
        scratch: &Path,
        held: BTreeMap<String, String>,
    ) -> Self {
        let absolute = |p: &PathBuf| std::path::absolute(p).unwrap_or_else(|_| p.clone());
        Self {
            manifest: manifest.clone(),
            dir: manifest.dir.as_ref().map(absolute),
            file: manifest.file.as_ref().map(absolute),
            generation,
            replaces: false,
            scratch: scratch.to_owned(),
            held,
            default_memory_mb: None,
            withheld: permissions::withheld(manifest),
            code: Vec::new(),
        }
    }

    /// As the worker reads it: its manifest knows its places again.
    pub(super) fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut order: Self = serde_json::from_slice(bytes)?;
        order.manifest.dir.clone_from(&order.dir);
        order.manifest.file.clone_from(&order.file);
        Ok(order)
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
