//! Whether every door compiles the same core: `workspace-hack` has to ask for all features that any of them asks for.

use crate::generators::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What is built one after another: the wheel, the addon, the library, the workers and the VideoTracker.
const DOORS: [&str; 5] = [
    "plugward-ffi",
    "plugward-node",
    "plugward-python",
    "plugward-videotracker",
    "plugward-worker",
];

/// By package and version, the sets of features with which a door compiles it.
type Sets = BTreeMap<String, BTreeSet<String>>;

/// A hint for every package that two doors compile differently.
pub(crate) fn differing() -> Result<Vec<String>> {
    let mut all: BTreeMap<String, BTreeMap<BTreeSet<String>, Vec<&str>>> = BTreeMap::new();
    for door in DOORS {
        for (package, sets) in sets(&tree(door)?) {
            all.entry(package)
                .or_default()
                .entry(sets)
                .or_default()
                .push(door);
        }
    }
    let differing = all.iter().filter(|(_, ways)| ways.len() > 1);
    Ok(differing
        .map(|(package, ways)| hint(package, ways))
        .collect())
}

fn hint(package: &str, ways: &BTreeMap<BTreeSet<String>, Vec<&str>>) -> String {
    let ways = ways.iter().map(|(sets, doors)| {
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        format!("\n  [{}] in {}", sets.join("] ["), doors.join(", "))
    });
    let ways: String = ways.collect();
    format!(
        "{package} is compiled more than once; name its features in workspace-hack/Cargo.toml:{ways}"
    )
}

/// The packages of a door, a line each: `NAME vVERSION|FEATURES`.
fn tree(door: &str) -> Result<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let done = Command::new(cargo)
        .args(["tree", "--locked", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}|{f}", "--package", door])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into_owned().into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

fn sets(tree: &str) -> Sets {
    let mut sets = Sets::new();
    for line in tree.lines() {
        if let Some((package, features)) = line.split_once('|') {
            let features = features.trim_end_matches(" (*)").to_owned();
            sets.entry(package.to_owned()).or_default().insert(features);
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_door_compiles_the_same_core() {
        let hints = differing().unwrap();
        assert!(hints.is_empty(), "{}", hints.join("\n"));
    }

    #[test]
    fn a_package_may_be_there_for_the_host_and_for_the_target() {
        let found =
            sets("syn v3.0.0|full\nserde v1.0.0|std (*)\nsyn v3.0.0|derive\nserde v1.0.0|std");
        assert_eq!(found["syn v3.0.0"].len(), 2);
        assert_eq!(found["serde v1.0.0"], BTreeSet::from(["std".to_owned()]));
    }
}
