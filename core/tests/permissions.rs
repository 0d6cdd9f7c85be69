//! What a plugin may do, in words, and with what it is held here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use plugward_core::manifest::Manifest;
use plugward_core::permissions::{Allowed, Clause, Described, describe};
use serde_json::{Value, json};

fn described(more: Value) -> Described {
    let mut manifest = json!({"name": "p", "kind": "python", "entrypoint": "p:P"});
    for (key, value) in more.as_object().unwrap() {
        manifest[key] = value.clone();
    }
    describe(&Manifest::from_value(manifest).unwrap().manifest)
}

fn clause<'a>(described: &'a Described, subject: &str) -> &'a Clause {
    let mut all = described.clauses.iter();
    all.find(|c| c.subject == subject).expect("a clause")
}

#[test]
fn a_manifest_that_grants_nothing() {
    let described = described(json!({"isolation": "process"}));
    assert!(described.confined);
    let allowed = |subject| clause(&described, subject).allowed;
    assert_eq!(allowed("read"), Allowed::Everything);
    assert_eq!(allowed("write"), Allowed::Listed);
    for nothing in ["network", "subprocess", "devices"] {
        assert_eq!(allowed(nothing), Allowed::Nothing, "{nothing}");
    }
    let memory = clause(&described, "limits.memory_mb");
    if cfg!(target_os = "linux") {
        assert!(memory.enforced && memory.text.starts_with("at most "));
        assert!(memory.mechanism.contains("half of this machine's memory"));
        let unheld = describe_thread();
        assert!(
            clause(&unheld, "limits.memory_mb")
                .text
                .contains("any number")
        );
        assert_eq!(clause(&described, "network").mechanism, "seccomp");
        let write = clause(&described, "write");
        assert!(write.enforced && write.mechanism.starts_with("Landlock ABI "));
    }
}

fn describe_thread() -> Described {
    described(json!({"isolation": "thread"}))
}

#[test]
fn what_is_granted_is_listed_with_the_line_that_grants_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = json!({
        "name": "p", "kind": "python", "entrypoint": "p:P", "isolation": "process", "env": ["HF_HOME"],
        "permissions": {"read": ["data"], "write": ["/out"], "network": true, "devices": ["gpu"]},
        "limits": {"memory_mb": 512},
    });
    let file = folder.path().join("manifest.json");
    std::fs::write(&file, text.to_string()).unwrap();
    let described = describe(&Manifest::from_path(&file).unwrap().manifest);
    assert_eq!(described.manifest.as_ref(), Some(&file));
    let read = clause(&described, "read");
    let data = folder.path().join("data").display().to_string();
    assert!(read.values.contains(&data), "{:?}", read.values);
    assert_eq!(
        (read.line, read.allowed),
        ("permissions.read", Allowed::Listed)
    );
    assert_eq!(clause(&described, "write").values, ["/out"]);
    assert_eq!(clause(&described, "devices").values, ["gpu"]);
    let network = clause(&described, "network");
    assert_eq!(
        (network.allowed, network.mechanism.as_str()),
        (Allowed::Everything, "granted")
    );
    let environment = clause(&described, "environment");
    assert!(environment.values.iter().any(|name| name == "HF_HOME"));
    let memory = clause(&described, "limits.memory_mb");
    assert_eq!(memory.text, "at most 512 MiB of memory");
    assert!(memory.enforced);
}

#[test]
fn in_the_hosts_process_nothing_holds_and_it_says_so() {
    let described =
        described(json!({"isolation": "thread", "limits": {"memory_mb": 64, "deadline_ms": 5}}));
    assert!(!described.confined);
    let (timed, held): (Vec<&Clause>, Vec<&Clause>) = described
        .clauses
        .iter()
        .partition(|c| c.subject == "limits.deadline_ms");
    assert!(timed[0].enforced, "{timed:?}");
    for clause in held {
        assert!(!clause.enforced, "{clause:?}");
        assert!(
            clause.mechanism.contains("the host's own process"),
            "{clause:?}"
        );
    }
}
