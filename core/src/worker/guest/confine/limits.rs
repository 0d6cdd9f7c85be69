//! Resource limits, inherited by whatever the plugin starts.

use crate::permissions::NOT;
use crate::worker::order::{NO_CGROUP, Order};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Map, Value, json};

/// Address space that one thread's stack takes.
const STACK: u64 = 2 << 20;

/// Lowers what the manifest limits, and says by which mechanism.
pub(super) fn lower_all(order: &Order, lanes: u32, report: &mut Map<String, Value>) {
    let limits = &order.manifest.limits;
    let mut set = |name: &str, resource: Resource, value: Option<(u64, u64)>, unit: &str| {
        let Some((soft, hard)) = value else { return };
        let done = lower(resource, soft, hard);
        report.insert(
            name.to_owned(),
            match done {
                Ok(()) => json!(format!("{resource:?} rlimit, {unit}")),
                Err(e) => json!(format!("{NOT}: {e}")),
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
    let size = limits.file_size_mb.map(|mb| (mb << 20, mb << 20));
    let mb = limits.file_size_mb.unwrap_or_default();
    set(
        "limits.file_size_mb",
        Resource::Fsize,
        size,
        &format!("{mb} MiB a file"),
    );
    let n = limits.processes.unwrap_or_default();
    let processes = limits.processes.map(|n| {
        let all = tasks_of_user() + u64::from(n) + u64::from(lanes);
        (all, all)
    });
    set(
        "limits.processes",
        Resource::Nproc,
        processes,
        &format!("{n} beside what the user runs already"),
    );
    if limits.processes.is_some() && rustix::process::geteuid().is_root() {
        let why = format!("{n} of its own and its children");
        report.insert("limits.processes".to_owned(), json!(why));
    }
    if let (None, Some(mb)) = (limits.memory_mb, order.default_memory_mb) {
        let why = format!("{mb} MiB, half of what this machine has");
        report.insert("limits.memory_mb".to_owned(), json!(why));
    }
    held_by_host(order, report);
}

/// What the host holds from outside: a control group, or a look at what is resident.
fn held_by_host(order: &Order, report: &mut Map<String, Value>) {
    for name in ["limits.memory_mb", "limits.processes"] {
        let Some(own) = report.get(name).and_then(Value::as_str) else {
            continue;
        };
        let group = order.held.get(name);
        let none = order.held.get(NO_CGROUP);
        let what = match name {
            "limits.memory_mb" => "what it and its children have resident",
            _ => "how many they are",
        };
        let whole = match (group, none) {
            (Some(group), _) if own.starts_with(NOT) => group.clone(),
            (Some(group), _) => format!("{group}; {own}"),
            (None, Some(why)) => format!(
                "{own}, and a look at {what} up to every 50 ms (cgroup v2 not delegated: {why})"
            ),
            _ => continue,
        };
        report.insert(name.to_owned(), json!(whole));
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

/// Processes and threads of this user, as far as they can be seen: the kernel's limit counts them all.
fn tasks_of_user() -> u64 {
    let own = rustix::process::getuid().as_raw();
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let each = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        path.file_name()?.to_str()?.parse::<u32>().ok()?;
        let text = std::fs::read_to_string(path.join("status")).ok()?;
        let number = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|l| l.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        (number("Uid:")? == u64::from(own)).then(|| number("Threads:"))?
    });
    each.sum()
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
