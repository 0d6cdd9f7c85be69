//! The parts of a manifest, with their defaults.

use crate::error::{Code, Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};

/// Declares an enum whose words are the manifest's.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$item])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value, in the schema's order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word of the manifest.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What runs a plugin.
    Kind {
        /// The Python door.
        Python = "python",
        /// The Node door.
        Node = "node",
        /// A C-ABI shared library.
        Native = "native",
        /// Callables that the host already holds.
        Host = "host",
    }
}

words! {
    /// Where calls run.
    Isolation {
        /// On the caller's thread.
        Inline = "inline",
        /// On a thread of the runtime.
        Thread = "thread",
        /// In a worker process.
        Process = "process",
    }
}

words! {
    /// What makes a plugin FAILED.
    #[derive(Default)]
    FailsOn {
        /// Any exception.
        #[default]
        Exception = "exception",
        /// Only a crash, a deadline or too much memory.
        Crash = "crash",
    }
}

words! {
    /// When a plugin is restarted without being asked.
    RestartPolicy {
        /// Never.
        Never = "never",
        /// After a fault, within the budget.
        OnFailure = "on_failure",
    }
}

/// What the GPU must offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpu {
    /// Free memory needed, in MiB.
    pub min_memory_mb: Option<u64>,
    /// Lowest compute capability, `(7, 0)`; `"7.0"` in the manifest.
    #[serde(serialize_with = "write_compute", deserialize_with = "read_compute")]
    pub min_compute: Option<(u32, u32)>,
}

/// A model file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The path as written: relative to the manifest's folder, or absolute.
    #[serde(serialize_with = "write_path")]
    pub path: PathBuf,
    /// The expected SHA-256, in hexadecimal.
    #[serde(default)]
    pub sha256: Option<String>,
    /// The container format, if it is stated.
    #[serde(default)]
    pub format: Option<String>,
}

/// What one plugin may use. `None` is unlimited or the runtime's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Longest time of one call, in milliseconds.
    pub deadline_ms: Option<u64>,
    /// Most memory, in MiB; of a worker half of the machine where it is `None`.
    pub memory_mb: Option<u64>,
    /// Most calls that run at once.
    pub concurrency: Option<u32>,
    /// Most calls that wait.
    pub queue: u32,
    /// Most CPU time, in seconds.
    pub cpu_s: Option<u64>,
    /// Most open files.
    pub open_files: Option<u32>,
    /// Largest file that it writes, in MiB.
    pub file_size_mb: Option<u64>,
    /// Most processes and threads.
    pub processes: Option<u32>,
    /// Largest arguments of one call, in MiB.
    pub payload_mb: Option<u32>,
    /// Largest result, in MiB.
    pub result_mb: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline_ms: None,
            memory_mb: None,
            concurrency: None,
            queue: 64,
            cpu_s: None,
            open_files: None,
            file_size_mb: None,
            processes: None,
            payload_mb: None,
            result_mb: None,
        }
    }
}

/// When the supervisor begins the next generation by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Restart {
    /// Never, or after a fault.
    pub policy: RestartPolicy,
    /// Most restarts within `within_s`.
    pub max: u32,
    /// The time over which restarts are counted, in seconds.
    pub within_s: u64,
    /// Shortest and longest wait before a restart, in milliseconds.
    pub backoff_ms: (u64, u64),
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::OnFailure,
            max: 3,
            within_s: 60,
            backoff_ms: (100, 30_000),
        }
    }
}

/// What a plugin may touch when it runs in a worker process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permissions {
    /// Paths that it may read. Its own folder and models, the system and the packages of its interpreter
    /// are open in any case; where none is named, so is all that its host may read.
    pub read: Vec<String>,
    /// Paths that it may write.
    pub write: Vec<String>,
    /// Whether it may use the network.
    pub network: bool,
    /// Whether it may start programs.
    pub subprocess: bool,
    /// Devices that it may open.
    pub devices: Vec<String>,
}

/// A golden call made at load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The tool to call.
    pub tool: String,
    /// Its arguments.
    #[serde(default = "empty_object")]
    pub args: Value,
    /// JSON Schema that the result must fit.
    #[serde(default)]
    pub expect_schema: Option<Value>,
}

/// One operation of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name, unique within the plugin.
    pub id: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments.
    #[serde(default)]
    pub input_schema: Option<Value>,
    /// JSON Schema of the result.
    #[serde(default)]
    pub output_schema: Option<Value>,
    /// Resources that must be ready before the plugin is entered.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Longest time of one call, in milliseconds.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
}

impl ToolSpec {
    /// Checks both schemas; for tools that did not come from a manifest.
    ///
    /// # Errors
    /// `ManifestBadSchema` that names the tool, the schema and the place in it.
    pub fn check(&self) -> Result<()> {
        let schemas = [
            ("input_schema", &self.input_schema),
            ("output_schema", &self.output_schema),
        ];
        for (key, schema) in schemas {
            if let Some(wrong) = schema.as_ref().and_then(super::semantic::schema_problem) {
                let text = format!(
                    "tool \"{}\": {key} is not a valid JSON Schema: {wrong}",
                    self.id
                );
                return Err(Error::new(Code::ManifestBadSchema).with_message(text));
            }
        }
        Ok(())
    }
}

/// The version of a plugin that states none.
pub(super) fn default_version() -> String {
    "0.0.0".into()
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

fn write_compute<S: Serializer>(value: &Option<(u32, u32)>, out: S) -> Result<S::Ok, S::Error> {
    value
        .map(|(major, minor)| format!("{major}.{minor}"))
        .serialize(out)
}

fn read_compute<'de, D: Deserializer<'de>>(input: D) -> Result<Option<(u32, u32)>, D::Error> {
    let Some(text) = Option::<String>::deserialize(input)? else {
        return Ok(None);
    };
    let parts = text
        .split_once('.')
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    parts
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("expected a version as in \"7.0\""))
}

fn write_path<S: Serializer>(path: &Path, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&path.to_string_lossy())
}
