//! Which files a plugin may reach: Landlock.
//!
//! Writing is denied outside the scratch folder and `permissions.write`. Reading is free unless
//! `permissions.read` names folders; then only those, the plugin's own folder, its models, and what
//! the system and the interpreter need are readable.

use crate::permissions::{NOT, readable, writable};
use crate::worker::order::Order;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use serde_json::{Map, Value, json};

/// The newest rules that are asked for; older kernels hold what they know.
const NEWEST: ABI = ABI::V6;
pub(super) fn restrict(order: &Order, report: &mut Map<String, Value>) {
    let mut say = |what: &str, how: String| {
        report.insert(what.to_owned(), json!(how));
    };
    let permissions = &order.manifest.permissions;
    match landlocked(order) {
        Ok((true, version)) => {
            let by = format!("Landlock {version}");
            say("permissions.write", by.clone());
            if !permissions.read.is_empty() {
                say("permissions.read", by.clone());
            }
            say("signals to other processes", by);
        }
        Ok((false, _)) => say(
            "permissions.write",
            format!("{NOT}: this kernel has no Landlock"),
        ),
        Err(e) => say("permissions.write", format!("{NOT}: {e}")),
    }
}

/// Whether it holds, and which version of it.
fn landlocked(order: &Order) -> Result<(bool, String), RulesetError> {
    let permissions = &order.manifest.permissions;
    let reads = !permissions.read.is_empty();
    let writing = AccessFs::from_write(NEWEST);
    let handled: BitFlags<AccessFs> = if reads {
        AccessFs::from_all(NEWEST)
    } else {
        writing
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)?
        .scope(Scope::from_all(NEWEST))?;
    if !permissions.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    // Paths that are not there are left out: they cannot be written to either.
    let all = AccessFs::from_all(NEWEST) & handled;
    let reading = AccessFs::from_read(NEWEST) & handled;
    let mut created = ruleset.create()?.add_rules(path_beneath_rules(
        writable(&order.manifest, &order.scratch),
        all,
    ))?;
    if reads {
        created = created.add_rules(path_beneath_rules(
            readable(&order.manifest, &order.code),
            reading,
        ))?;
    }
    let status = created.restrict_self()?;
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => format!("ABI {}", effective_abi as i32),
        _ => String::new(),
    };
    Ok((status.ruleset != RulesetStatus::NotEnforced, version))
}
