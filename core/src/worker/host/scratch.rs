//! The folder that one generation may write to; it goes with the worker.

use crate::error::{Code, Error, Result};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A private folder, removed when dropped.
pub(super) struct Scratch {
    path: PathBuf,
    owner: u32,
}

impl Scratch {
    pub(super) fn new(plugin: &str) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = plugin.chars().take(40).map(plain).collect();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = crate::deadline::now_ns() ^ u64::from(std::process::id()) << 32;
        let folder = std::env::temp_dir().join(format!("plugward-{name}-{unique:x}-{number}"));
        // Fails where the name is taken: nobody else's folder is ever used.
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|e| {
                Error::new(Code::WorkerStart)
                    .with_message(format!("its scratch folder {}: {e}", folder.display()))
            })?;
        Ok(Self {
            path: folder,
            owner: std::process::id(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A forked child holds a copy of its parent's.
        if self.owner == std::process::id() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
