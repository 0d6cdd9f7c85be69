//! The core's check of npm packages, with the Node that this process is.

use plugward_core::check::{Finding, check_node_packages};
use plugward_core::manifest::Manifest;
use std::sync::OnceLock;

/// This process's Node, which an addon learns from its environment.
static NODE: OnceLock<String> = OnceLock::new();

/// Notes the version of Node.
pub(crate) fn note_node(version: String) {
    NODE.get_or_init(|| version);
}

/// Findings about a plugin's npm packages, and about Node itself.
pub(crate) fn check(manifest: &Manifest) -> Vec<Finding> {
    check_node_packages(manifest, NODE.get().map(String::as_str))
}
