//! A runtime with real workers, and a plugin that a C compiler makes when the tests begin.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use plugward_core::call::{Args, CallOptions, Outcome};
use plugward_core::manifest::Manifest;
use plugward_core::runtime::{LoadReport, Runtime, RuntimeOptions};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The worker program that cargo built for these tests.
pub const WORKER: &str = env!("CARGO_BIN_EXE_plugward-worker");

/// All tools of `bad.c`.
pub const TOOLS: &[&str] = &[
    "echo",
    "pid",
    "segfault",
    "log_and_segfault",
    "overflow",
    "abort",
    "exit",
    "atexit",
    "thread_exit",
    "kill",
    "hang",
    "spin",
    "sleep",
    "raise",
    "memory",
    "flood",
    "stdout",
    "forks",
    "orphan",
    "files",
    "big_file",
    "huge",
    "big",
    "sum",
    "scribble",
    "scribbles",
    "scribbles_words",
    "progress",
    "until_cancelled",
    "write",
    "scratch",
    "read",
    "connect",
    "spawn",
    "exec",
    "env",
    "ptrace",
    "kill_host",
    "shared_memory",
    "raise_limit",
    "escape",
    "memfd",
    "family",
    "line",
];

/// Compiles the plugin once a test program.
pub fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // A test that runs itself again as another user, who may not write here.
        if let Some(built) = std::env::var_os("PLUGWARD_TEST_ORDINARY") {
            return built.into();
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let out = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("libbad-{}.so", std::process::id()));
        let status = std::process::Command::new("cc")
            .args([
                "-O1",
                "-w",
                "-shared",
                "-fPIC",
                "-D_GNU_SOURCE",
                "-pthread",
                "-I",
            ])
            .arg(root.join("../include"))
            .arg(root.join("tests/common/bad.c"))
            .arg("-o")
            .arg(&out)
            .status()
            .expect("a C compiler");
        assert!(status.success());
        out
    })
}

/// Compiles `tests/plugins_native/keeper.c` with `flags` to a file of that name.
pub fn keeper(name: &str, flags: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let out = folder.join(format!("lib{name}-{}.so", std::process::id()));
    // Never written in place: a worker may have the old one mapped.
    let fresh = out.with_extension("new");
    let status = std::process::Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-I"])
        .arg(root.join("../include"))
        .args(flags)
        .arg(root.join("../tests/plugins_native/keeper.c"))
        .arg("-o")
        .arg(&fresh)
        .status();
    assert!(status.expect("a C compiler").success());
    std::fs::rename(&fresh, &out).unwrap();
    out
}

/// The manifest of a keeper, with `more` laid over it.
pub fn keeper_manifest(name: &str, library: &Path, more: Value) -> Value {
    let tools = ["count", "look", "huge", "nap", "die", "raise"];
    let tools: Vec<Value> = tools.iter().map(|id| json!({"id": id})).collect();
    let mut manifest = json!({
        "name": name, "kind": "native", "entrypoint": library, "tools": tools,
        "restart": {"policy": "on_failure", "max": 5, "within_s": 60, "backoff_ms": [10, 50]},
    });
    for (key, value) in more.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    manifest
}

/// Compiles a program that stands in the worker's place.
pub fn impostor(name: &str, body: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = folder.join(format!("{name}-{}.c", std::process::id()));
    let out = source.with_extension("bin");
    std::fs::write(&source, body).unwrap();
    let status = std::process::Command::new("cc")
        .arg(&source)
        .arg("-o")
        .arg(&out)
        .status();
    assert!(status.expect("a C compiler").success());
    out
}

pub fn runtime() -> Runtime {
    let options = RuntimeOptions {
        worker: Some(WORKER.into()),
        ..RuntimeOptions::default()
    };
    Runtime::new(options).unwrap()
}

/// The manifest of the plugin, with `more` laid over it.
pub fn manifest(name: &str, more: Value) -> Value {
    let tools: Vec<Value> = TOOLS.iter().map(|id| json!({"id": id})).collect();
    let mut manifest = json!({
        "name": name, "kind": "native", "entrypoint": library(), "tools": tools,
        "restart": {"policy": "never"},
    });
    for (key, value) in more.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    manifest
}

pub fn load(rt: &Runtime, name: &str, more: Value) -> LoadReport {
    rt.load(Manifest::from_value(manifest(name, more)).unwrap())
}

/// A runtime with one plugin `p` that took its load well.
pub fn with(more: Value) -> Runtime {
    let rt = runtime();
    let report = load(&rt, "p", more);
    assert!(report.is_ok(), "{:?}", report.error);
    rt
}

pub fn call(rt: &Runtime, tool: &str, args: Value) -> Outcome {
    let options = CallOptions {
        deadline: Some(Duration::from_secs(30)),
        ..CallOptions::default()
    };
    rt.call("p", tool, Args::from(args), &options)
}

/// The code of a call that must fail.
pub fn code(outcome: &Outcome) -> &'static str {
    match &outcome.result {
        Err(error) => error.code().as_str(),
        Ok(reply) => panic!("it answered {:?}", reply.value),
    }
}

/// Whether a process of that number still runs.
pub fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status
        .rsplit(')')
        .next()
        .and_then(|s| s.trim().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Waits at most a minute for `done`.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a plugin has written that line.
pub fn said(rt: &Runtime, line: &str) {
    eventually(line, || rt.log().recent().iter().any(|r| r.message == line));
}
