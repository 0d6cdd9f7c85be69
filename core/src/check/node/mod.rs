//! Checks npm packages without importing them: where Node would look, in which version, and whether
//! what they need themselves is there. Only files are read, so every door can ask, not only Node's.

mod ranges;

use super::bounded::{Answer, ask};
use super::finding::{Finding, Subject};
use crate::error::Code;
use crate::manifest::Manifest;
use ranges::{Range, fits};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many packages one check looks at, at most.
const MOST: usize = 4096;
/// How many things are told that one package misses in turn.
const MOST_PROBLEMS: usize = 20;

/// How long the folders with the packages may be silent.
const BOUND: Duration = Duration::from_secs(20);

/// Findings about the manifest's `dependencies`, and about those of a `package.json` beside it that
/// the manifest does not name. `node` is the version that will run them, where the door knows it.
#[must_use]
pub fn check_node_packages(manifest: &Manifest, node: Option<&str>) -> Vec<Finding> {
    let here = || std::env::current_dir().ok();
    let dir = manifest.dir.clone().or_else(here).unwrap_or_default();
    let place = format!("npm packages of {}", dir.display());
    let (theirs, node) = (manifest.clone(), node.map(str::to_owned));
    let start = Instant::now();
    let (code, cause) = match ask(&place, BOUND, move |_| look(&theirs, &dir, node.as_deref())) {
        Answer::Done(findings) => return findings,
        Answer::Silent(time) => {
            let time = time.as_secs_f64();
            let cause = format!("the folders that hold them did not answer for {time:.1} s");
            (Code::CheckPackageBroken, cause)
        }
        Answer::Broke(why) => (Code::RuntimeInternal, why),
    };
    let finding = Finding::bad(Subject::Package, "packages", code)
        .with_message("the npm packages could not be looked at")
        .with_cause(cause);
    vec![finding.since(start)]
}

fn look(manifest: &Manifest, dir: &Path, node: Option<&str>) -> Vec<Finding> {
    let named = manifest.dependencies.iter().map(|d| split(d));
    let mut wanted: Vec<(String, String)> = named
        .map(|(name, range)| (name.to_owned(), range.to_owned()))
        .collect();
    let known: HashSet<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    let own = manifest.dir.as_ref().and_then(|_| package_json(dir));
    let engine = own.as_ref().and_then(|json| engine(json, node));
    let needs = own.map(|json| Package::of("", &json, dir).needs);
    let unnamed = |(name, _): &(String, String)| !known.contains(name);
    wanted.extend(needs.into_iter().flatten().filter(unnamed));
    let packages = wanted
        .iter()
        .filter(|(name, _)| !name.starts_with("node:"))
        .flat_map(|(name, range)| one(name, range, dir));
    engine.into_iter().chain(packages).collect()
}

/// Whether the Node that is here is the one that the plugin's own `package.json` asks for.
fn engine(json: &Map<String, Value>, node: Option<&str>) -> Option<Finding> {
    let since = Instant::now();
    let want = json.get("engines")?.get("node")?.as_str()?;
    let Some(have) = node else {
        let message = format!("the plugin needs Node {want}; no Node was looked at");
        let note = "this door runs none; ask the Node door";
        return Some(Finding::ok(Subject::Platform, "node", message).with_cause(note));
    };
    let bad = |code| Finding::bad(Subject::Platform, "node", code);
    let finding = match fits(have, want) {
        Range::Fits => Finding::ok(
            Subject::Platform,
            "node",
            format!("Node {have} fits {want}"),
        ),
        Range::Outside => bad(Code::CheckPlatform)
            .with_message(format!("the plugin needs Node {want}"))
            .with_cause(format!("this is Node {have}")),
        Range::Invalid => bad(Code::CheckPackageRequirement).with_message(format!(
            "\"{want}\" in engines.node is not a range of versions"
        )),
    };
    Some(finding.since(since))
}

fn one(name: &str, range: &str, dir: &Path) -> Vec<Finding> {
    let since = Instant::now();
    let requirement = match range {
        "*" | "" => name.to_owned(),
        range => format!("{name}@{range}"),
    };
    let remedy = format!("run npm install {requirement} in {}", dir.display());
    let bad = |problem: Problem, remedy: &str| {
        Finding::bad(Subject::Package, name, problem.code)
            .with_message(problem.message)
            .with_cause(problem.cause)
            .with_remedy(remedy)
            .since(since)
    };
    let found = match suits(name, range, dir) {
        Ok(found) => found,
        Err(problem) => return vec![bad(problem, &remedy)],
    };
    let message = format!("{} is installed", found.version);
    let beneath = beneath(found);
    if beneath.is_empty() {
        return vec![Finding::ok(Subject::Package, name, message).since(since)];
    }
    let remedy = format!(
        "run npm install in {}: what {name} needs is incomplete",
        dir.display()
    );
    beneath.into_iter().map(|p| bad(p, &remedy)).collect()
}

/// `name@range`; a scope begins with `@` as well.
fn split(requirement: &str) -> (&str, &str) {
    match requirement.char_indices().skip(1).find(|(_, c)| *c == '@') {
        Some((at, _)) => (requirement[..at].trim(), requirement[at + 1..].trim()),
        None => (requirement.trim(), "*"),
    }
}

/// Why a package does not serve.
struct Problem {
    code: Code,
    message: String,
    cause: String,
}

/// The package that a requirement leads to, if it is the right one.
fn suits(name: &str, range: &str, dir: &Path) -> Result<Package, Problem> {
    let Some(found) = find(name, dir) else {
        return Err(Problem {
            code: Code::CheckPackageMissing,
            message: format!("package \"{name}\" is not installed"),
            cause: format!("no node_modules of {} or above holds it", dir.display()),
        });
    };
    if let Some(why) = &found.broken {
        return Err(Problem {
            code: Code::CheckPackageBroken,
            message: format!("the installation of package \"{name}\" is damaged"),
            cause: why.clone(),
        });
    }
    match fits(&found.version, range) {
        Range::Fits => Ok(found),
        Range::Invalid => Err(Problem {
            code: Code::CheckPackageRequirement,
            message: format!("\"{range}\" is not a range of versions that npm knows"),
            cause: format!("it is asked of package \"{name}\""),
        }),
        Range::Outside => Err(Problem {
            code: Code::CheckPackageVersion,
            message: format!("package \"{name}\" is {}, needed is {range}", found.version),
            cause: format!("{} is in {}", found.version, found.dir.display()),
        }),
    }
}

struct Package {
    name: String,
    version: String,
    dir: PathBuf,
    needs: BTreeMap<String, String>,
    broken: Option<String>,
}

/// Looks where `require` looks: in `node_modules` of the folder and of each one above it.
fn find(name: &str, from: &Path) -> Option<Package> {
    if name.is_empty() || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    from.ancestors()
        .map(|dir| dir.join("node_modules").join(name))
        .find(|dir| dir.is_dir())
        .map(|dir| read(name, &dir))
}

fn read(name: &str, dir: &Path) -> Package {
    // A linked package looks for its own packages beside its real place.
    let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    match package_json(dir) {
        Some(json) => Package::of(name, &json, &real),
        None => Package {
            broken: Some(format!(
                "{} is missing, or is no JSON object",
                dir.join("package.json").display()
            )),
            ..Package::of(name, &Map::new(), &real)
        },
    }
}

fn package_json(dir: &Path) -> Option<Map<String, Value>> {
    let text = std::fs::read_to_string(dir.join("package.json")).ok()?;
    serde_json::from_str(&text).ok()
}

impl Package {
    fn of(name: &str, json: &Map<String, Value>, dir: &Path) -> Self {
        let object = |key: &str| json.get(key).and_then(Value::as_object);
        let optional = object("optionalDependencies");
        let meta = object("peerDependenciesMeta");
        let may_lack =
            |peer: &str| meta.is_some_and(|m| m.get(peer).is_some_and(|p| p["optional"] == true));
        let needs = object("dependencies").into_iter().flatten();
        let needs = needs.filter(|(name, _)| !optional.is_some_and(|o| o.contains_key(*name)));
        let peers = object("peerDependencies").into_iter().flatten();
        let peers = peers.filter(|(name, _)| !may_lack(name));
        let text = |(name, range): (&String, &Value)| {
            (name.clone(), range.as_str().unwrap_or("*").to_owned())
        };
        let version = json.get("version").and_then(Value::as_str);
        Self {
            name: name.to_owned(),
            version: version.unwrap_or("0.0.0").to_owned(),
            dir: dir.to_owned(),
            needs: needs.chain(peers).map(text).collect(),
            broken: None,
        }
    }
}

/// What is needed below and does not serve, each with the shortest chain that leads there.
fn beneath(package: Package) -> Vec<Problem> {
    let (mut seen, mut problems) = (HashSet::from([package.dir.clone()]), Vec::new());
    let name = package.name.clone();
    let mut queue = VecDeque::from([(name.clone(), package)]);
    while let Some((chain, owner)) = queue.pop_front() {
        for (needed, range) in &owner.needs {
            let link = format!("{chain} -> {needed}");
            match suits(needed, range, &owner.dir) {
                Ok(found) if seen.len() < MOST && seen.insert(found.dir.clone()) => {
                    queue.push_back((link, found));
                }
                Ok(_) => {}
                // A mistake of that package's author, which npm passed over as well.
                Err(problem) if problem.code == Code::CheckPackageRequirement => {}
                Err(problem) if problems.len() < MOST_PROBLEMS => problems.push(Problem {
                    code: Code::CheckPackageTransitive,
                    message: format!(
                        "package \"{name}\" is there, but \"{needed}\", which {} needs, is not usable",
                        owner.name
                    ),
                    cause: format!("{link}: {}", problem.message),
                }),
                Err(_) => return problems,
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_no_ranges() {
        assert_eq!(split("@a/b@^1"), ("@a/b", "^1"));
        assert_eq!(split("@a/b"), ("@a/b", "*"));
        assert_eq!(split("c@ >=1 <2"), ("c", ">=1 <2"));
        assert_eq!(split("d@npm:@e/f@^2"), ("d", "npm:@e/f@^2"));
        assert!(find("../../etc", Path::new("/")).is_none());
    }
}
