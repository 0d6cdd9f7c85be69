//! What a door knows of the place where a plugin will run, and the core does not.

use super::entry::CheckOptions;
use super::finding::Finding;
use crate::manifest::Manifest;
use std::ffi::OsString;

/// A door's part in every dependency check of a runtime. It is asked anew for each generation.
pub trait Surroundings: Send + Sync + 'static {
    /// How the core's own checks are to be made: torch's folder, interpreter versions.
    fn options(&self, _manifest: &Manifest) -> CheckOptions {
        CheckOptions::default()
    }

    /// Variables that a native plugin's worker gets beside the host's: where the door found what the
    /// plugin links, so that the plugin opens what the check looked at.
    fn environment(&self, _manifest: &Manifest) -> Vec<(OsString, OsString)> {
        Vec::new()
    }

    /// What only the door can check of a plugin whose own loader does not.
    fn findings(&self, _manifest: &Manifest) -> Vec<Finding> {
        Vec::new()
    }
}
