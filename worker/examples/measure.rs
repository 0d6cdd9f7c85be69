//! What a worker process costs, against the floors of the same run: `cargo run --release -p
//! plugward-worker --example measure`. Prints one line of JSON a row.

#![allow(
    clippy::unwrap_used,
    reason = "a measurement ends where it cannot measure"
)]

use plugward_core::call::{Args, CallOptions, OwnedTensor};
use plugward_core::manifest::Manifest;
use plugward_core::runtime::{Runtime, RuntimeOptions};
use serde_json::{Value, json};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const FRAME: usize = 1080 * 1920 * 3;

fn main() {
    let rt = runtime();
    load(&rt, "p");
    let floor = report(
        "futex ping-pong between two processes",
        &mut ping_pong(),
        None,
    );
    let mut calls = timed(5000, || call(&rt, "echo", small()));
    report(
        "process call, 1 kB",
        &mut calls,
        Some(("times the futex floor", floor)),
    );
    let frame = vec![7_u8; FRAME];
    let mut target = vec![0_u8; FRAME];
    // Both rows read a frame that the cache has forgotten, and free it.
    let mut fresh: Vec<Vec<u8>> = (0..200).map(|_| frame.clone()).collect();
    let mut copies = timed(200, || {
        let frame = fresh.pop().unwrap();
        target.copy_from_slice(black_box(&frame));
        black_box(&mut target);
    });
    let copy = report("memcpy of a 1080p frame", &mut copies, None);
    let args = || Args::from(json!({})).with_tensors(vec![tensor(frame.clone())]);
    let mut ready: Vec<Args> = (0..200).map(|_| args()).collect();
    let mut frames = timed(200, || call(&rt, "echo", ready.pop().unwrap()));
    report(
        "process call, 1080p frame in",
        &mut frames,
        Some(("times memcpy", copy)),
    );
    let mut deaths: Vec<Duration> = (0..200).map(|_| death(&rt)).collect();
    report("SIGSEGV to the caller's error", &mut deaths, None);
    let mut late: Vec<Duration> = (0..50).map(|_| overshoot(&rt)).collect();
    report("deadline overshoot", &mut late, None);
    let mut starts = timed(50, || assert!(rt.restart("p").unwrap().is_ok()));
    report("restart with a new process", &mut starts, None);
}

fn runtime() -> Runtime {
    let exe = std::env::current_exe().unwrap();
    let beside = exe.ancestors().nth(2).unwrap().join("plugward-worker");
    let worker = std::env::var_os("PLUGWARD_WORKER").map_or(beside, PathBuf::from);
    let options = RuntimeOptions {
        worker: Some(worker),
        ..RuntimeOptions::default()
    };
    Runtime::new(options).unwrap()
}

fn load(rt: &Runtime, name: &str) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let library = std::env::temp_dir().join(format!("libmeasure-{}.so", std::process::id()));
    let status = std::process::Command::new("cc")
        .args([
            "-O2",
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
        .arg(&library)
        .status();
    assert!(status.unwrap().success());
    let tools: Vec<Value> = ["echo", "segfault", "hang"]
        .iter()
        .map(|id| json!({"id": id}))
        .collect();
    let manifest = json!({
        "name": name, "kind": "native", "entrypoint": library, "isolation": "process",
        "tools": tools, "restart": {"policy": "never"},
    });
    let loaded = rt.load(Manifest::from_value(manifest).unwrap());
    assert!(loaded.is_ok(), "{:?}", loaded.error);
}

fn small() -> Args {
    Args::from(json!({"text": "x".repeat(1000)}))
}

fn tensor(data: Vec<u8>) -> OwnedTensor {
    let dtype = plugward_abi::DType::U8;
    OwnedTensor {
        dtype,
        shape: vec![data.len() as i64],
        data: data.into(),
    }
}

fn call(rt: &Runtime, tool: &str, args: Args) {
    assert!(rt.call("p", tool, args, &CallOptions::default()).is_ok());
}

fn death(rt: &Runtime) -> Duration {
    let since = Instant::now();
    let outcome = rt.call("p", "segfault", Args::default(), &CallOptions::default());
    let took = since.elapsed();
    assert_eq!(outcome.result.unwrap_err().code().as_str(), "PW-WORKER-004");
    assert!(rt.restart("p").unwrap().is_ok());
    took
}

fn overshoot(rt: &Runtime) -> Duration {
    let deadline = Duration::from_millis(20);
    let since = Instant::now();
    let options = CallOptions {
        deadline: Some(deadline),
        ..CallOptions::default()
    };
    assert!(!rt.call("p", "hang", Args::default(), &options).is_ok());
    let late = since.elapsed().saturating_sub(deadline);
    assert!(rt.restart("p").unwrap().is_ok());
    late
}

fn timed(times: usize, mut body: impl FnMut()) -> Vec<Duration> {
    let mut each = Vec::with_capacity(times);
    for _ in 0..times {
        let since = Instant::now();
        body();
        each.push(since.elapsed());
    }
    each
}

/// Two processes that share a page and wake one another, in C: what no protocol can be faster than.
const PING_PONG: &str = r#"
#include <linux/futex.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static _Atomic uint32_t *word;
static void turn(uint32_t from, uint32_t to) {
    while (*word != from) syscall(SYS_futex, word, FUTEX_WAIT, to, 0, 0, 0);
    *word = to;
    syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0);
}
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}
int main(void) {
    word = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fork() == 0) { for (int n = 0; n < 5000; n++) turn(1, 0); return 0; }
    for (int n = 0; n < 5000; n++) {
        double since = now();
        turn(0, 1);
        while (*word) syscall(SYS_futex, word, FUTEX_WAIT, 1, 0, 0, 0);
        printf("%.0f\n", now() - since);
    }
    return 0;
}
"#;

fn ping_pong() -> Vec<Duration> {
    let folder = std::env::temp_dir();
    let source = folder.join(format!("pingpong-{}.c", std::process::id()));
    let program = source.with_extension("bin");
    std::fs::write(&source, PING_PONG).unwrap();
    let mut cc = std::process::Command::new("cc");
    cc.arg("-O2").arg(&source).arg("-o").arg(&program);
    assert!(cc.status().unwrap().success());
    let out = std::process::Command::new(&program).output().unwrap();
    let _ = (
        std::fs::remove_file(&source),
        std::fs::remove_file(&program),
    );
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines()
        .map(|line| Duration::from_nanos(line.parse().unwrap()))
        .collect()
}

fn report(what: &str, each: &mut [Duration], against: Option<(&str, f64)>) -> f64 {
    each.sort();
    let at = |share: f64| each[((each.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    let mut row = json!({"row": what, "median_us": at(0.5), "p99_us": at(0.99), "n": each.len()});
    if let Some((unit, floor)) = against {
        row[unit] = json!(at(0.5) / floor);
    }
    println!("{row}");
    at(0.5)
}
