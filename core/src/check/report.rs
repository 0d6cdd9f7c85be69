//! What a report tells beside what a load asks for: nothing is loaded, so nobody else would.

use super::code::check_code;
use super::executable::check_executable_of;
use super::finding::{Finding, Subject};
use super::libtorch::check_libtorch;
use super::node::check_node_packages;
use crate::manifest::{Kind, Manifest};

/// What a load finds out by itself when it enters the plugin: its code and its libtorch; and the
/// programs that it can do without.
#[must_use]
pub fn check_beyond(manifest: &Manifest) -> Vec<Finding> {
    let found = [check_code(manifest), check_libtorch(manifest)];
    let programs = manifest.optional_executables.iter();
    let programs = programs.map(|name| check_executable_of(manifest, name));
    found.into_iter().flatten().chain(programs).collect()
}

/// The packages of a plugin whose interpreter the door does not run: npm's are files, and looked at
/// all the same; others must not look like packages that are there.
#[must_use]
pub fn check_foreign_packages(manifest: &Manifest) -> Vec<Finding> {
    if manifest.kind == Kind::Node {
        return check_node_packages(manifest, None);
    }
    let message = match manifest.dependencies.len() {
        0 => return Vec::new(),
        1 => "1 package was not looked at".to_owned(),
        many => format!("{many} packages were not looked at"),
    };
    let note = "this door runs no Python; ask the Python door";
    vec![Finding::ok(Subject::Package, "packages", message).with_cause(note)]
}
