//! Hot swap: the next version of a plugin is up before the one that serves stops.
//!
//! The new generation goes through every step of a load beside the old one. Only when it is fit for
//! calls does the state word change, in one step: no caller finds the plugin not ready, and one that
//! waited for its turn takes it in the new generation. The old one finishes its calls, and their
//! results count (see `registry/drain.rs`), because it was not at fault.

use super::load::source;
use super::run::Inside;
use super::{LoadReport, Runtime};
use crate::call::DeathNotice;
use crate::error::{Code, Error, Result};
use crate::lifecycle::State;
use crate::log::Level;
use crate::manifest::Manifest;
use crate::registry::{Generation, Plugin, Source};
use crate::supervisor::not_quarantined;
use crate::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Runtime {
    /// Puts a new generation in the place of the present one without losing a call. The manifest is
    /// read again where it came from a file. Where the new one does not come up, the old one keeps
    /// serving and the report says why. Waits for the old one's calls, at most
    /// [`RuntimeOptions::drain_timeout`](super::RuntimeOptions::drain_timeout).
    ///
    /// # Errors
    /// Unknown name, a quarantined plugin, a load under way, or a plugin that asks from inside its
    /// own call.
    pub fn reload(&self, name: &str) -> Result<LoadReport> {
        let since = Instant::now();
        self.usable()?;
        let plugin = self.registry().find(name)?;
        if Inside::is_within(plugin.id) {
            return Err(Error::new(Code::RuntimeReentrant));
        }
        not_quarantined(&plugin)?;
        let swapped = {
            let _one = self.0.services.lock(&plugin.loading, name)?;
            self.swapped(&plugin, since)
        };
        let mut report = match swapped {
            Ok(old) => {
                let cut_off = old.map_or(0, |old| self.drained(&plugin, &old));
                let mut report = LoadReport::of(&plugin, None, since);
                report.cut_off = cut_off;
                report
            }
            Err(error) => {
                self.still_serves(&plugin, &error);
                LoadReport::of(&plugin, Some(error), since)
            }
        };
        report.affected = self.dependants(name);
        Ok(report)
    }

    /// The caller holds the plugin's `loading` lock. Returns the generation that was replaced.
    fn swapped(&self, plugin: &Arc<Plugin>, since: Instant) -> Result<Option<Arc<Generation>>> {
        let source = Arc::new(self.read_again(plugin)?);
        let number = plugin.status().generation + 1;
        let fate = Arc::new(Fate::default());
        let notice = notice(plugin, number, &fate);
        let made = self.prepared(plugin, &source, number, notice);
        let next = made.generation.map_err(|(_, error)| error)?;
        let executor = Arc::clone(&next.executor);
        let old = plugin.hand_over(next, source, made.findings)?;
        let now = crate::deadline::now_ns();
        plugin.ready_ns.store(now, Ordering::Relaxed);
        if let Some(error) = fate.serve() {
            plugin.fail(number, &error);
        } else if !executor.is_alive() {
            plugin.fail(number, &Error::new(Code::WorkerCrashed));
        }
        let took = since.elapsed().as_secs_f64() * 1e3;
        let text = format!("INITIALIZED, generation {number}, reloaded, {took:.1} ms");
        plugin.say(Level::Info, text, None);
        plugin.spares.clear();
        self.keep_spares(plugin);
        Ok(old)
    }

    /// Its manifest as it is now, and the loader that goes with it.
    fn read_again(&self, plugin: &Plugin) -> Result<Source> {
        let present = plugin.source.load_full();
        let Some(file) = &present.manifest.file else {
            return Ok(Source::clone(&present));
        };
        let mut parsed = Manifest::from_path(file)?;
        if parsed.manifest.name != plugin.name {
            return Err(Error::new(Code::ManifestInvalid).with_message(format!(
                "{} now names the plugin \"{}\"; it was loaded as \"{}\"",
                file.display(),
                parsed.manifest.name,
                plugin.name
            )));
        }
        if present.own_loader {
            return Ok(source(parsed, present.loader.clone(), true));
        }
        let loader = self.placed(&mut parsed);
        Ok(source(parsed, loader, false))
    }

    /// Lets the old generation finish, then ends it; returns how many calls were cut off.
    fn drained(&self, plugin: &Plugin, old: &Generation) -> u32 {
        let left = old.drain.close(Instant::now() + self.drain_timeout());
        if left > 0 {
            let text = format!(
                "generation {} was ended with {left} calls under way after {}",
                old.number,
                crate::call::ms(self.drain_timeout())
            );
            plugin.say(Level::Warn, text, None);
        }
        plugin.end_of(old);
        left
    }

    fn still_serves(&self, plugin: &Arc<Plugin>, error: &Error) {
        let status = plugin.status();
        let text = format!(
            "not reloaded, generation {} is {} as before: {}",
            status.generation,
            status.state,
            error.message()
        );
        plugin.say(Level::Error, text, Some(error));
        // Who failed meanwhile was not restarted: the reload held its lock.
        if status.state == State::Failed {
            self.revive_soon(plugin, status.generation);
        }
    }
}

/// A death between the building of a generation and its first call must not be forgotten.
#[derive(Default)]
struct Fate(Mutex<Part>);

#[derive(Default)]
enum Part {
    #[default]
    Waits,
    Dead(Error),
    Serves,
}

impl Fate {
    /// From now on its death is told to the plugin; returns the one that came before.
    fn serve(&self) -> Option<Error> {
        match std::mem::replace(&mut *self.0.lock(), Part::Serves) {
            Part::Dead(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the plugin must be told.
    fn die(&self, error: &Error) -> bool {
        let mut part = self.0.lock();
        let serves = matches!(*part, Part::Serves);
        if !serves {
            *part = Part::Dead(error.clone());
        }
        serves
    }
}

fn notice(plugin: &Arc<Plugin>, number: u32, fate: &Arc<Fate>) -> DeathNotice {
    let (plugin, fate) = (Arc::downgrade(plugin), Arc::clone(fate));
    DeathNotice::new(move |error| {
        if fate.die(error)
            && let Some(plugin) = plugin.upgrade()
        {
            plugin.fail(number, error);
        }
    })
}
