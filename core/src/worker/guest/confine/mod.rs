//! What holds a plugin inside its worker: set before its code is touched, never taken back.
//!
//! Limits are rlimits. Files are held by Landlock, the network, other processes and the kernel's
//! dangerous corners by seccomp; both need no privileges and bind every later thread and child.
//! Rejected: namespaces and chroot, which need privileges or a user namespace that many systems
//! forbid, and a separate user, which only root could give.

mod files;
mod limits;
mod syscalls;

use crate::error::{Code, Error, Result};
use crate::worker::order::Order;
use serde_json::{Map, Value};

/// Begins what a mechanism's report says where it holds nothing.
const NOT: &str = "not enforced";

/// Confines this process as its manifest says, and reports by which mechanisms.
///
/// # Errors
/// [`Code::WorkerEnforcement`] where the manifest requires what cannot be had.
pub(super) fn confine(order: &Order, lanes: u32) -> Result<Value> {
    let mut report = Map::new();
    limits::lower_all(&order.manifest.limits, lanes, &mut report);
    files::restrict(order, &mut report);
    syscalls::restrict(&order.manifest.permissions, &mut report);
    if order.manifest.require_enforcement {
        required(&report)?;
    }
    Ok(Value::Object(report))
}

fn required(report: &Map<String, Value>) -> Result<()> {
    let lacking: Vec<String> = report
        .iter()
        .filter(|(_, how)| how.as_str().is_some_and(|how| how.starts_with(NOT)))
        .map(|(what, how)| format!("{what} ({})", how.as_str().unwrap_or_default()))
        .collect();
    match lacking.is_empty() {
        true => Ok(()),
        false => Err(Error::new(Code::WorkerEnforcement).with_message(format!(
            "require_enforcement is set, but: {}",
            lacking.join("; ")
        ))),
    }
}

/// The manifest lines that would allow what was perhaps refused, for a plugin's own words on it.
pub(super) fn hint(order: &Order) -> String {
    let granted = &order.manifest.permissions;
    let mut lines = Vec::new();
    if !granted.network {
        lines.push("\"network\": true".to_owned());
    }
    if !granted.subprocess {
        lines.push("\"subprocess\": true".to_owned());
    }
    lines.push("\"write\": [folders]".to_owned());
    if !granted.read.is_empty() {
        lines.push("\"read\": [more folders]".to_owned());
    }
    format!(
        "if the sandbox refused it, the manifest's permissions would allow it by {}",
        lines.join(" or ")
    )
}
