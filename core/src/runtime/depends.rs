//! Who starts before whom, who needs whom, and who ends first.
//!
//! Restarts are one-for-one: a plugin that is restarted or stopped takes nobody along, because its
//! dependants hold its name, not its memory; they are named in the report instead. Rejected:
//! restarting all that depend on it, which turns one fault into many.

use super::Runtime;
use super::load::{Step, failed};
use crate::error::{Code, Error};
use crate::lifecycle::{Event, State};
use crate::manifest::{Isolation, Manifest, Parsed, RestartPolicy};
use crate::registry::{Plugin, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Runtime {
    /// The plugins that depend on `name`, directly or not, sorted.
    pub(super) fn dependants(&self, name: &str) -> Vec<String> {
        let snapshot = self.registry().snapshot();
        let mut found = BTreeSet::new();
        let mut next = vec![name.to_owned()];
        while let Some(wanted) = next.pop() {
            for plugin in snapshot.plugins() {
                let leans = plugin.manifest().depends_on.contains(&wanted);
                if leans && plugin.name != name && found.insert(plugin.name.clone()) {
                    next.push(plugin.name.clone());
                }
            }
        }
        found.into_iter().collect()
    }

    /// The step of a load that looks at `depends_on`: no circle, and everybody is there.
    pub(super) fn leans_on(&self, manifest: &Manifest) -> Step {
        if manifest.depends_on.is_empty() {
            return Ok(());
        }
        let snapshot = self.registry().snapshot();
        if let Some(circle) = circle(manifest, &snapshot) {
            return Err(failed(cycle(&circle.join(" -> "))));
        }
        for name in &manifest.depends_on {
            let missing = match snapshot.get(name) {
                None => "is not loaded".to_owned(),
                Some(plugin) if can_be_leaned_on(plugin) => continue,
                Some(plugin) => format!("is {}", plugin.status().state),
            };
            let error = Error::new(Code::LoadDependsOn).with_message(format!(
                "{} depends on the plugin \"{name}\", which {missing}",
                manifest.name
            ));
            return Err((Event::DependencyMissing, error));
        }
        Ok(())
    }
}

/// A plugin that is about to be restarted by itself is as good as there.
fn can_be_leaned_on(plugin: &Plugin) -> bool {
    let manifest = plugin.manifest();
    let comes_back = || {
        manifest.effective_isolation() == Isolation::Process
            && manifest.restart.policy == RestartPolicy::OnFailure
            && plugin.ready_ns.load(Ordering::Relaxed) != 0
            && plugin.supervision.lock().quarantined().is_none()
    };
    match plugin.status().state {
        State::Loaded | State::Initialized | State::Running => true,
        State::Failed => comes_back(),
        State::Unavailable => false,
    }
}

/// The way from `manifest` back to itself, its name at both ends.
fn circle(manifest: &Manifest, snapshot: &Snapshot) -> Option<Vec<String>> {
    let mut way = vec![manifest.name.clone()];
    let mut seen = BTreeSet::new();
    leads_back(manifest, &manifest.name, snapshot, &mut way, &mut seen).then_some(way)
}

fn leads_back(
    from: &Manifest,
    home: &str,
    snapshot: &Snapshot,
    way: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    for name in &from.depends_on {
        way.push(name.clone());
        if name == home {
            return true;
        }
        let next = snapshot.get(name).filter(|_| seen.insert(name.clone()));
        if next.is_some_and(|p| leads_back(&p.manifest(), home, snapshot, way, seen)) {
            return true;
        }
        way.pop();
    }
    false
}

fn cycle(circle: &str) -> Error {
    Error::new(Code::RegistryDependencyCycle)
        .with_message(format!("depends_on forms a circle among: {circle}"))
}

/// Groups of plugins such that everybody who depends on a plugin is in an earlier group; within a
/// group the last name comes first. Members of a circle are in the last group.
pub(super) fn end_order(plugins: &[Arc<Plugin>]) -> Vec<Vec<Arc<Plugin>>> {
    let mut rest: Vec<Arc<Plugin>> = plugins.iter().rev().cloned().collect();
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let needed: BTreeSet<String> = rest
            .iter()
            .flat_map(|p| p.manifest().depends_on.clone())
            .collect();
        let (later, free): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|p| needed.contains(&p.name));
        if free.is_empty() {
            groups.push(later);
            break;
        }
        groups.push(free);
        rest = later;
    }
    groups
}

/// Manifests in the order of their `depends_on`, then by name. Members of a circle are errors.
pub(super) fn in_order(parsed: Vec<Parsed>) -> Vec<std::result::Result<Parsed, (String, Error)>> {
    let mut rest: BTreeMap<String, Parsed> = BTreeMap::new();
    let mut out = Vec::new();
    for item in parsed {
        let name = item.manifest.name.clone();
        if let Some(twin) = rest.insert(name.clone(), item) {
            out.push(Ok(twin));
        }
    }
    let known: BTreeSet<String> = rest.keys().cloned().collect();
    loop {
        let free = rest.iter().find(|(_, p)| {
            p.manifest
                .depends_on
                .iter()
                .all(|d| !known.contains(d) || !rest.contains_key(d))
        });
        let Some(name) = free.map(|(name, _)| name.clone()) else {
            break;
        };
        out.extend(rest.remove(&name).map(Ok));
    }
    let circle: Vec<String> = rest.keys().cloned().collect();
    out.extend(
        rest.into_keys()
            .map(|name| Err((name, cycle(&circle.join(", "))))),
    );
    out
}
