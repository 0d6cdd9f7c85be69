//! Restarts what failed, one for one, and stops where that does not help.
//!
//! Plugins in worker processes are supervised: their next generation begins with a clean process.
//! In-process plugins are not: what broke them is still in the host's memory, and only the host
//! can say that it is safe to enter them again. Each restart waits longer than the one before, with
//! jitter, so that plugins that fail together do not come back together; a plugin that fails more
//! often than its budget allows is *quarantined* until somebody releases it.

mod budget;
mod spares;

pub(crate) use budget::{Decision, Supervision};
pub(crate) use spares::{Spares, wanted as wanted_spares};

use crate::error::{Code, Error, Result};
use crate::lifecycle::State;
use crate::log::Level;
use crate::manifest::{Isolation, RestartPolicy};
use crate::registry::Plugin;
use crate::runtime::Runtime;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a restart is put off for which there was no thread.
const NO_THREAD: Duration = Duration::from_secs(1);

impl Runtime {
    /// A generation has become FAILED. Called wherever that was noticed: it must not block.
    pub(crate) fn generation_failed(&self, plugin: &Plugin, generation: u32) {
        let manifest = plugin.manifest();
        // It was ended, and has not failed: that is no matter of the policy either.
        let excused = plugin.was_excused(generation);
        let supervised = manifest.effective_isolation() == Isolation::Process
            && (manifest.restart.policy == RestartPolicy::OnFailure || excused)
            && !plugin.removed.load(Ordering::Acquire)
            && self.usable().is_ok();
        // A first load that fails is the operator's to see, not to be tried again and again.
        let was_ready = plugin.ready_ns.load(Ordering::Relaxed) != 0;
        if !supervised {
            plugin.not_awaited();
            return;
        }
        let decision = {
            let mut supervision = plugin.supervision.lock();
            if excused {
                supervision.excuse(generation)
            } else {
                let now = Instant::now();
                let decision = supervision.decide(&manifest.restart, generation, was_ready, now);
                if let (Decision::Quarantine(_), Some(last)) = (&decision, &plugin.note().error) {
                    supervision.because(&format!("[{}] {}", last.code(), last.message()));
                }
                decision
            }
        };
        match decision {
            Decision::Leave => {}
            Decision::Restart(delay) => {
                let plugin = self.registry().by_id(plugin.id);
                // A spare is ready now; the wait is for what has to be made first.
                if !plugin
                    .as_ref()
                    .is_some_and(|p| self.promote(p, generation, false))
                    && let Some(plugin) = plugin
                {
                    let ready = plugin.spares.ready() > 0;
                    let delay = if ready { Duration::ZERO } else { delay };
                    self.revive_after(delay, plugin.id, generation);
                }
            }
            Decision::Quarantine(reason) => {
                plugin.spares.clear();
                let error = Error::new(Code::SupervisorQuarantined).with_message(&reason);
                plugin.say(Level::Error, format!("quarantined: {reason}"), Some(&error));
                // Who waited for a restart waits for nothing.
                plugin.gate.all_look();
            }
        }
    }

    /// Restarts a plugin that failed while somebody held its lock, where it is supervised at all.
    pub(crate) fn revive_soon(&self, plugin: &Plugin, generation: u32) {
        let manifest = plugin.manifest();
        if manifest.effective_isolation() == Isolation::Process
            && (manifest.restart.policy == RestartPolicy::OnFailure
                || plugin.was_excused(generation))
            && plugin.ready_ns.load(Ordering::Relaxed) != 0
            && plugin.supervision.lock().quarantined().is_none()
        {
            let wait = Duration::from_millis(manifest.restart.backoff_ms.0);
            self.revive_after(wait, plugin.id, generation);
        }
    }

    fn revive_after(&self, delay: Duration, id: u32, generation: u32) {
        let weak = self.downgrade();
        self.watchdog().after(delay, move || {
            let Some(rt) = weak.upgrade() else { return };
            // A load takes its time; the timer thread has none.
            let worker = rt.clone();
            let spawned = std::thread::Builder::new()
                .name("plugward-restart".into())
                .spawn(move || worker.revive(id, generation));
            if spawned.is_err() {
                rt.revive_after(NO_THREAD, id, generation);
            }
        });
    }

    /// Begins the generation after `generation`, unless somebody else did.
    fn revive(&self, id: u32, generation: u32) {
        let Some(plugin) = self.registry().by_id(id).filter(|_| self.usable().is_ok()) else {
            return;
        };
        let still = |plugin: &Arc<Plugin>| {
            let status = plugin.status();
            status.generation == generation && status.state == State::Failed
        };
        if self.promote(&plugin, generation, true) {
            return;
        }
        // Whoever holds the lock begins a generation himself, or ends the plugin.
        let Some(_one) = plugin.loading.try_lock().filter(|_| still(&plugin)) else {
            return;
        };
        plugin.supervision.lock().revived(generation + 1);
        let report = self.renew(&plugin, Instant::now());
        if let Some(error) = report.error {
            plugin.say(
                Level::Warn,
                format!("restart failed: {}", error.message()),
                None,
            );
        }
    }

    /// Lets a quarantined plugin be restarted again, with a fresh budget. It stays FAILED until
    /// somebody restarts it.
    ///
    /// # Errors
    /// Unknown name.
    pub fn release(&self, name: &str) -> Result<()> {
        self.usable()?;
        let plugin = self.registry().find(name)?;
        if plugin.supervision.lock().release() {
            plugin.say(Level::Info, "released from quarantine".into(), None);
        }
        Ok(())
    }
}

/// How long until the supervisor restarts a plugin whose `generation` failed; `None` where it does not.
pub(crate) fn comes_back(plugin: &Plugin, generation: u32) -> Option<Duration> {
    let manifest = plugin.manifest();
    let supervised = manifest.effective_isolation() == Isolation::Process
        && manifest.restart.policy == RestartPolicy::OnFailure
        && !plugin.removed.load(Ordering::Acquire);
    if !supervised {
        return None;
    }
    let was_ready = plugin.ready_ns.load(Ordering::Relaxed) != 0;
    let supervision = plugin.supervision.lock();
    supervision.expects(&manifest.restart, generation, was_ready, Instant::now())
}

/// Refuses what a quarantined plugin is asked for.
pub(crate) fn not_quarantined(plugin: &Plugin) -> Result<()> {
    match plugin.supervision.lock().quarantined() {
        None => Ok(()),
        Some(reason) => Err(
            Error::new(Code::SupervisorQuarantined).with_message(format!(
                "plugin \"{}\" is quarantined: {reason}",
                plugin.name
            )),
        ),
    }
}
