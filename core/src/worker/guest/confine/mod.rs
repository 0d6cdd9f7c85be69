//! What holds a plugin inside its worker: set before its code is touched, never taken back.
//!
//! Limits are rlimits. Files are held by Landlock, the network, other processes and the kernel's
//! dangerous corners by seccomp; both need no privileges and bind every later thread and child.
//! Rejected: namespaces and chroot, which need privileges or a user namespace that many systems
//! forbid, and a separate user, which only root could give.

mod files;
mod limits;
mod privileges;
mod syscalls;

use super::parent;
use crate::error::{Code, Error, Result};
use crate::permissions::NOT;
use crate::worker::order::Order;
use serde_json::{Map, Value};

/// Confines this process as its manifest says, and reports by which mechanisms.
///
/// # Errors
/// [`Code::WorkerEnforcement`] where the manifest requires what cannot be had.
pub(super) fn confine(order: &Order, lanes: u32) -> Result<Value> {
    let mut report = Map::new();
    limits::lower_all(order, lanes, &mut report);
    privileges::give_up(order.manifest.permissions.network, &mut report);
    files::restrict(order, &mut report);
    let permissions = &order.manifest.permissions;
    let held = syscalls::restrict(permissions, &mut report);
    if !held && permissions.subprocess {
        parent::keep_in_sight();
    }
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
