//! Models: pinned, whole, described by themselves.
//!
//! A TorchScript file is a program, libtorch does not check its checksums, and a crafted one ends
//! the process; so it is only opened when its sha256 is the manifest's. The bytes that were hashed
//! are the bytes that are opened: they are read once.

mod archive;
mod meta;

pub use meta::{Family, Meta, Task};

use crate::fault::{self, Fault, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The largest model that is opened: it is held in memory once while libtorch reads it.
const LIMIT: u64 = 2 << 30;

/// An entry of `models` in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name there.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The sum that it must have, in lower-case hexadecimal.
    pub sha256: String,
}

/// The manifest's models, each with its pin.
///
/// # Errors
/// [`fault::MODEL_PIN`] naming the one without.
pub fn named(manifest: &Value, folder: &Path) -> Result<Vec<Named>> {
    let models = manifest.get("models").and_then(Value::as_object);
    let each = models.into_iter().flatten().map(|(name, model)| {
        let text = |key| model.get(key).and_then(Value::as_str);
        let path = folder.join(text("path").unwrap_or_default());
        let Some(sha256) = text("sha256") else {
            let message = format!(
                "models.{name} ({}) has no sha256 in the manifest",
                path.display()
            );
            return Err(Fault::new(fault::MODEL_PIN, message));
        };
        Ok(Named {
            name: name.clone(),
            path,
            sha256: sha256.to_ascii_lowercase(),
        })
    });
    each.collect()
}

/// A checked file: its bytes, and what it says of itself.
pub struct Checked {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What it says of itself.
    pub meta: Meta,
}

impl Named {
    /// Reads the file, compares its sum, walks its archive.
    ///
    /// # Errors
    /// Unreadable, another sum, damaged, or metadata that make no sense.
    pub fn check(&self) -> Result<Checked> {
        let told = |code, why: String| {
            Fault::new(
                code,
                format!("models.{} ({}): {why}", self.name, self.path.display()),
            )
        };
        let bytes = self
            .read()
            .map_err(|e| told(fault::MODEL_UNREADABLE, e.to_string()))?;
        let sum: String = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        if sum != self.sha256 {
            let why = format!("its sha256 is {sum}, and the manifest pins {}", self.sha256);
            return Err(told(fault::MODEL_CHECKSUM, why));
        }
        let extras = archive::walk(&bytes).map_err(|why| told(fault::MODEL_DAMAGED, why))?;
        let meta = Meta::read(&extras).map_err(|why| told(fault::MODEL_HEAD, why))?;
        Ok(Checked { bytes, meta })
    }

    fn read(&self) -> std::io::Result<Vec<u8>> {
        use std::io::{Error, Read};
        let file = std::fs::File::open(&self.path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > LIMIT {
            return Err(Error::other(format!(
                "it is no file, or larger than {LIMIT} bytes"
            )));
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        file.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
