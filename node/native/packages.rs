//! Checks npm packages without importing them: where Node would look, in which version, and whether
//! what they need themselves is there.

use plugward_core::Code;
use plugward_core::check::{Finding, Subject};
use plugward_core::manifest::Manifest;
use semver::{Version, VersionReq};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How many packages one check looks at, at most.
const MOST: usize = 1024;

/// One finding for each of the manifest's `dependencies`.
pub(crate) fn check(manifest: &Manifest) -> Vec<Finding> {
    let dir = manifest
        .dir
        .clone()
        .or_else(|| std::env::current_dir().ok())
        .unwrap_or_default();
    manifest
        .dependencies
        .iter()
        .filter(|d| !d.starts_with("node:"))
        .map(|d| one(d, &dir))
        .collect()
}

fn one(requirement: &str, dir: &Path) -> Finding {
    let since = Instant::now();
    let (name, range) = split(requirement);
    let bad = |code| {
        Finding::bad(Subject::Package, name, code).with_remedy(format!(
            "run npm install {requirement} in {}",
            dir.display()
        ))
    };
    let Some(found) = find(name, dir) else {
        let message = format!("package \"{name}\" is not installed");
        return bad(Code::CheckPackageMissing)
            .with_message(message)
            .since(since);
    };
    if !fits(&found.version, range) {
        let message = format!("package \"{name}\" is {}, needed is {range}", found.version);
        return bad(Code::CheckPackageVersion)
            .with_message(message)
            .since(since);
    }
    match missing_below(&found) {
        Some((owner, needed)) => {
            let message = format!(
                "package \"{name}\" is there, but \"{needed}\", which {owner} needs, is not"
            );
            bad(Code::CheckPackageTransitive)
                .with_message(message)
                .since(since)
        }
        None => Finding::ok(
            Subject::Package,
            name,
            format!("{} is installed", found.version),
        )
        .since(since),
    }
}

/// `name@range`; a scope begins with `@` as well.
fn split(requirement: &str) -> (&str, &str) {
    match requirement.char_indices().skip(1).find(|(_, c)| *c == '@') {
        Some((at, _)) => (&requirement[..at], requirement[at + 1..].trim()),
        None => (requirement.trim(), "*"),
    }
}

struct Package {
    name: String,
    version: String,
    dir: PathBuf,
    needs: Vec<String>,
}

/// Looks where `require` looks: in `node_modules` of the folder and of each one above it.
fn find(name: &str, from: &Path) -> Option<Package> {
    if name.is_empty() || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    from.ancestors()
        .find_map(|dir| read(name, &dir.join("node_modules").join(name)))
}

fn read(name: &str, dir: &Path) -> Option<Package> {
    let text = std::fs::read_to_string(dir.join("package.json")).ok()?;
    let json: Map<String, Value> = serde_json::from_str(&text).ok()?;
    let version = json
        .get("version")
        .and_then(Value::as_str)
        .unwrap_or("0.0.0")
        .to_owned();
    let optional = json.get("optionalDependencies").and_then(Value::as_object);
    let needs = json
        .get("dependencies")
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    let needs = needs
        .map(|(name, _)| name.clone())
        .filter(|name| !optional.is_some_and(|o| o.contains_key(name)))
        .collect();
    // A linked package looks for its own packages beside its real place.
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    Some(Package {
        name: name.to_owned(),
        version,
        dir,
        needs,
    })
}

/// The first package below that is needed and not there: who needs it, and its name.
fn missing_below(package: &Package) -> Option<(String, String)> {
    let mut seen = HashSet::new();
    let mut queue = vec![(
        package.name.clone(),
        package.dir.clone(),
        package.needs.clone(),
    )];
    while let Some((owner, dir, needs)) = queue.pop() {
        for name in needs {
            let Some(found) = find(&name, &dir) else {
                return Some((owner, name));
            };
            if seen.len() < MOST && seen.insert(found.dir.clone()) {
                queue.push((name, found.dir, found.needs));
            }
        }
    }
    None
}

/// Whether a version is in an npm range. A range that is none (a tag, a URL) is not judged.
fn fits(version: &str, range: &str) -> bool {
    let Ok(version) = Version::parse(version) else {
        return true;
    };
    let mut alternatives = range
        .split("||")
        .map(|one| requirement(one.trim()))
        .peekable();
    alternatives.any(|one| one.is_none_or(|r| r.matches(&version)))
}

fn requirement(range: &str) -> Option<VersionReq> {
    if range.is_empty() {
        return Some(VersionReq::STAR);
    }
    let text = match range.split_once(" - ") {
        Some((low, high)) => format!(">={}, <={}", low.trim(), high.trim()),
        None => comparators(range),
    };
    VersionReq::parse(&text).ok()
}

/// npm separates comparators by spaces, and its bare `1.2` means exactly that.
fn comparators(range: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for word in range.split_whitespace() {
        let open = out
            .last()
            .is_some_and(|last| last.ends_with(['>', '<', '=', '^', '~']));
        match (open, word.trim_start_matches('v')) {
            (true, bare) => out
                .last_mut()
                .into_iter()
                .for_each(|last| last.push_str(bare)),
            (false, bare)
                if bare.starts_with(|c: char| c.is_ascii_digit())
                    && !bare.contains(['x', 'X', '*']) =>
            {
                out.push(format!("={bare}"));
            }
            (false, bare) => out.push(bare.to_owned()),
        }
    }
    out.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn npm_ranges_mean_what_npm_says() {
        for (version, range, expected) in [
            ("1.2.3", "^1.0.0", true),
            ("2.0.0", "^1.0.0", false),
            ("1.2.9", "1.2", true),
            ("1.3.0", "1.2", false),
            ("1.3.0", "1.2.3", false),
            ("1.2.3", ">=1.2 <2", true),
            ("2.1.0", ">= 1.2 < 2", false),
            ("3.0.0", "^1.0.0 || ^3.0.0", true),
            ("1.5.0", "1.2.0 - 1.9.0", true),
            ("1.5.0", "1.x", true),
            ("9.9.9", "latest", true),
            ("9.9.9", "*", true),
        ] {
            assert_eq!(fits(version, range), expected, "{version} in {range}");
        }
    }

    #[test]
    fn scopes_are_no_ranges() {
        assert_eq!(split("@a/b@^1"), ("@a/b", "^1"));
        assert_eq!(split("@a/b"), ("@a/b", "*"));
        assert_eq!(split("c@ >=1 <2"), ("c", ">=1 <2"));
        assert!(find("../../etc", Path::new("/")).is_none());
    }
}
