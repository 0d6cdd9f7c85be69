//! A folder of model files, and what is asked of the findings.

use plugward_core::Code;
use plugward_core::check::{Finding, ModelNeed, ModelOptions, check_model_with};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct Folder(pub(crate) TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// In memory where the system has a place for that: for thousands of small files.
    pub(crate) fn in_memory() -> Self {
        Self(TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> ModelNeed {
        fs::write(self.path(name), bytes).unwrap();
        self.need(name)
    }

    pub(crate) fn need(&self, name: &str) -> ModelNeed {
        ModelNeed {
            name: "detector".into(),
            path: self.path(name),
            ..ModelNeed::default()
        }
    }
}

pub(crate) fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().filter_map(|finding| finding.code).collect()
}

#[track_caller]
pub(crate) fn only(findings: &[Finding], code: Code, word: &str) {
    assert_eq!(codes(findings), [code], "{findings:#?}");
    assert!(
        findings[0].cause.contains(word),
        "{word:?} is not in {findings:#?}"
    );
    assert_eq!(findings[0].subject, "detector");
}

#[track_caller]
pub(crate) fn fine(findings: &[Finding], word: &str) {
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(
        findings[0].ok && findings[0].message.contains(word),
        "{word:?}: {findings:#?}"
    );
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Checks with so long a bound that a machine under load does not look like a dead mount.
pub(crate) fn check_model(need: &ModelNeed) -> Vec<Finding> {
    let bound = Duration::from_secs(120);
    check_model_with(
        need,
        &ModelOptions {
            bound,
            ..ModelOptions::default()
        },
    )
}

/// The most memory that this process had.
pub(crate) fn peak_memory_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Begins to count anew from what it has now.
pub(crate) fn forget_peak_memory() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}
