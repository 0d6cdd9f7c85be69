//! Resource limits, inherited by whatever the plugin starts.

use crate::manifest::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Map, Value, json};

/// Address space that one thread's stack takes.
const STACK: u64 = 2 << 20;

/// Lowers what the manifest limits, and says by which mechanism.
pub(super) fn lower_all(limits: &Limits, lanes: u32, report: &mut Map<String, Value>) {
    let mut set = |name: &str, resource: Resource, value: Option<(u64, u64)>, unit: &str| {
        let Some((soft, hard)) = value else { return };
        let done = lower(resource, soft, hard);
        report.insert(
            name.to_owned(),
            match done {
                Ok(()) => json!(format!("{resource:?} rlimit, {unit}")),
                Err(e) => json!(format!("not enforced: {e}")),
            },
        );
    };
    // A core file of a worker helps nobody and delays its death.
    let _ = lower(Resource::Core, 0, 0);
    let memory = limits.memory_mb.map(|mb| {
        let own = private_bytes() + u64::from(lanes) * STACK;
        let bytes = (mb << 20).saturating_add(own);
        (bytes, bytes)
    });
    let mb = limits.memory_mb.unwrap_or_default();
    set(
        "limits.memory_mb",
        Resource::Data,
        memory,
        &format!("{mb} MiB of private memory"),
    );
    let cpu = limits.cpu_s.map(|s| (s, s + 1));
    set(
        "limits.cpu_s",
        Resource::Cpu,
        cpu,
        &format!("{} s", limits.cpu_s.unwrap_or_default()),
    );
    let files = limits.open_files.map(|n| (u64::from(n), u64::from(n)));
    let n = limits.open_files.unwrap_or_default();
    set(
        "limits.open_files",
        Resource::Nofile,
        files,
        &format!("{n} descriptors"),
    );
    let processes = limits.processes.map(|n| (u64::from(n), u64::from(n)));
    let n = limits.processes.unwrap_or_default();
    set(
        "limits.processes",
        Resource::Nproc,
        processes,
        &format!("{n} of the user"),
    );
    if limits.processes.is_some() && rustix::process::geteuid().is_root() {
        let why = "not enforced: the kernel exempts root from this limit";
        report.insert("limits.processes".to_owned(), json!(why));
    }
}

fn lower(resource: Resource, soft: u64, hard: u64) -> rustix::io::Result<()> {
    let now = getrlimit(resource);
    let least = |wanted: u64, present: Option<u64>| Some(wanted.min(present.unwrap_or(u64::MAX)));
    let maximum = least(hard, now.maximum);
    setrlimit(
        resource,
        Rlimit {
            current: least(soft, maximum),
            maximum,
        },
    )
}

/// Private writable memory that the worker itself has taken already.
fn private_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text
        .split(' ')
        .nth(5)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    pages * 4096
}
