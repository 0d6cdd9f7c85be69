//! Which line would open a file, or the folder that holds it.
//!
//! Landlock asks a file about its contents and a folder about its entries: to write a file it is
//! enough to name the file, to remove, rename or link it the folder must be named. It looks at the
//! real path, and not at what `access` asks about: modes and owners.

use super::line::{self, SUBPROCESS, add, error};
use super::{Attempt, judge::Tried};
use crate::error::{Code, Error};
use crate::permissions::{is_of_system, place, readable, writable};
use crate::worker::order::Order;
use rustix::fs::{Access, access};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// `None` where the modes of the file refused it, or the manifest allows it.
pub(super) fn judge(order: &Order, path: &Path, tried: &Tried<'_>) -> Option<Error> {
    let both: Vec<&Path> = [Some(path), tried.other].into_iter().flatten().collect();
    if let Some(path) = both.iter().find(|path| is_of_a_process(path)) {
        let cause = format!("{} belongs to a process of the system", path.display());
        return Some(line::never(&cause));
    }
    match tried.attempt {
        Attempt::Entry => entries(order, &both),
        _ if tried.other.is_some() => entries(order, &both),
        attempt => contents(order, path, attempt),
    }
}

/// Memory shared by name. Python's watcher over it is a process, which is started right after.
pub(super) fn shared_memory(order: &Order) -> Option<Error> {
    let folder = Path::new("/dev/shm");
    let writes = Roots::writable(order).hold(folder);
    let mut lines = Vec::new();
    if !writes {
        lines.push(add(folder, "write"));
    }
    if !order.manifest.permissions.subprocess {
        lines.push(SUBPROCESS.to_owned());
    }
    if lines.is_empty() || !may(folder, Access::WRITE_OK) {
        return None;
    }
    let code = match writes {
        true => Code::DeniedSubprocess,
        false => Code::DeniedWrite,
    };
    let cause = "shared memory is a file in /dev/shm, and Python starts a process that watches it";
    Some(error(order, code, cause.to_owned(), &lines))
}

/// A link between two folders of which one is closed: the kernel says "another device".
pub(super) fn across(order: &Order, path: &Path, other: &Path) -> Option<Error> {
    let device = |path: &Path| Some(nearest(&folder_of(path)).metadata().ok()?.dev());
    if device(path)? != device(other)? {
        return None;
    }
    entries(order, &[path, other])
}

/// Folders whose entries were to change.
fn entries(order: &Order, paths: &[&Path]) -> Option<Error> {
    let open = Roots::writable(order);
    let mut folders: Vec<PathBuf> = Vec::new();
    for path in paths {
        let folder = nearest(&folder_of(path));
        if !open.hold(&folder) && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let shut = |folder: &PathBuf| !may(folder, Access::WRITE_OK);
    if folders.is_empty() || folders.iter().any(shut) {
        return None;
    }
    let cause = format!(
        "{} is to change, and lies in no path that permissions.write names",
        shown(&folders)
    );
    if let Some(folder) = folders.iter().find(|folder| is_of_system(folder)) {
        return Some(too_wide(Code::DeniedWrite, cause, folder));
    }
    let lines: Vec<String> = folders.iter().map(|f| add(f, "write")).collect();
    Some(error(order, Code::DeniedWrite, cause, &lines))
}

/// A file that was to be opened, or made.
fn contents(order: &Order, path: &Path, attempt: Attempt) -> Option<Error> {
    let path = real(path);
    let reads = order.manifest.permissions.read.is_empty() || Roots::readable(order).hold(&path);
    let there = nearest(&path);
    if !reads && path.exists() && may(&there, Access::READ_OK) {
        return Some(unread(order, &path));
    }
    if Roots::writable(order).hold(&path) {
        // Its contents are open, so it was not them.
        let folder = attempt == Attempt::Unknown && path.exists();
        return folder.then(|| entries(order, &[&path])).flatten();
    }
    may(&there, Access::WRITE_OK).then(|| unwritten(order, &path, &there, attempt))
}

fn unread(order: &Order, path: &Path) -> Error {
    let cause = format!(
        "{} lies in no path that permissions.read names",
        path.display()
    );
    if is_of_system(path) {
        return too_wide(Code::DeniedRead, cause, path);
    }
    let remedy = format!(
        "{} in {} (to permissions.write, if the plugin is to write it)",
        add(path, "read"),
        place(&order.manifest)
    );
    Error::new(Code::DeniedRead)
        .with_cause(cause)
        .with_remedy(remedy)
}

fn unwritten(order: &Order, path: &Path, there: &Path, attempt: Attempt) -> Error {
    let file = place(&order.manifest);
    if path.starts_with("/dev") && path.exists() && !path.starts_with("/dev/shm") {
        let cause = format!("{} is a device that the plugin may not use", path.display());
        return error(order, Code::DeniedDevice, cause, &[add(there, "devices")]);
    }
    let cause = format!(
        "{} lies in no path that permissions.write names",
        path.display()
    );
    if is_of_system(there) {
        return too_wide(Code::DeniedWrite, cause, there);
    }
    let folder = match attempt == Attempt::Unknown && there.is_file() {
        true => " (its folder, if it is to be removed or renamed)",
        false => "",
    };
    let remedy = format!(
        "{}{folder} in {file}, or write to the scratch folder (TMPDIR)",
        add(there, "write")
    );
    Error::new(Code::DeniedWrite)
        .with_cause(cause)
        .with_remedy(remedy)
}

/// A line would work, and open far more than the plugin wants.
fn too_wide(code: Code, cause: String, folder: &Path) -> Error {
    let remedy = format!(
        "use the scratch folder (TMPDIR) or a folder of the plugin's own: no line of the manifest is named, as it would open all of \"{}\"",
        folder.display()
    );
    Error::new(code).with_cause(cause).with_remedy(remedy)
}

/// Paths that the manifest opens.
struct Roots(Vec<PathBuf>);

impl Roots {
    fn writable(order: &Order) -> Self {
        Self::of(writable(&order.manifest, &order.scratch))
    }

    fn readable(order: &Order) -> Self {
        Self::of(readable(&order.manifest, &order.code))
    }

    fn of(paths: Vec<PathBuf>) -> Self {
        Self(paths.iter().map(|path| real(path)).collect())
    }

    fn hold(&self, path: &Path) -> bool {
        self.0.iter().any(|root| path.starts_with(root))
    }
}

/// `/proc/4711/...`, this process's own too: its number is another one after each start.
fn is_of_a_process(path: &Path) -> bool {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Ok(rest) = path.strip_prefix("/proc") else {
        return false;
    };
    let first = rest.iter().next().unwrap_or_default().to_string_lossy();
    matches!(&*first, "self" | "thread-self") || first.parse::<u32>().is_ok()
}

/// The folder that has the entry; where the entry is a link, the folder of the link.
fn folder_of(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    real(path.parent().unwrap_or(Path::new("/")))
}

/// The path without links; what is not there yet, in the folder that is.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for there in path.ancestors() {
        if let Ok(real) = there.canonicalize() {
            let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
            return real.components().chain(rest.components()).collect();
        }
    }
    path
}

/// The file, or the folder that is to hold it: a rule needs something that is there.
fn nearest(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|p| p.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}

fn may(path: &Path, how: Access) -> bool {
    access(path, how).is_ok()
}

fn shown(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    shown.join(" or ")
}
