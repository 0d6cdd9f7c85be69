//! Which files a plugin may reach: Landlock.
//!
//! Writing is denied outside the scratch folder and `permissions.write`. Reading is free unless
//! `permissions.read` names folders; then only those, the plugin's own folder, its models, and what
//! the system and the interpreter need are readable.

use super::NOT;
use crate::worker::order::Order;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The newest rules that are asked for; older kernels hold what they know.
const NEWEST: ABI = ABI::V6;
/// Device files that nobody is harmed by.
const HARMLESS: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];
/// What programs need in order to run at all.
const SYSTEM: &[&str] = &[
    "/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys", "/dev",
    "/run",
];

/// Variables that name folders of code.
const READABLE: &[&str] = &[
    "VIRTUAL_ENV",
    "PLUGWARD_PATH",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "NODE_PATH",
];

pub(super) fn restrict(order: &Order, report: &mut Map<String, Value>) {
    let mut say = |what: &str, how: String| {
        report.insert(what.to_owned(), json!(how));
    };
    let permissions = &order.manifest.permissions;
    match landlocked(order) {
        Ok((true, version)) => {
            let by = format!("Landlock {version}");
            say("permissions.write", by.clone());
            if !permissions.read.is_empty() {
                say("permissions.read", by.clone());
            }
            say("signals to other processes", by);
        }
        Ok((false, _)) => say(
            "permissions.write",
            format!("{NOT}: this kernel has no Landlock"),
        ),
        Err(e) => say("permissions.write", format!("{NOT}: {e}")),
    }
}

/// Whether it holds, and which version of it.
fn landlocked(order: &Order) -> Result<(bool, String), RulesetError> {
    let permissions = &order.manifest.permissions;
    let reads = !permissions.read.is_empty();
    let writing = AccessFs::from_write(NEWEST);
    let handled: BitFlags<AccessFs> = if reads {
        AccessFs::from_all(NEWEST)
    } else {
        writing
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)?
        .scope(Scope::from_all(NEWEST))?;
    if !permissions.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let all = AccessFs::from_all(NEWEST) & handled;
    let reading = AccessFs::from_read(NEWEST) & handled;
    let mut created = ruleset
        .create()?
        .add_rules(path_beneath_rules(writable(order), all))?;
    if reads {
        created = created.add_rules(path_beneath_rules(readable(order), reading))?;
    }
    let status = created.restrict_self()?;
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => format!("ABI {}", effective_abi as i32),
        _ => String::new(),
    };
    Ok((status.ruleset != RulesetStatus::NotEnforced, version))
}

/// Paths that are not there are left out: they cannot be written to either.
fn writable(order: &Order) -> Vec<PathBuf> {
    let mut paths = vec![order.scratch.clone()];
    paths.extend(HARMLESS.iter().map(PathBuf::from));
    paths.extend(
        order
            .manifest
            .permissions
            .write
            .iter()
            .map(|p| order.path(p)),
    );
    paths.extend(
        order
            .manifest
            .permissions
            .devices
            .iter()
            .flat_map(|d| devices(d)),
    );
    paths
}

fn readable(order: &Order) -> Vec<PathBuf> {
    let manifest = &order.manifest;
    let mut paths: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    paths.extend(manifest.permissions.read.iter().map(|p| order.path(p)));
    paths.extend(manifest.models.values().map(|m| order.path(&m.path)));
    paths.extend(order.dir.clone());
    paths.extend(
        order
            .path(&manifest.entrypoint)
            .parent()
            .map(Path::to_path_buf),
    );
    // <prefix>/bin/program: the interpreter's own library lies beneath the prefix.
    let exe = std::env::current_exe().ok();
    paths.extend(
        exe.as_deref()
            .and_then(Path::parent)
            .and_then(Path::parent)
            .map(Path::to_path_buf),
    );
    for variable in READABLE {
        let value = std::env::var_os(variable).unwrap_or_default();
        paths.extend(std::env::split_paths(&value).filter(|p| !p.as_os_str().is_empty()));
    }
    paths
}

/// `gpu` is every node of a graphics card; anything else is a path beneath `/dev`.
fn devices(name: &str) -> Vec<PathBuf> {
    if name != "gpu" {
        let path = Path::new("/dev").join(name);
        let plain = !path.components().any(|c| c.as_os_str() == "..");
        return if plain && path.starts_with("/dev") {
            vec![path]
        } else {
            Vec::new()
        };
    }
    let nodes = std::fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let graphics = |p: &PathBuf| {
        let name = p
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        name.starts_with("nvidia") || name == "dri" || name == "kfd"
    };
    nodes.map(|n| n.path()).filter(graphics).collect()
}
