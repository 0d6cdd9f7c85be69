//! What root may do beyond its files: given up. Root's capabilities walk past checks that Landlock
//! and modes rely on: they read another process's environment, change owners, make devices.

use crate::permissions::NOT;
use rustix::io::Result;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities,
};
use serde_json::{Map, Value, json};

/// What root keeps: other users' files, which Landlock bounds; and low ports with the network.
fn kept(network: bool) -> CapabilitySet {
    let files = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    match network {
        true => files | CapabilitySet::NET_BIND_SERVICE,
        false => files,
    }
}

pub(super) fn give_up(network: bool, report: &mut Map<String, Value>) {
    let how = match without(kept(network)) {
        Ok(false) => return,
        Ok(true) => "given up, but for files".to_owned(),
        Err(e) => format!("{NOT}: {e}"),
    };
    report.insert("root's privileges".to_owned(), json!(how));
}

/// Whether there was anything to give up.
fn without(kept: CapabilitySet) -> Result<bool> {
    let now = capabilities(None)?;
    if (now.permitted - kept).is_empty() {
        return Ok(false);
    }
    // Programs that it starts must not get them back; without SETPCAP they cannot be taken away.
    if now.effective.contains(CapabilitySet::SETPCAP) {
        for one in (now.permitted - kept).iter() {
            remove_capability_from_bounding_set(one)?;
        }
    }
    set_capabilities(
        None,
        CapabilitySets {
            effective: now.effective & kept,
            permitted: now.permitted & kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(true)
}
