//! The manifest: what a plugin says of itself, in JSON or TOML.
//!
//! Reading has five steps, one file each: text to data (`parse`), the dialects of the first hosts
//! to Plugward's own words (`dialect`), data against the published [`SCHEMA`] (`validate`), what
//! a schema cannot say (`semantic`), data to [`Manifest`]. Every problem is collected and told at
//! once; each names its place as a JSON pointer.
//!
//! Rejected: `serde(deny_unknown_fields)` alone, which stops at the first problem and knows
//! neither the nearest key nor the place.

mod dialect;
mod discover;
mod expect;
mod file;
mod interpreter;
mod nearest;
mod parse;
mod parts;
mod problem;
mod semantic;
mod strict;
mod validate;

pub use discover::{Candidate, discover};
pub use file::{MANIFEST_LIMIT, MANIFEST_NAMES};
pub use nearest::nearest;
pub use parts::{
    FailsOn, Gpu, Isolation, Kind, Limits, Model, Permissions, Probe, Restart, RestartPolicy,
    ToolSpec,
};

use crate::error::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The published JSON Schema (draft 2020-12) of a manifest; also `docs/manifest.schema.json`.
pub const SCHEMA: &str = include_str!("schema.json");

/// What a plugin says of itself. `docs/manifest.schema.json` describes every member.
///
/// `Deserialize` trusts its input; use the `from_` functions for anything a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The unique name.
    pub name: String,
    /// The plugin's own version.
    #[serde(default = "parts::default_version")]
    pub version: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// What runs the plugin.
    pub kind: Kind,
    /// Where its code is; empty for [`Kind::Host`].
    #[serde(default)]
    pub entrypoint: String,
    /// Where calls run; `None` means the default of the kind.
    #[serde(default)]
    pub isolation: Option<Isolation>,
    /// Whether it is UNAVAILABLE without a usable GPU.
    #[serde(default)]
    pub requires_gpu: bool,
    /// What the GPU must offer.
    #[serde(default)]
    pub gpu: Gpu,
    /// Packages that must be installed, as requirement strings.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// Range of Python versions, or the plugin's own interpreter; see
    /// [`Manifest::python_range`] and [`Manifest::python_interpreter`].
    #[serde(default)]
    pub python: Option<String>,
    /// Environment variables that must be set.
    #[serde(default)]
    pub env: Vec<String>,
    /// Programs that must be on PATH.
    #[serde(default)]
    pub executables: Vec<String>,
    /// Programs that some of its tools use: told where they are missing, and no reason not to load.
    #[serde(default)]
    pub optional_executables: Vec<String>,
    /// Model files by name.
    #[serde(default)]
    pub models: BTreeMap<String, Model>,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// What makes it FAILED.
    #[serde(default)]
    pub fails_on: FailsOn,
    /// When it is restarted without being asked.
    #[serde(default)]
    pub restart: Restart,
    /// Warm workers kept ready.
    #[serde(default)]
    pub spares: u32,
    /// What it may touch.
    #[serde(default)]
    pub permissions: Permissions,
    /// Whether loading is refused where permissions cannot be enforced.
    #[serde(default)]
    pub require_enforcement: bool,
    /// Plugins that start before this one.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// A golden call made at load.
    #[serde(default)]
    pub probe: Option<Probe>,
    /// The plugin's own settings.
    #[serde(default)]
    pub config: serde_json::Map<String, Value>,
    /// The key of a result that marks an error.
    #[serde(default)]
    pub error_field: Option<String>,
    /// The operations.
    #[serde(default)]
    pub tools: Vec<ToolSpec>,
    /// The folder of the manifest's file, to which its paths are relative.
    #[serde(skip)]
    pub dir: Option<PathBuf>,
    /// The file that it was read from, to be read again by a reload.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// Something that the manifest left open or said in another host's words, and how it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// The key as it stands in the manifest, dotted where nested: `limits.queue`.
    pub key: String,
    /// What was assumed.
    pub message: String,
}

/// A manifest that was understood, with what had to be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The manifest.
    pub manifest: Manifest,
    /// What was assumed; empty for a manifest in Plugward's own words.
    pub assumptions: Vec<Assumption>,
}

impl Manifest {
    /// Reads JSON text.
    ///
    /// # Errors
    /// The `Manifest*` codes; `details.problems` lists every problem found.
    pub fn from_json_str(text: &str) -> Result<Parsed> {
        parse::understand(parse::json(text, None)?, None, None)
    }

    /// Reads TOML text.
    ///
    /// # Errors
    /// As [`Manifest::from_json_str`].
    pub fn from_toml_str(text: &str) -> Result<Parsed> {
        parse::understand(parse::toml(text, None)?, None, None)
    }

    /// Reads data that is already in memory.
    ///
    /// # Errors
    /// As [`Manifest::from_json_str`], without syntax errors.
    pub fn from_value(value: Value) -> Result<Parsed> {
        parse::understand(value, None, None)
    }

    /// Reads a manifest file, a plugin folder, or a bare script or library.
    ///
    /// # Errors
    /// As [`Manifest::from_json_str`], and `ManifestNotFound` or `ManifestUnreadable`.
    pub fn from_path(path: &Path) -> Result<Parsed> {
        file::read(path)
    }

    /// The smallest manifest of callables that the host already holds. The name is not checked.
    #[must_use]
    pub fn host(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: parts::default_version(),
            description: String::new(),
            kind: Kind::Host,
            entrypoint: String::new(),
            isolation: None,
            requires_gpu: false,
            gpu: Gpu::default(),
            dependencies: Vec::new(),
            python: None,
            env: Vec::new(),
            executables: Vec::new(),
            optional_executables: Vec::new(),
            models: BTreeMap::new(),
            limits: Limits::default(),
            fails_on: FailsOn::default(),
            restart: Restart::default(),
            spares: 0,
            permissions: Permissions::default(),
            require_enforcement: false,
            depends_on: Vec::new(),
            probe: None,
            config: serde_json::Map::new(),
            error_field: None,
            tools: Vec::new(),
            dir: None,
            file: None,
        }
    }

    /// The manifest as data, every key spelled out; [`Manifest::from_value`] reads it back.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // Every member has a JSON form, so this cannot fail; null would be refused downstream.
        serde_json::to_value(self).unwrap_or_default()
    }
}
