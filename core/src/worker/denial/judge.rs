//! Whether the sandbox refused it, and which line would allow it.

use super::{Attempt, Refused, limit};
use crate::error::{Code, Error};
use crate::permissions::{place, readable, writable};
use crate::worker::order::Order;
use rustix::fs::{Access, access};
use std::path::{Path, PathBuf};

/// `None` where it was not the sandbox.
pub(super) fn judge(order: &Order, refused: &Refused<'_>) -> Option<Error> {
    match *refused {
        Refused::Variable(name) => variable(order, name),
        Refused::Call {
            errno,
            path,
            attempt,
        } => call(order, errno, path, attempt),
    }
}

fn call(order: &Order, errno: i32, path: Option<&Path>, attempt: Attempt) -> Option<Error> {
    if errno != libc::EACCES && errno != libc::EPERM {
        return limit::reached(order, errno, attempt);
    }
    let permissions = &order.manifest.permissions;
    match (attempt, path) {
        (Attempt::Network, _) => (!permissions.network).then(|| network(order)),
        (Attempt::Subprocess, _) => (!permissions.subprocess).then(|| subprocess(order)),
        // Programs and processes are the only thing that the sandbox refuses in these words.
        (_, Some(path)) if errno == libc::EPERM => {
            let runs = access(path, Access::EXEC_OK).is_ok() && path.is_file();
            (runs && !permissions.subprocess).then(|| subprocess(order))
        }
        (Attempt::Unknown, None) if errno == libc::EPERM => {
            (!permissions.subprocess).then(|| subprocess(order))
        }
        (_, Some(path)) => file(order, path),
        (_, None) => Some(something(order)),
    }
}

fn variable(order: &Order, name: &str) -> Option<Error> {
    let known = order.withheld.iter().any(|withheld| withheld == name);
    known.then(|| {
        error(
            Code::DeniedEnvironment,
            format!("the host has the variable {name}, and the plugin does not see it"),
            format!("add \"{name}\" to env in {}", place(&order.manifest)),
        )
    })
}

fn network(order: &Order) -> Error {
    error(
        Code::DeniedNetwork,
        "the plugin may not use the network".to_owned(),
        format!(
            "set permissions.network = true in {}",
            place(&order.manifest)
        ),
    )
}

fn subprocess(order: &Order) -> Error {
    error(
        Code::DeniedSubprocess,
        "the plugin may not start programs or signal other processes".to_owned(),
        format!(
            "set permissions.subprocess = true in {}",
            place(&order.manifest)
        ),
    )
}

/// Landlock looks at the real path, and not at what `access` asks about: modes and owners.
fn file(order: &Order, path: &Path) -> Option<Error> {
    let path = real(path);
    let manifest = &order.manifest;
    let under = |roots: Vec<PathBuf>| roots.iter().any(|root| path.starts_with(real(root)));
    let reads = manifest.permissions.read.is_empty() || under(readable(manifest));
    let writes = under(writable(manifest, &order.scratch));
    let there = nearest(&path);
    let may = |how| access(&there, how).is_ok();
    let shown = there.display();
    let file = place(manifest);
    if !reads && path.exists() && may(Access::READ_OK) {
        let cause = format!(
            "{} lies in no path that permissions.read names",
            path.display()
        );
        let remedy = format!(
            "add \"{shown}\" to permissions.read in {file} (to permissions.write, if the plugin is to write it)"
        );
        return Some(error(Code::DeniedRead, cause, remedy));
    }
    if writes || !may(Access::WRITE_OK) {
        return None;
    }
    if path.starts_with("/dev") && !path.starts_with("/dev/shm") {
        let cause = format!("{} is a device that the plugin may not use", path.display());
        let remedy = format!("add \"{shown}\" to permissions.devices in {file}");
        return Some(error(Code::DeniedDevice, cause, remedy));
    }
    let cause = format!(
        "{} lies in no path that permissions.write names",
        path.display()
    );
    let remedy = format!(
        "add \"{shown}\" to permissions.write in {file}, or write to the scratch folder (TMPDIR)"
    );
    Some(error(Code::DeniedWrite, cause, remedy))
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

/// It was refused, and what it was is not to be known: every line that is not granted.
pub(super) fn something(order: &Order) -> Error {
    let permissions = &order.manifest.permissions;
    let mut lines = Vec::new();
    if !permissions.network {
        lines.push("set permissions.network = true");
    }
    if !permissions.subprocess {
        lines.push("set permissions.subprocess = true");
    }
    if !permissions.read.is_empty() {
        lines.push("add what it reads to permissions.read");
    }
    lines.push("add what it writes to permissions.write");
    error(
        Code::DeniedSomething,
        "the system refused it, and the plugin's words do not tell what it tried".to_owned(),
        format!(
            "if it is the sandbox: {}, in {}",
            lines.join(", or "),
            place(&order.manifest)
        ),
    )
}

fn error(code: Code, cause: String, remedy: String) -> Error {
    Error::new(code).with_cause(cause).with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use serde_json::json;

    fn order(permissions: serde_json::Value) -> Order {
        let manifest =
            json!({"name": "p", "kind": "python", "entrypoint": "p:P", "permissions": permissions});
        let mut manifest = Manifest::from_value(manifest).unwrap().manifest;
        manifest.file = Some("/where/manifest.json".into());
        let mut order = Order::new(
            &manifest,
            1,
            Path::new("/nowhere/scratch"),
            std::collections::BTreeMap::default(),
        );
        order.withheld = vec!["TOKEN".to_owned()];
        order
    }

    fn asked(order: &Order, errno: i32, path: Option<&Path>, attempt: Attempt) -> Option<Error> {
        judge(
            order,
            &Refused::Call {
                errno,
                path,
                attempt,
            },
        )
    }

    #[test]
    fn the_line_is_named_with_the_file_that_it_stands_in() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().canonicalize().unwrap();
        let none = order(json!({}));
        let error = asked(
            &none,
            libc::EACCES,
            Some(&inside.join("new")),
            Attempt::File,
        )
        .unwrap();
        assert_eq!(error.code(), Code::DeniedWrite);
        let line = format!(
            "add \"{}\" to permissions.write in /where/manifest.json",
            inside.display()
        );
        assert!(error.remedy().contains(&line), "{}", error.remedy());
        let error = asked(&none, libc::EACCES, None, Attempt::Network).unwrap();
        assert_eq!(
            error.remedy(),
            "set permissions.network = true in /where/manifest.json"
        );
        let error = judge(&none, &Refused::Variable("TOKEN")).unwrap();
        assert_eq!(
            error.remedy(),
            "add \"TOKEN\" to env in /where/manifest.json"
        );
        let some = order(json!({"read": ["/elsewhere"]}));
        let file = inside.join("there");
        std::fs::write(&file, "x").unwrap();
        let error = asked(&some, libc::EACCES, Some(&file), Attempt::File).unwrap();
        assert_eq!(error.code(), Code::DeniedRead);
        let error = asked(
            &none,
            libc::EPERM,
            Some(Path::new("/bin/true")),
            Attempt::Unknown,
        );
        assert_eq!(error.unwrap().code(), Code::DeniedSubprocess);
        let error = asked(
            &none,
            libc::EACCES,
            Some(Path::new("/dev/tty")),
            Attempt::File,
        );
        assert!(
            error.is_none_or(|e| e.code() == Code::DeniedDevice),
            "as the user may use it"
        );
    }

    #[test]
    fn what_is_granted_or_is_not_ours_stays_the_plugins_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let all = order(json!({"write": [folder.path()], "network": true, "subprocess": true}));
        let path = folder.path().join("new");
        assert!(asked(&all, libc::EACCES, Some(&path), Attempt::File).is_none());
        assert!(asked(&all, libc::EACCES, None, Attempt::Network).is_none());
        assert!(asked(&all, libc::EPERM, None, Attempt::Subprocess).is_none());
        assert!(asked(&order(json!({})), libc::ENOENT, Some(&path), Attempt::File).is_none());
        assert!(judge(&all, &Refused::Variable("NEVER_SET")).is_none());
        let none = order(json!({}));
        // The system's own refusal: nobody may write there.
        let proc = Path::new("/proc/self/no_such_file");
        assert!(asked(&none, libc::EACCES, Some(proc), Attempt::File).is_none());
    }
}
