//! Each misbehaviour ends as its own error, in the caller's hands, with the host untouched.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use common::{WORKER, call, code, eventually, is_alive, library, load, runtime, said, with};
use plugward_core::call::{Args, CallOptions, OwnedTensor};
use plugward_core::lifecycle::State;
use plugward_core::runtime::{Runtime, RuntimeOptions};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A sibling that must not notice anything, and the plugin that misbehaves.
fn pair(more: Value) -> Runtime {
    let rt = with(more);
    let sibling = load(&rt, "sibling", json!({}));
    assert!(sibling.is_ok(), "{:?}", sibling.error);
    rt
}

fn unharmed(rt: &Runtime) {
    let sibling = rt.plugin_health("sibling").unwrap();
    assert_eq!((sibling.state, sibling.generation), (State::Initialized, 1));
    let outcome = rt.call("sibling", "echo", Args::default(), &CallOptions::default());
    assert!(outcome.is_ok());
}

#[test]
fn each_death_has_its_own_error() {
    // tool, limits, code, a word of the message, effect
    let rows = [
        (
            "segfault",
            json!({}),
            "PW-WORKER-004",
            "SIGSEGV at address 0x10",
            "may_have_run",
        ),
        (
            "overflow",
            json!({}),
            "PW-WORKER-004",
            "SIGSEGV",
            "may_have_run",
        ),
        (
            "abort",
            json!({}),
            "PW-WORKER-004",
            "SIGABRT",
            "may_have_run",
        ),
        (
            "kill",
            json!({}),
            "PW-WORKER-004",
            "SIGKILL",
            "may_have_run",
        ),
        (
            "exit",
            json!({}),
            "PW-WORKER-005",
            "status 7",
            "may_have_run",
        ),
        (
            "atexit",
            json!({}),
            "PW-WORKER-005",
            "status 3",
            "may_have_run",
        ),
        (
            "thread_exit",
            json!({}),
            "PW-WORKER-005",
            "thread",
            "may_have_run",
        ),
        (
            "memory",
            json!({"memory_mb": 64}),
            "PW-CALL-014",
            "limits.memory_mb = 64",
            "may_have_run",
        ),
        (
            "shared_memory",
            json!({"memory_mb": 64}),
            "PW-CALL-014",
            "more memory resident",
            "may_have_run",
        ),
        (
            "spin",
            json!({"cpu_s": 1}),
            "PW-WORKER-011",
            "limits.cpu_s",
            "may_have_run",
        ),
        (
            "big_file",
            json!({"file_size_mb": 1}),
            "PW-WORKER-011",
            "limits.file_size_mb = 1",
            "may_have_run",
        ),
        ("huge", json!({}), "PW-WORKER-007", "2048", "completed"),
        (
            "scribble",
            json!({}),
            "PW-WORKER-004",
            "SIGSEGV",
            "may_have_run",
        ),
    ];
    for (tool, limits, expected, word, effect) in rows {
        let rt = pair(json!({"limits": limits}));
        let tensor = OwnedTensor {
            dtype: plugward_abi::DType::U8,
            shape: vec![1],
            data: vec![0].into(),
        };
        let args = Args::from(json!({"why": "words"})).with_tensors(vec![tensor]);
        let options = CallOptions {
            deadline: Some(Duration::from_secs(120)),
            ..CallOptions::default()
        };
        let outcome = rt.call("p", tool, args, &options);
        assert_eq!(code(&outcome), expected, "{tool}: {:?}", outcome.result);
        let error = outcome.result.as_ref().unwrap_err();
        assert!(
            error.message().contains(word),
            "{tool}: {}",
            error.message()
        );
        assert_eq!(outcome.ended.effect.as_str(), effect, "{tool}");
        let state = rt.plugin_health("p").unwrap().state;
        let after = if effect == "completed" {
            State::Initialized
        } else {
            State::Failed
        };
        assert_eq!(state, after, "{tool}");
        unharmed(&rt);
    }
}

#[test]
fn the_last_words_are_in_the_error() {
    let rt = with(json!({}));
    let error = call(&rt, "abort", json!({"why": "disk on fire"}))
        .result
        .unwrap_err();
    let details = error.details().unwrap();
    assert_eq!(details["signal"], "SIGABRT");
    assert_eq!(details["last_lines"][0], "giving up: disk on fire");
    assert!(error.traceback().unwrap().contains("disk on fire"));
}

#[test]
fn a_hang_is_killed_at_its_deadline_with_all_that_it_started() {
    for tool in ["hang", "spin"] {
        let rt = pair(json!({"permissions": {"subprocess": true}}));
        let child = call(&rt, "orphan", json!({}))
            .result
            .unwrap()
            .value
            .as_u64()
            .unwrap() as u32;
        let worker = rt.plugin_health("p").unwrap().pid.unwrap();
        let since = Instant::now();
        let options = CallOptions {
            deadline: Some(Duration::from_secs(1)),
            ..CallOptions::default()
        };
        let outcome = rt.call("p", tool, Args::default(), &options);
        assert_eq!(code(&outcome), "PW-CALL-005");
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{:?}",
            since.elapsed()
        );
        assert!(outcome.result.unwrap_err().message().contains("1000 ms"));
        eventually("the worker is gone", || !is_alive(worker));
        eventually("its child is gone", || !is_alive(child));
        assert_eq!(rt.plugin_health("p").unwrap().state, State::Failed);
        unharmed(&rt);
    }
}

/// Ways in which a child may try to leave its worker behind.
const ESCAPES: [&str; 5] = ["session", "group", "daemon", "spawn_session", "spawn_group"];

#[test]
fn nobody_leaves_the_worker_behind_however_it_ends() {
    for end in ["deadline", "crash", "killed", "close", "unload"] {
        let rt = with(json!({"permissions": {"subprocess": true}}));
        let escaped = ESCAPES.map(|how| {
            let answer = call(&rt, "escape", json!({"how": how}));
            answer.result.expect(how).value.as_u64().unwrap() as u32
        });
        assert!(escaped.iter().all(|pid| is_alive(*pid)), "{escaped:?}");
        let worker = rt.plugin_health("p").unwrap().pid.unwrap();
        match end {
            "deadline" => {
                let options = CallOptions {
                    deadline: Some(Duration::from_secs(1)),
                    ..CallOptions::default()
                };
                let outcome = rt.call("p", "hang", Args::default(), &options);
                assert_eq!(code(&outcome), "PW-CALL-005");
            }
            "crash" => assert_eq!(code(&call(&rt, "segfault", json!({}))), "PW-WORKER-004"),
            "killed" => kill(worker),
            "close" => rt.close(),
            _ => assert!(rt.unload("p").is_ok()),
        }
        eventually(end, || {
            !is_alive(worker) && !escaped.iter().any(|pid| is_alive(*pid))
        });
    }
}

#[test]
fn what_was_logged_just_before_a_death_arrives() {
    let rt = with(json!({}));
    for _ in 0..10 {
        let before = rt.log().recent().iter().filter(|r| last(r)).count();
        let outcome = call(&rt, "log_and_segfault", json!({}));
        assert_eq!(code(&outcome), "PW-WORKER-004");
        eventually("it is in the log", || {
            rt.log().recent().iter().filter(|r| last(r)).count() == before + 1
        });
        assert!(rt.restart("p").unwrap().is_ok());
    }

    fn last(record: &plugward_core::log::Record) -> bool {
        record.message == "about to look at 0x10"
            && record.level == plugward_core::log::Level::Error
    }
}

#[test]
fn what_has_no_room_was_not_started() {
    let rt = with(json!({"limits": {"payload_mb": 1}}));
    let tensor = |mb: usize| OwnedTensor {
        dtype: plugward_abi::DType::U8,
        shape: vec![(mb as i64) << 20],
        data: vec![0; mb << 20].into(),
    };
    let effect = |args: Args| {
        let outcome = rt.call("p", "sum", args, &CallOptions::default());
        (code(&outcome), outcome.ended.effect.as_str())
    };
    let large = Args::from(json!({})).with_tensors(vec![tensor(3)]);
    assert_eq!(effect(large), ("PW-WORKER-006", "not_started"));
    let long = Args::from(json!({"text": "x".repeat(3 << 20)}));
    assert_eq!(effect(long), ("PW-WORKER-006", "not_started"));
    // One call's frames twice, and leases have all of them.
    let leases: Vec<_> = std::iter::from_fn(|| rt.lease("p", 1 << 20).ok()).collect();
    assert!(!leases.is_empty());
    let next = Args::from(json!({})).with_tensors(vec![tensor(1)]);
    assert_eq!(effect(next), ("PW-WORKER-012", "not_started"));
}

#[test]
fn calls_beside_a_deadline_learn_whose_it_was() {
    let rt = with(json!({"limits": {"concurrency": 2}}));
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| call(&rt, "hang", json!({"say": "say it"})));
        said(&rt, "say it");
        let options = CallOptions {
            deadline: Some(Duration::from_secs(1)),
            ..CallOptions::default()
        };
        let outcome = rt.call("p", "spin", Args::default(), &options);
        assert_eq!(code(&outcome), "PW-CALL-005");
        let outcome = beside.join().unwrap();
        assert_eq!(code(&outcome), "PW-WORKER-009");
        assert!(outcome.result.unwrap_err().message().contains("spin"));
    });
}

#[test]
fn a_worker_that_dies_idle_ends_its_generation() {
    let rt = with(json!({}));
    let pid = rt.plugin_health("p").unwrap().pid.unwrap();
    kill(pid);
    eventually("it is FAILED", || {
        rt.plugin_health("p").unwrap().state == State::Failed
    });
    assert_eq!(rt.plugin_health("p").unwrap().pid, None);
    let outcome = call(&rt, "echo", json!({}));
    assert_eq!(code(&outcome), "PW-CALL-006");
    assert!(rt.restart("p").unwrap().is_ok());
    assert!(call(&rt, "echo", json!({})).is_ok());
}

fn kill(pid: u32) {
    let status = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn bombs_of_descriptors_and_processes_stay_in_the_worker() {
    let rt = pair(json!({"limits": {"open_files": 64}, "fails_on": "crash"}));
    let error = call(&rt, "files", json!({})).result.unwrap_err();
    assert_eq!(error.code().as_str(), "PW-WORKER-011", "{error}");
    assert!(
        error.remedy().contains("limits.open_files (now 64)"),
        "{error}"
    );
    let error = call(&rt, "forks", json!({})).result.unwrap_err();
    assert_eq!(error.code().as_str(), "PW-PERM-004", "{error}");
    unharmed(&rt);
}

#[test]
fn memory_counts_wherever_it_lies() {
    // memfd: written to and never mapped; family: eight children with a part each.
    let rows = [("memfd", "600"), ("family", "60")];
    for (tool, mb) in rows {
        let more = json!({"permissions": {"subprocess": true}, "limits": {"memory_mb": 200}});
        let rt = pair(more);
        let outcome = call(&rt, tool, json!({"mb": mb}));
        assert_eq!(
            code(&outcome),
            "PW-CALL-014",
            "{tool}: {:?}",
            outcome.result
        );
        let error = outcome.result.unwrap_err();
        assert!(
            error.message().contains("limits.memory_mb = 200"),
            "{error}"
        );
        unharmed(&rt);
    }
    // Shared with all of them: forked, not written to again.
    let rt = with(json!({"permissions": {"subprocess": true}, "limits": {"memory_mb": 200}}));
    assert!(call(&rt, "memfd", json!({"mb": "100"})).is_ok());
    assert!(call(&rt, "family", json!({"mb": "10"})).is_ok());
}

#[test]
fn without_a_limit_it_is_half_of_the_machine() {
    let rt = runtime();
    let enforcement = |name: &str, limits: Value| {
        let report = load(&rt, name, json!({"limits": limits}));
        assert!(report.is_ok(), "{:?}", report.error);
        report.enforcement.unwrap()["limits.memory_mb"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let by_default = enforcement("p", json!({}));
    assert!(
        by_default.contains("half of what this machine has"),
        "{by_default}"
    );
    assert!(!by_default.contains("rlimit"), "{by_default}");
    let larger = enforcement("q", json!({"memory_mb": 16_000_000}));
    assert!(larger.contains("16000000 MiB"), "{larger}");
}

#[test]
fn a_fork_bomb_ends_at_its_limit() {
    let more = json!({"permissions": {"subprocess": true}, "limits": {"processes": 20}, "fails_on": "crash"});
    let rt = pair(more);
    // As an ordinary user the kernel refuses, as root the worker is killed.
    let error = call(&rt, "forks", json!({})).result.unwrap_err();
    assert_eq!(error.code().as_str(), "PW-WORKER-011", "{error}");
    assert!(
        error.remedy().contains("limits.processes (now 20)"),
        "{error}"
    );
    unharmed(&rt);
}

#[test]
fn the_same_as_an_ordinary_user_who_runs_other_things() {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;

    const INSIDE: &str = "PLUGWARD_TEST_ORDINARY";
    const USER: u32 = 61_234;
    if std::env::var_os(INSIDE).is_some() || std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(USER), Some(USER)).unwrap();
    let others: Vec<_> = (0..40)
        .map(|_| {
            std::process::Command::new("sleep")
                .arg("600")
                .uid(USER)
                .gid(USER)
                .spawn()
                .unwrap()
        })
        .collect();
    library();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["a_fork_bomb_ends_at_its_limit", "--exact", "--nocapture"])
        .env(INSIDE, library())
        .env("TMPDIR", folder.path())
        .uid(USER)
        .gid(USER)
        .status();
    for mut other in others {
        other.kill().unwrap();
        other.wait().unwrap();
    }
    assert!(status.unwrap().success());
}

#[test]
fn printing_a_lot_takes_no_longer_than_that() {
    let rt = with(json!({}));
    let options = CallOptions {
        deadline: Some(Duration::from_secs(40)),
        ..CallOptions::default()
    };
    // 8 MiB a second were let through once: 400 MiB of one line took 50 s, then 2,000,000 lines.
    let outcome = rt.call("p", "line", Args::from(json!({"mb": "400"})), &options);
    assert!(outcome.is_ok(), "{:?}", outcome.result);
    let outcome = rt.call("p", "flood", Args::default(), &options);
    assert!(outcome.is_ok(), "{:?}", outcome.result);
}

#[test]
fn a_load_that_dies_or_hangs_says_so() {
    let rt = runtime();
    let report = load(&rt, "crash-on-create", json!({}));
    let error = report.error.unwrap();
    assert_eq!(
        (error.code().as_str(), report.state),
        ("PW-WORKER-004", State::Failed)
    );
    let options = RuntimeOptions {
        worker: Some(WORKER.into()),
        load_timeout: Duration::from_secs(3),
        ..RuntimeOptions::default()
    };
    let rt = Runtime::new(options).unwrap();
    let since = Instant::now();
    let report = load(&rt, "hang-on-create", json!({}));
    assert_eq!(report.error.unwrap().code().as_str(), "PW-LOAD-004");
    assert!(since.elapsed() < Duration::from_secs(60));
}

#[test]
fn deaths_leave_nothing_behind() {
    let rt = with(json!({}));
    let count = |what: &str| {
        std::fs::read_dir(format!("/proc/self/{what}"))
            .unwrap()
            .count()
    };
    let scratch = || {
        let list = std::fs::read_dir(std::env::temp_dir()).unwrap();
        let own = |e: &std::fs::DirEntry| {
            let name = e.file_name();
            name.to_string_lossy().starts_with("plugward-leaktest")
        };
        list.filter_map(Result::ok).filter(own).count()
    };
    let settle = |rt: &Runtime| {
        assert!(load(rt, "leaktest", json!({})).is_ok());
        let outcome = rt.call("leaktest", "exit", Args::default(), &CallOptions::default());
        assert_eq!(code(&outcome), "PW-WORKER-005");
        rt.unload("leaktest").unwrap();
    };
    let deaths = std::env::var("PLUGWARD_TEST_DEATHS")
        .ok()
        .and_then(|n| n.parse().ok());
    for _ in 0..20 {
        settle(&rt);
    }
    let before = (count("fd"), count("task"));
    for _ in 0..deaths.unwrap_or(300) {
        settle(&rt);
    }
    eventually("all is given back", || {
        let now = (count("fd"), count("task"));
        now.0 <= before.0 + 8 && now.1 <= before.1 + 8 && scratch() == 0
    });
}
