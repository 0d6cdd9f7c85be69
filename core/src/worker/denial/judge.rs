//! Whether the sandbox refused it, and which line would allow it.

use super::{Attempt, Refused, file, limit, line};
use crate::error::Error;
use crate::worker::order::Order;
use rustix::fs::{Access, access};
use std::path::Path;

/// Failures of a resolver that are the caller's own: flags, families, types and services.
const NOT_OF_NAMES: [i32; 5] = [
    libc::EAI_BADFLAGS,
    libc::EAI_FAMILY,
    libc::EAI_SOCKTYPE,
    libc::EAI_SERVICE,
    libc::EAI_MEMORY,
];

/// What a refused system call was about.
pub(super) struct Tried<'a> {
    pub(super) errno: i32,
    pub(super) path: Option<&'a Path>,
    pub(super) other: Option<&'a Path>,
    pub(super) attempt: Attempt,
}

/// `None` where it was not the sandbox.
pub(super) fn judge(order: &Order, refused: &Refused<'_>) -> Option<Error> {
    match *refused {
        Refused::Variable(name) => line::variable(order, name),
        Refused::Call {
            errno,
            path,
            other,
            attempt,
        } => call(
            order,
            &Tried {
                errno,
                path,
                other,
                attempt,
            },
        ),
    }
}

fn call(order: &Order, tried: &Tried<'_>) -> Option<Error> {
    match (tried.attempt, tried.errno) {
        (Attempt::Name, errno) if NOT_OF_NAMES.contains(&errno) => None,
        (Attempt::Name, _) => line::network(order),
        (_, libc::EXDEV) => file::across(order, tried.path?, tried.other?),
        (_, libc::EACCES | libc::EPERM) => refusal(order, tried),
        (attempt, errno) => limit::reached(order, errno, attempt),
    }
}

fn refusal(order: &Order, tried: &Tried<'_>) -> Option<Error> {
    let not_permitted = tried.errno == libc::EPERM;
    match (tried.attempt, tried.path) {
        (Attempt::Network, _) => line::network(order),
        (Attempt::Subprocess, _) => line::subprocess(order),
        (Attempt::Signal, _) => Some(line::never(
            "a plugin may signal itself and what it has started, and no other process",
        )),
        (Attempt::Never, _) => Some(line::never(
            "a worker may not raise limits, set extended attributes or reach into the kernel",
        )),
        (Attempt::SharedMemory, _) => file::shared_memory(order),
        // Programs and processes are the only thing that the sandbox refuses in these words.
        (_, Some(path)) if not_permitted => {
            let runs = access(path, Access::EXEC_OK).is_ok() && path.is_file();
            runs.then(|| line::subprocess(order)).flatten()
        }
        (_, Some(path)) => file::judge(order, path, tried),
        (Attempt::Unknown, None) if not_permitted => line::subprocess(order),
        (Attempt::Entry, None) => Some(line::some_folder(order)),
        (_, None) => Some(line::something(order)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
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
                other: None,
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
        // Another disk is another disk.
        let disks = (Path::new("/proc/version"), folder.path().join("there"));
        let error = changed(&none, libc::EXDEV, disks.0, Some(&disks.1));
        assert!(error.is_none());
    }

    fn changed(order: &Order, errno: i32, path: &Path, other: Option<&Path>) -> Option<Error> {
        let (path, attempt) = (Some(path), Attempt::Entry);
        let tried = Refused::Call {
            errno,
            path,
            other,
            attempt,
        };
        judge(order, &tried)
    }

    #[test]
    fn what_changes_a_folder_names_the_folder() {
        let one = tempfile::tempdir().unwrap();
        let two = tempfile::tempdir().unwrap();
        let [one, two] = [&one, &two].map(|folder| folder.path().canonicalize().unwrap());
        let (from, to) = (one.join("file"), two.join("new"));
        std::fs::write(&from, "x").unwrap();
        let none = order(json!({}));
        let add = |folder: &Path| format!("add \"{}\" to permissions.write", folder.display());
        let file = "in /where/manifest.json";
        let error = changed(&none, libc::EACCES, &from, None).unwrap();
        assert_eq!(error.remedy(), format!("{} {file}", add(&one)));
        for errno in [libc::EACCES, libc::EXDEV] {
            let error = changed(&none, errno, &from, Some(&to)).unwrap();
            let both = format!("{} and {} {file}", add(&one), add(&two));
            assert_eq!(error.remedy(), both);
        }
        let half = order(json!({"write": [&one]}));
        let error = changed(&half, libc::EACCES, &from, Some(&to)).unwrap();
        assert_eq!(error.remedy(), format!("{} {file}", add(&two)));
        let granted = order(json!({"write": [&from]}));
        let error = asked(&granted, libc::EACCES, Some(&from), Attempt::Unknown).unwrap();
        assert_eq!(error.remedy(), format!("{} {file}", add(&one)));
        let link = two.join("link");
        std::os::unix::fs::symlink("/nowhere/else", &link).unwrap();
        let error = changed(&none, libc::EACCES, &link, None).unwrap();
        assert_eq!(error.remedy(), format!("{} {file}", add(&two)));
    }

    #[test]
    fn a_folder_of_the_system_is_never_named() {
        let none = order(json!({}));
        for path in ["/new", "/etc/new", "/dev/new", "/usr/new", "/proc/new"] {
            for attempt in [Attempt::Entry, Attempt::File, Attempt::Unknown] {
                let error = asked(&none, libc::EACCES, Some(Path::new(path)), attempt);
                // Where its modes refuse it as well, it is the plugin's own error.
                let remedy = error.map(|e| e.remedy().to_owned());
                let remedy = remedy.unwrap_or_else(|| "no line".to_owned());
                assert!(remedy.contains("no line"), "{path}: {remedy}");
                assert!(!remedy.contains("add"), "{path}: {remedy}");
            }
        }
    }

    #[test]
    fn what_no_line_allows_is_said_so() {
        let all = json!({"write": ["/proc"], "network": true, "subprocess": true});
        for order in [order(json!({})), order(all)] {
            let environ = format!("/proc/{}/environ", std::os::unix::process::parent_id());
            for path in [&*environ, "/proc/self/oom_score_adj", "/proc/1/mem"] {
                let error = asked(&order, libc::EACCES, Some(Path::new(path)), Attempt::File);
                assert_eq!(error.unwrap().code(), Code::DeniedAlways, "{path}");
            }
            for attempt in [Attempt::Signal, Attempt::Never] {
                let error = asked(&order, libc::EPERM, None, attempt).unwrap();
                assert_eq!(error.code(), Code::DeniedAlways);
                assert!(error.remedy().starts_with("nothing in the manifest"));
            }
        }
    }

    #[test]
    fn shared_memory_needs_its_folder_and_its_watcher() {
        let lines = |permissions| {
            let path = Some(Path::new("/psm_1234"));
            let order = order(permissions);
            let error = asked(&order, libc::EACCES, path, Attempt::SharedMemory)?;
            Some(error.remedy().replace(" in /where/manifest.json", ""))
        };
        let folder = "add \"/dev/shm\" to permissions.write";
        let watcher = "set permissions.subprocess = true";
        assert_eq!(lines(json!({})).unwrap(), format!("{folder} and {watcher}"));
        assert_eq!(lines(json!({"subprocess": true})).unwrap(), folder);
        assert_eq!(lines(json!({"write": ["/dev/shm"]})).unwrap(), watcher);
        let all = json!({"write": ["/dev/shm"], "subprocess": true});
        assert!(lines(all).is_none());
    }

    #[test]
    fn a_name_that_cannot_be_looked_up_is_the_network() {
        let again = -3;
        let error = asked(&order(json!({})), again, None, Attempt::Name).unwrap();
        assert_eq!(error.code(), Code::DeniedNetwork);
        let granted = order(json!({"network": true}));
        assert!(asked(&granted, again, None, Attempt::Name).is_none());
    }
}
