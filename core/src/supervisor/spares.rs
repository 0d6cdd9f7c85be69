//! Warm spares: generations that were built before they are needed.
//!
//! A spare is a worker that has been through every step of a load, in the sandbox that its plugin
//! will have: imported, constructed, validated, probed. After a death it becomes the next
//! generation on the thread that noticed, so the very next call is served. What it costs is a
//! process's memory; what it cannot do is hold what only one process may have (a port, a lock).
//!
//! Rejected: processes that have only started, and load the plugin when they are needed; the
//! plugin's import is the long part, and a spare whose import fails must be found out before.

use super::{Decision, Supervision};
use crate::call::{BuildContext, Checkpoints, DeathNotice, Executor};
use crate::error::Error;
use crate::lifecycle::State;
use crate::log::{Level, Logger};
use crate::manifest::{Isolation, Manifest, RestartPolicy};
use crate::registry::{Generation, Plugin, Source, Tool};
use crate::runtime::{Runtime, WeakRuntime};
use crate::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long a refill is put off for which there was no thread.
const NO_THREAD: Duration = Duration::from_secs(1);

/// A generation that waits for its turn.
struct Spare {
    source: Arc<Source>,
    executor: Arc<dyn Executor>,
    tools: Vec<Tool>,
    role: Arc<Role>,
    checkpoints: Checkpoints,
}

/// Whom the death of a spare concerns: nobody but the supervisor, or the generation that it became.
#[derive(Default)]
struct Role(Mutex<Part>);

#[derive(Default)]
enum Part {
    #[default]
    Waiting,
    Dead,
    Serving(u32),
}

#[derive(Default)]
struct Inner {
    ready: Vec<Spare>,
    /// A thread is making one, or is about to.
    filling: bool,
    /// Counts up whenever all spares are let go: one that was begun before is not kept.
    epoch: u64,
    /// Failures of spares are rationed like those of plugins.
    budget: Supervision,
    failures: u32,
    closed: bool,
}

/// The spares of one plugin.
#[derive(Default)]
pub(crate) struct Spares {
    inner: Mutex<Inner>,
    ready: AtomicU32,
}

impl Spares {
    /// How many are ready. Takes no lock.
    pub(crate) fn ready(&self) -> u32 {
        self.ready.load(Ordering::Relaxed)
    }

    fn change<T>(&self, body: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock();
        let answer = body(&mut inner);
        self.ready
            .store(inner.ready.len() as u32, Ordering::Relaxed);
        answer
    }

    /// Lets all of them go, also those that are being made; a fresh budget for the next.
    pub(crate) fn clear(&self) {
        let gone = self.change(|inner| {
            inner.epoch += 1;
            inner.failures = 0;
            inner.budget = Supervision::default();
            std::mem::take(&mut inner.ready)
        });
        // Ends processes: not with the lock held.
        drop(gone);
    }

    /// The same for good.
    pub(crate) fn close(&self) {
        self.change(|inner| inner.closed = true);
        self.clear();
    }

    /// A living spare made from `source`; those that are neither are let go.
    fn take(&self, source: &Source) -> Option<Spare> {
        let (found, gone) = self.change(|inner| {
            let mut gone = Vec::new();
            while let Some(spare) = inner.ready.pop() {
                if spare.fits(source) && spare.executor.is_alive() {
                    return (Some(spare), gone);
                }
                gone.push(spare);
            }
            (None, gone)
        });
        drop(gone);
        found
    }

    /// Keeps `spare`, unless all were let go since `epoch`.
    fn keep(&self, spare: Spare, epoch: u64) -> bool {
        let late = self.change(|inner| {
            if inner.closed || inner.epoch != epoch {
                return Some(spare);
            }
            inner.ready.push(spare);
            None
        });
        late.is_none()
    }

    /// Lets go of the spare whose role that is.
    fn bury(&self, role: &Arc<Role>) {
        let gone = self.change(|inner| {
            let at = inner.ready.iter().position(|s| Arc::ptr_eq(&s.role, role));
            at.map(|at| inner.ready.swap_remove(at))
        });
        drop(gone);
    }

    /// What to do after a spare could not be made, or died.
    fn decide(&self, manifest: &Manifest) -> Decision {
        self.change(|inner| {
            inner.failures += 1;
            let (number, now) = (inner.failures, Instant::now());
            inner.budget.decide(&manifest.restart, number, true, now)
        })
    }
}

impl Spare {
    fn fits(&self, source: &Source) -> bool {
        Arc::ptr_eq(&self.source.manifest, &source.manifest)
            || self.source.manifest == source.manifest
    }
}

impl Role {
    /// From now on its death ends `generation`. False when it has died already.
    fn serve(&self, generation: u32) -> bool {
        let mut part = self.0.lock();
        let waits = matches!(*part, Part::Waiting);
        if waits {
            *part = Part::Serving(generation);
        }
        waits
    }

    /// The generation that its death ends; `None` where it was still waiting.
    fn die(&self) -> Option<u32> {
        let mut part = self.0.lock();
        match *part {
            Part::Serving(generation) => Some(generation),
            _ => {
                *part = Part::Dead;
                None
            }
        }
    }
}

/// How many spares a plugin with this manifest has. Where nothing restarts it, none would be used.
pub(crate) fn wanted(manifest: &Manifest) -> u32 {
    let used = manifest.effective_isolation() == Isolation::Process
        && manifest.restart.policy == RestartPolicy::OnFailure;
    if used { manifest.spares } else { 0 }
}

impl Runtime {
    /// Makes a spare the next generation after the failed `generation`. False where there is none.
    ///
    /// Does not block unless it may: a spare that must first take up a checkpoint has work to do.
    pub(super) fn promote(&self, plugin: &Arc<Plugin>, generation: u32, may_block: bool) -> bool {
        let since = Instant::now();
        let still =
            |s: crate::lifecycle::Status| s.generation == generation && s.state == State::Failed;
        // Whoever holds the lock begins a generation himself, or ends the plugin.
        let Some(_one) = plugin
            .loading
            .try_lock()
            .filter(|_| still(plugin.status()) && !plugin.removed.load(Ordering::Acquire))
        else {
            return false;
        };
        let state = plugin.last_checkpoint();
        if state.is_some() && !may_block {
            return false;
        }
        let source = plugin.source.load_full();
        while let Some(spare) = plugin.spares.take(&source) {
            if !self.taken_up(plugin, &spare, state.as_deref()) {
                continue;
            }
            if spare.role.serve(generation + 1) {
                self.installed(plugin, spare, since);
                self.keep_spares(plugin);
                return true;
            }
        }
        false
    }

    /// Gives the spare what the generation before left. False where it could not take it.
    fn taken_up(&self, plugin: &Plugin, spare: &Spare, state: Option<&[u8]>) -> bool {
        let Some(state) = state else { return true };
        let until = Instant::now() + self.load_timeout();
        spare.checkpoints.clear();
        let taken = spare.executor.restore_late(state, until);
        plugin.checkpoint_taken(taken.is_ok());
        match taken {
            Ok(()) => true,
            Err(error) => {
                let text = format!(
                    "a warm spare did not take its state up: {}",
                    error.message()
                );
                plugin.say(Level::Warn, text, Some(&error));
                false
            }
        }
    }

    fn installed(&self, plugin: &Arc<Plugin>, spare: Spare, since: Instant) {
        let findings = Arc::clone(&plugin.note().findings);
        let number = plugin.next_generation().generation;
        plugin.restarts.fetch_add(1, Ordering::Relaxed);
        plugin.supervision.lock().revived(number);
        plugin.set_findings(number, findings);
        let executor = Arc::clone(&spare.executor);
        let manifest = &spare.source.manifest;
        let (executor_of_it, tools) = (spare.executor, spare.tools);
        let checkpoints = spare.checkpoints;
        let generation =
            Generation::new(number, manifest, executor_of_it, tools, None, checkpoints);
        let generation = Some(Arc::new(generation));
        plugin.generation.store(generation.clone());
        plugin
            .ready_ns
            .store(crate::deadline::now_ns(), Ordering::Relaxed);
        if plugin.ready(number).is_err() {
            plugin.generation.compare_and_swap(&generation, None);
            return;
        }
        if self.came_too_late(plugin) {
            return;
        }
        if !executor.is_alive() {
            // It died on its way here; its notice may have come before there was a generation.
            let gone = Error::new(crate::error::Code::WorkerCrashed);
            plugin.fail(number, &gone);
            return;
        }
        let took = since.elapsed().as_secs_f64() * 1e3;
        let text = format!("INITIALIZED, generation {number}, a warm spare, {took:.1} ms");
        plugin.say(Level::Info, text, None);
    }

    /// Begins to make the spares that `plugin` lacks, on a thread of its own.
    pub(crate) fn keep_spares(&self, plugin: &Arc<Plugin>) {
        let wanted = wanted(&plugin.manifest());
        let begins = plugin.spares.change(|inner| {
            let lacks = inner.ready.len() < wanted as usize;
            let begins = lacks && !inner.filling && !inner.closed;
            inner.filling |= begins;
            begins
        });
        if begins {
            self.fill_after(Duration::ZERO, plugin.id);
        }
    }

    fn fill_after(&self, delay: Duration, id: u32) {
        let weak = self.downgrade();
        let start = move || {
            let Some(rt) = weak.upgrade() else { return };
            let worker = rt.clone();
            let spawned = std::thread::Builder::new()
                .name("plugward-spare".into())
                .spawn(move || worker.fill(id));
            if spawned.is_err() {
                rt.fill_after(NO_THREAD, id);
            }
        };
        match delay.is_zero() {
            true => start(),
            false => self.watchdog().after(delay, start),
        }
    }

    /// Makes spares until there are enough, or one fails.
    fn fill(&self, id: u32) {
        let plugin = self.registry().by_id(id).filter(|_| self.usable().is_ok());
        let Some(plugin) = plugin else { return };
        loop {
            let source = plugin.source.load_full();
            let most = wanted(&source.manifest) as usize;
            let idle = matches!(plugin.status().state, State::Loaded | State::Unavailable);
            let unfit = idle
                || plugin.removed.load(Ordering::Acquire)
                || plugin.supervision.lock().quarantined().is_some()
                || plugin.status().state == State::Unavailable
                || self.usable().is_err();
            let epoch = plugin.spares.change(|inner| {
                inner.filling = !unfit && !inner.closed && inner.ready.len() < most;
                inner.filling.then_some(inner.epoch)
            });
            let Some(epoch) = epoch else { return };
            match self.spare(&plugin, &source) {
                Ok(spare) => {
                    plugin.spares.keep(spare, epoch);
                }
                Err(error) => {
                    plugin.spares.change(|inner| inner.filling = false);
                    return self.spare_failed(&plugin, &error);
                }
            }
        }
    }

    fn spare(&self, plugin: &Arc<Plugin>, source: &Arc<Source>) -> crate::error::Result<Spare> {
        let loader = source
            .loader
            .clone()
            .ok_or_else(|| Error::new(crate::error::Code::LoadUnsupportedKind))?;
        let role = Arc::new(Role::default());
        let context = BuildContext {
            generation: plugin.status().generation + 1,
            log: Logger::new(self.log(), &plugin.name),
            timeout: self.load_timeout(),
            on_death: notice(self.downgrade(), plugin, &role),
            replaces: false,
            checkpoints: Checkpoints::default(),
        };
        let checkpoints = context.checkpoints.clone();
        let (executor, tools) =
            crate::runtime::build_caught(plugin, &*loader, &source.manifest, &context)?;
        Ok(Spare {
            source: Arc::clone(source),
            executor,
            tools,
            role,
            checkpoints,
        })
    }

    /// A spare could not be made, or died while it waited: it is tried again within the budget.
    fn spare_failed(&self, plugin: &Arc<Plugin>, error: &Error) {
        match plugin.spares.decide(&plugin.manifest()) {
            Decision::Leave => {}
            Decision::Restart(delay) => {
                let text = format!("a warm spare is lost: {}", error.message());
                plugin.say(Level::Warn, text, Some(error));
                let begins = plugin.spares.change(|inner| {
                    let begins = !inner.filling && !inner.closed;
                    inner.filling |= begins;
                    begins
                });
                if begins {
                    self.fill_after(delay.max(Duration::from_millis(1)), plugin.id);
                }
            }
            Decision::Quarantine(why) => {
                let text = format!("no more warm spares: {why}; the last: {}", error.message());
                plugin.say(Level::Error, text, Some(error));
            }
        }
    }
}

/// Tells of the death of a worker that is, or was, a spare. Does not block.
fn notice(rt: WeakRuntime, plugin: &Arc<Plugin>, role: &Arc<Role>) -> DeathNotice {
    let (plugin, role): (Weak<Plugin>, _) = (Arc::downgrade(plugin), Arc::clone(role));
    DeathNotice::new(move |error| {
        let Some(plugin) = plugin.upgrade() else {
            return;
        };
        match role.die() {
            Some(generation) => {
                plugin.fail(generation, error);
            }
            None => {
                plugin.spares.bury(&role);
                if let Some(rt) = rt.upgrade().filter(|rt| rt.usable().is_ok()) {
                    rt.spare_failed(&plugin, error);
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spares_are_for_processes_that_are_restarted() {
        let of = |more: serde_json::Value| {
            let mut value = json!({"name": "p", "kind": "native", "entrypoint": "p.so",
                "isolation": "process", "spares": 2, "tools": [{"id": "t"}]});
            for (key, item) in more.as_object().unwrap() {
                value[key] = item.clone();
            }
            wanted(&Manifest::from_value(value).unwrap().manifest)
        };
        assert_eq!(of(json!({})), 2);
        assert_eq!(of(json!({"isolation": "thread"})), 0);
        assert_eq!(of(json!({"restart": {"policy": "never"}})), 0);
    }

    #[test]
    fn a_death_concerns_whom_the_spare_served() {
        let role = Role::default();
        assert!(role.serve(3));
        assert_eq!(role.die(), Some(3));
        let role = Role::default();
        assert_eq!(role.die(), None);
        assert!(!role.serve(4), "a dead one serves nobody");
    }
}
