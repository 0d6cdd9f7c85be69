//! Attacks that succeed in a process that is not confined, and are refused in a worker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{call, eventually, is_alive, runtime};
use plugward_core::manifest::Manifest;
use plugward_core::runtime::Runtime;
use serde_json::{Value, json};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Built as a program and as a plugin.
fn built(standalone: bool) -> &'static Path {
    static BUILT: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    BUILT[usize::from(standalone)].get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let ending = if standalone { "bin" } else { "so" };
        let out = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let out = out.join(format!("attacks-{}.{ending}", std::process::id()));
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-I"])
            .arg(root.join("../include"))
            .arg(root.join("tests/common/attacks.c"));
        match standalone {
            true => cc.arg("-DSTANDALONE"),
            false => cc.args(["-shared", "-fPIC"]),
        };
        assert!(
            cc.arg("-o")
                .arg(&out)
                .status()
                .expect("a C compiler")
                .success()
        );
        out
    })
}

/// A worker with the attacks as its tools.
fn worker(name: &str, permissions: &Value) -> Runtime {
    let rt = runtime();
    let manifest = json!({
        "name": "p", "kind": "native", "entrypoint": built(false), "tools": [{"id": name}],
        "restart": {"policy": "never"}, "permissions": permissions,
    });
    let report = rt.load(Manifest::from_value(manifest).unwrap());
    assert!(report.is_ok(), "{:?}", report.error);
    rt
}

/// What the attack came to without a sandbox: 0, or errno.
fn free(name: &str, at: &str) -> i32 {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new(built(true));
    command.args([name, at]).env("TMPDIR", scratch.path());
    command.status().unwrap().code().expect("an exit code")
}

/// What it came to in a worker.
fn confined(name: &str, permissions: &Value, at: &str) -> i64 {
    let rt = worker(name, permissions);
    let outcome = call(&rt, name, json!({"at": at}));
    outcome.result.expect(name).value.as_i64().expect("errno")
}

/// Everything that one attack needs to be possible.
struct Target {
    _folder: TempDir,
    file: PathBuf,
}

impl Target {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        Self {
            _folder: folder,
            file,
        }
    }

    fn at(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn is_whole(&self) -> bool {
        std::fs::read(&self.file).is_ok_and(|text| text == b"precious")
    }
}

#[test]
fn files_outside_the_scratch_folder() {
    use std::os::unix::fs::MetadataExt;

    for name in [
        "symlink_out",
        "hardlink_out",
        "rename_away",
        "truncate_it",
        "remove_it",
        "own_it",
        "label_it",
        "by_openat2",
    ] {
        let target = Target::new();
        let works = free(name, target.at());
        let changes = !matches!(name, "own_it" | "label_it" | "by_openat2");
        if works == 0 && changes {
            assert!(!target.is_whole(), "{name} changes it");
        }
        if works != 0 {
            println!("SKIPPED: {name} is impossible here without a sandbox as well: errno {works}");
        }
        let target = Target::new();
        let before = std::fs::metadata(&target.file).unwrap();
        for permissions in [json!({}), json!({"subprocess": true, "network": true})] {
            let errno = confined(name, &permissions, target.at());
            assert_ne!(errno, 0, "{name} with {permissions}");
            assert!(target.is_whole(), "{name}");
            let now = std::fs::metadata(&target.file).unwrap();
            assert_eq!(
                (now.uid(), now.nlink()),
                (before.uid(), before.nlink()),
                "{name}"
            );
        }
    }
}

/// A process of the host's that does nothing.
fn victim() -> Child {
    let mut sleep = Command::new("sleep");
    sleep.arg("600").stdin(Stdio::null()).spawn().unwrap()
}

#[test]
fn other_processes() {
    for name in [
        "trace",
        "read_memory",
        "take_file",
        "limit_it",
        "slow_down",
        "kill_it",
        "queue_signal",
        "kill_by_pidfd",
        "kill_by_io",
    ] {
        let deadly = name.starts_with("kill") || name == "queue_signal";
        let mut first = victim();
        assert_eq!(
            free(name, &first.id().to_string()),
            0,
            "{name} works without a sandbox"
        );
        if deadly {
            eventually("the victim is dead", || !is_alive(first.id()));
        }
        first.kill().unwrap();
        first.wait().unwrap();
        let mut second = victim();
        for permissions in [json!({}), json!({"subprocess": true, "network": true})] {
            let errno = confined(name, &permissions, &second.id().to_string());
            // The kernel sends that signal or not; the call itself says nothing.
            assert!(
                errno != 0 || name == "kill_by_io",
                "{name} with {permissions}"
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(is_alive(second.id()), "{name} with {permissions}");
        }
        second.kill().unwrap();
        second.wait().unwrap();
    }
}

#[test]
fn the_host_itself() {
    for name in [
        "host_memory",
        "host_environment",
        "host_files",
        "host_oom_score",
    ] {
        assert_eq!(free(name, ""), 0, "{name} works without a sandbox");
        for permissions in [json!({}), json!({"subprocess": true, "network": true})] {
            assert_ne!(
                confined(name, &permissions, ""),
                0,
                "{name} with {permissions}"
            );
        }
    }
}

#[test]
fn corners_of_the_kernel() {
    for name in [
        "by_io_uring",
        "user_namespace",
        "clone_namespace",
        "child_of_host",
        "change_personality",
        "add_key",
    ] {
        let works = free(name, "");
        if works != 0 {
            println!("SKIPPED: {name} is impossible here without a sandbox as well: errno {works}");
        }
        for permissions in [json!({}), json!({"subprocess": true, "network": true})] {
            assert_ne!(
                confined(name, &permissions, ""),
                0,
                "{name} with {permissions}"
            );
        }
    }
    assert_eq!(free("run_from_memory", ""), 0);
    assert_eq!(
        confined("run_from_memory", &json!({"subprocess": true}), ""),
        0,
        "granted"
    );
    assert_ne!(confined("run_from_memory", &json!({}), ""), 0);
    assert_ne!(
        confined("shrink_lanes", &json!({}), ""),
        0,
        "the host would die of it"
    );
}

#[test]
fn sockets_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let abstract_name = format!("plugward-attack-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let at = format!("@{abstract_name}");
    assert_eq!(free("unix_socket", &at), 0);
    for permissions in [json!({}), json!({"network": true})] {
        assert_ne!(
            confined("unix_socket", &permissions, &at),
            0,
            "{permissions}"
        );
    }
    let path = folder.path().join("socket");
    let _named = UnixListener::bind(&path).unwrap();
    let at = path.to_str().unwrap();
    assert_eq!(free("unix_socket", at), 0);
    assert_ne!(confined("unix_socket", &json!({}), at), 0);
    let path = folder.path().join("datagrams");
    let _datagrams = UnixDatagram::bind(&path).unwrap();
    let at = path.to_str().unwrap();
    assert_eq!(free("pair_to_other", at), 0);
    assert_ne!(confined("pair_to_other", &json!({}), at), 0);
}

#[test]
fn shared_memory_of_others() {
    let key = 0x7000_0000 | std::process::id();
    let made = Command::new("python3")
        .args(["-c", "import ctypes, sys; sys.exit(ctypes.CDLL(None).shmget(int(sys.argv[1]), 4096, 0o1600) < 0)"])
        .arg(key.to_string())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        println!("SKIPPED: no System V shared memory could be made");
        return;
    }
    let works = free("system_v_memory", &key.to_string());
    let refused = confined(
        "system_v_memory",
        &json!({"subprocess": true, "network": true}),
        &key.to_string(),
    );
    let _ = Command::new("ipcrm")
        .args(["-M", &key.to_string()])
        .status();
    assert_eq!(works, 0);
    assert_ne!(refused, 0);
}
