//! Which paths a plugin in a worker may reach: what confines it and what describes it agree here.

use crate::manifest::Manifest;
use std::path::{Path, PathBuf};

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
/// Folders of the system beside those; nobody means one of them as a whole.
const WIDE: &[&str] = &["/", "/boot", "/home", "/root", "/var"];
/// Variables that name folders of code.
const OF_CODE: &[&str] = &["VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH", "NODE_PATH"];

/// A path as the manifest writes it: relative to the manifest's folder.
pub(crate) fn resolved(manifest: &Manifest, written: impl AsRef<Path>) -> PathBuf {
    let dir = manifest.dir.as_deref().unwrap_or(Path::new(""));
    let path = dir.join(written);
    std::path::absolute(&path).unwrap_or(path)
}

/// Whether a rule for this path would open a whole folder of the system.
#[cfg(target_os = "linux")]
pub(crate) fn is_of_system(path: &Path) -> bool {
    let mut wide = SYSTEM.iter().chain(WIDE);
    wide.any(|folder| path == Path::new(folder))
}

/// What `permissions.write` and `permissions.devices` grant.
pub(crate) fn granted(manifest: &Manifest) -> Vec<PathBuf> {
    let permissions = &manifest.permissions;
    let written = permissions.write.iter().map(|p| resolved(manifest, p));
    let devices = permissions.devices.iter().flat_map(|d| devices(d));
    written.chain(devices).collect()
}

/// Everything that it may write to.
#[cfg(target_os = "linux")]
pub(crate) fn writable(manifest: &Manifest, scratch: &Path) -> Vec<PathBuf> {
    let mut paths = vec![scratch.to_owned()];
    paths.extend(HARMLESS.iter().map(PathBuf::from));
    paths.extend(granted(manifest));
    paths
}

/// What it may read because it is its own: its folder, its entry point's, its models.
pub(crate) fn own(manifest: &Manifest) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = manifest
        .models
        .values()
        .map(|m| resolved(manifest, &m.path))
        .collect();
    paths.extend(manifest.dir.clone());
    // A module's name has no folder, and the folder that the host works in is not the plugin's.
    let folder = Path::new(&manifest.entrypoint).parent();
    let named = folder.filter(|f| !f.as_os_str().is_empty());
    paths.extend(named.map(|folder| resolved(manifest, folder)));
    paths
}

/// The variable that says where a program lies that the manifest names: PLUGWARD_FFMPEG for `ffmpeg`.
pub(crate) fn executable_variable(name: &str) -> String {
    format!("PLUGWARD_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// Everything that it may read where `permissions.read` names paths; for the worker, whose program
/// and environment count. `code`: where what runs the plugin finds its modules.
#[cfg(target_os = "linux")]
pub(crate) fn readable(manifest: &Manifest, code: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
    paths.extend_from_slice(code);
    let read = &manifest.permissions.read;
    paths.extend(read.iter().map(|p| resolved(manifest, p)));
    paths.extend(own(manifest));
    // <prefix>/bin/program: the interpreter's own library lies beneath the prefix.
    let exe = std::env::current_exe().ok();
    let prefix = exe.as_deref().and_then(Path::parent).and_then(Path::parent);
    paths.extend(prefix.map(Path::to_path_buf));
    for variable in OF_CODE {
        let value = std::env::var_os(variable).unwrap_or_default();
        paths.extend(std::env::split_paths(&value).filter(|p| !p.as_os_str().is_empty()));
    }
    // torch's libraries need those of the packages beside it.
    let torch = std::env::var_os("PLUGWARD_LIBTORCH").map(PathBuf::from);
    paths.extend(
        torch
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_path_buf),
    );
    let programs = manifest
        .executables
        .iter()
        .chain(&manifest.optional_executables)
        .map(|name| executable_variable(name));
    paths.extend(programs.filter_map(std::env::var_os).map(PathBuf::from));
    paths.retain(|path| !path.as_os_str().is_empty());
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
        let name = p.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("nvidia") || name == "dri" || name == "kfd"
    };
    nodes.map(|n| n.path()).filter(graphics).collect()
}
