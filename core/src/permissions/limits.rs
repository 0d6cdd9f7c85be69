//! The limits of a plugin, in words.

use super::clause::{Allowed, Clause};
use super::mechanism::NOT;
use crate::manifest::{Isolation, Manifest};

/// Largest result where the manifest names none, in MiB.
pub(crate) const RESULT_MB: u32 = 256;

/// Largest arguments where the manifest names none, in MiB.
pub(crate) const PAYLOAD_MB: u32 = 256;

/// What bounds it, the unbounded things too.
pub(super) fn all(manifest: &Manifest) -> Vec<Clause> {
    let limits = &manifest.limits;
    let root = is_root();
    let processes = match root {
        true => "a cgroup v2 where one is delegated, else a look at how many they are".to_owned(),
        false => {
            "Nproc rlimit, a look at how many they are, and a cgroup v2 where one is delegated"
                .to_owned()
        }
    };
    let look =
        "a look at what it and its children have resident, and a cgroup v2 where one is delegated";
    let watched = match limits.memory_mb {
        Some(_) => format!("Data rlimit, {look}"),
        None => format!("half of this machine's memory by default: {look}"),
    };
    // In the host's own process nobody holds it.
    let by_process = super::isolation(manifest) == Isolation::Process;
    let by_default = || by_process.then(super::machine::default_memory_mb)?;
    let memory = limits.memory_mb.or_else(by_default);
    let slots = "the size of its shared memory".to_owned();
    let timer = "the caller's timer; the worker is killed".to_owned();
    let deadline = manifest.effective_deadline();
    let deadline = deadline.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    let result = limits.result_mb.unwrap_or(RESULT_MB);
    let payload = limits.payload_mb.unwrap_or(PAYLOAD_MB);
    let wide = |n: Option<u32>| n.map(u64::from);
    let rlimit = |name: &str| format!("{name} rlimit");
    vec![
        limit("limits.deadline_ms", deadline, "ms a call", timer),
        limit("limits.memory_mb", memory, "MiB of memory", watched),
        limit("limits.cpu_s", limits.cpu_s, "s of CPU time", rlimit("Cpu")),
        limit(
            "limits.open_files",
            wide(limits.open_files),
            "open files",
            rlimit("Nofile"),
        ),
        limit(
            "limits.file_size_mb",
            limits.file_size_mb,
            "MiB a file",
            rlimit("Fsize"),
        ),
        limit(
            "limits.processes",
            wide(limits.processes),
            "processes and threads",
            processes,
        ),
        limit(
            "limits.payload_mb",
            Some(payload.into()),
            "MiB of arguments a call",
            slots.clone(),
        ),
        limit(
            "limits.result_mb",
            Some(result.into()),
            "MiB a result",
            slots,
        ),
    ]
}

fn limit(subject: &'static str, value: Option<u64>, unit: &str, by: String) -> Clause {
    let (values, allowed, text, by) = match value {
        Some(value) => {
            let text = format!("at most {value} {unit}");
            (vec![value.to_string()], Allowed::Listed, text, by)
        }
        None => {
            let by = format!("{NOT}: the manifest sets no limit");
            (
                Vec::new(),
                Allowed::Everything,
                format!("any number of {unit}"),
                by,
            )
        }
    };
    Clause::new(subject, allowed, values, text, subject, by)
}

#[cfg(target_os = "linux")]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(target_os = "linux"))]
fn is_root() -> bool {
    false
}
