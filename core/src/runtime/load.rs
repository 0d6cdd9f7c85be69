//! Loading and restarting, step by step; every step has its own error.
//!
//! Order: parse, register LOADED, dependency check, import, construct, validate, probe,
//! INITIALIZED. A plugin whose manifest cannot even be read is still listed, FAILED.

use super::build::{bounded, build_caught};
use super::run::Inside;
use super::workers::{by_process, isolation};
use super::{LoadReport, Runtime};
use crate::call::{BuildContext, Checkpoints, DeathNotice, Loader};
use crate::check::Finding;
use crate::error::{Code, Error, Result};
use crate::lifecycle::{Event, State};
use crate::log::{Level, Logger};
use crate::manifest::{Candidate, Isolation, Manifest, Parsed, discover};
use crate::registry::{Generation, Plugin, Source};
use crate::sandbox::Pool;
use crate::supervisor::not_quarantined;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

pub(super) type Step<T = ()> = std::result::Result<T, (Event, Error)>;

pub(super) fn failed(error: Error) -> (Event, Error) {
    (Event::Fault, error)
}

impl Runtime {
    /// Loads every plugin at `path`: a manifest, a plugin's folder, or a folder of them, in the
    /// order of their `depends_on`.
    #[must_use]
    pub fn load_path(&self, path: &Path) -> Vec<LoadReport> {
        let (good, bad): (Vec<Candidate>, Vec<Candidate>) =
            discover(path).into_iter().partition(|c| c.result.is_ok());
        let mut reports: Vec<_> = bad.into_iter().map(|c| self.load_candidate(c)).collect();
        let parsed = good.into_iter().filter_map(|c| c.result.ok()).collect();
        for item in super::depends::in_order(parsed) {
            reports.push(match item {
                Ok(parsed) => self.load(parsed),
                Err((name, error)) => self.load_broken(&name, error),
            });
        }
        reports
    }

    fn load_candidate(&self, candidate: Candidate) -> LoadReport {
        match candidate.result {
            Ok(parsed) => self.load(parsed),
            Err(error) => self.load_broken(&candidate.fallback_name, error),
        }
    }

    /// Lists a plugin that cannot be loaded, as FAILED with its reason.
    #[must_use]
    pub fn load_broken(&self, name: &str, error: Error) -> LoadReport {
        let since = Instant::now();
        let source = Source {
            manifest: Arc::new(Manifest::host(name)),
            loader: None,
            assumptions: Arc::from([]),
            own_loader: false,
        };
        if let Err(refused) = self.usable() {
            return LoadReport::refused(name, refused);
        }
        match self.registry().add(name, source) {
            Ok(plugin) => {
                plugin.fail(1, &error);
                LoadReport::of(&plugin, Some(error), since)
            }
            Err(refused) => LoadReport::refused(name, refused),
        }
    }

    /// Loads one plugin with the loader of its kind.
    #[must_use]
    pub fn load(&self, mut parsed: Parsed) -> LoadReport {
        let loader = self.placed(&mut parsed);
        self.load_from(source(parsed, loader, false))
    }

    /// Loads one plugin with its own loader.
    #[must_use]
    pub fn load_with(&self, mut parsed: Parsed, loader: Arc<dyn Loader>) -> LoadReport {
        if loader.isolates() {
            by_process(&mut parsed);
        }
        self.load_from(source(parsed, Some(loader), true))
    }

    /// Gives a plugin that is listed already a new source, and begins its next generation from it. Its
    /// counts stay, and no reader misses it on the list meanwhile.
    ///
    /// # Errors
    /// Unknown name, or a plugin that asks from inside its own call.
    pub fn reload_with(&self, parsed: Parsed, loader: Arc<dyn Loader>) -> Result<LoadReport> {
        let since = Instant::now();
        self.usable()?;
        let name = parsed.manifest.name.clone();
        let plugin = self.registry().find(&name)?;
        if Inside::is_within(plugin.id) {
            return Err(Error::new(Code::RuntimeReentrant));
        }
        {
            let _one = self.0.services.lock(&plugin.loading, &name)?;
            let source = source(parsed, Some(loader), true);
            plugin.source.store(Arc::new(source));
            plugin.next_generation();
            plugin.ready_ns.store(0, Ordering::Relaxed);
        }
        Ok(self.begin(&plugin, since))
    }

    fn load_from(&self, source: Source) -> LoadReport {
        let since = Instant::now();
        let name = source.manifest.name.clone();
        let added = self
            .usable()
            .and_then(|()| self.registry().add(&name, source));
        match added {
            Ok(plugin) => {
                // Nobody else can hold it but a restart that was as quick as to find the new name.
                let _one = plugin.loading.lock();
                match plugin.status().state {
                    State::Loaded => self.begin(&plugin, since),
                    _ => LoadReport::of(&plugin, None, since),
                }
            }
            Err(error) => {
                self.log().write(crate::log::Record::new(
                    Level::Error,
                    Some(&name),
                    format!("not loaded: {error}"),
                ));
                LoadReport::refused(&name, error)
            }
        }
    }

    /// Begins the plugin's next generation. The old one's calls become stale. Plugins that depend
    /// on it keep their generations; the report names them. Starts a plugin that was stopped.
    ///
    /// # Errors
    /// Unknown name, a quarantined plugin, a load under way, or a plugin that asks from inside its
    /// own call.
    pub fn restart(&self, name: &str) -> Result<LoadReport> {
        let since = Instant::now();
        self.usable()?;
        let plugin = self.registry().find(name)?;
        if Inside::is_within(plugin.id) {
            return Err(Error::new(Code::RuntimeReentrant));
        }
        not_quarantined(&plugin)?;
        let _one = self.0.services.lock(&plugin.loading, name)?;
        let mut report = self.renew(&plugin, since);
        report.affected = self.dependants(name);
        Ok(report)
    }

    /// Begins the next generation; the caller holds the plugin's `loading` lock.
    pub(crate) fn renew(&self, plugin: &Arc<Plugin>, since: Instant) -> LoadReport {
        plugin.next_generation();
        plugin.restarts.fetch_add(1, Ordering::Relaxed);
        plugin.ready_ns.store(0, Ordering::Relaxed);
        self.begin(plugin, since)
    }

    /// Ends a plugin and forgets it. Calls under way are left to end; their results are stale.
    ///
    /// # Errors
    /// Unknown name, or a plugin that asks from inside its own call.
    pub fn unload(&self, name: &str) -> Result<()> {
        self.usable()?;
        if Inside::is_within(self.registry().find(name)?.id) {
            return Err(Error::new(Code::RuntimeReentrant));
        }
        let plugin = self.registry().remove(name)?;
        plugin.removed.store(true, Ordering::Release);
        plugin.spares.close();
        plugin.next_generation();
        plugin.say(Level::Info, "unloaded".into(), None);
        Ok(())
    }

    /// Takes a LOADED plugin through its steps; the caller holds its `loading` lock throughout, so
    /// that no generation is built twice.
    fn begin(&self, plugin: &Arc<Plugin>, since: Instant) -> LoadReport {
        let number = plugin.status().generation;
        // What was built before may be of other code or another manifest.
        plugin.spares.clear();
        let error = self.steps(plugin, number).err().map(|(event, error)| {
            let findings = Some(Arc::clone(&plugin.note().findings));
            // Refused only where somebody restarted or unloaded it meanwhile; that is the newer truth.
            let _ = plugin.end(number, event, &error, findings);
            error
        });
        if error.is_none() {
            let took = since.elapsed().as_secs_f64() * 1e3;
            plugin.say(
                Level::Info,
                format!("INITIALIZED, generation {number}, {took:.1} ms"),
                None,
            );
            self.keep_spares(plugin);
        }
        LoadReport::of(plugin, error, since)
    }

    fn steps(&self, plugin: &Arc<Plugin>, number: u32) -> Step {
        let source = plugin.source.load_full();
        let notice = death_notice(plugin, number);
        let made = self.prepared(plugin, &source, number, notice);
        plugin.set_findings(number, made.findings);
        let generation = Some(made.generation?);
        plugin.generation.store(generation.clone());
        plugin
            .ready_ns
            .store(crate::deadline::now_ns(), Ordering::Relaxed);
        match plugin.ready(number) {
            Ok(_) if self.came_too_late(plugin) => {
                let closed = self.usable().err();
                Err(failed(
                    closed.unwrap_or_else(|| plugin.refusal(plugin.status())),
                ))
            }
            Ok(_) => Ok(()),
            Err(seen) => {
                // Somebody began a newer one or ended the plugin: nothing of this one may stay.
                plugin.generation.compare_and_swap(&generation, None);
                Err(failed(plugin.forbidden(seen, Event::Ready)))
            }
        }
    }

    /// Whether the plugin or the runtime was ended while a generation came up. Nobody else knows of that
    /// generation then, so it ends at once.
    pub(crate) fn came_too_late(&self, plugin: &Plugin) -> bool {
        let late = plugin.removed.load(Ordering::Acquire) || self.usable().is_err();
        if late {
            plugin.next_generation();
        }
        late
    }

    /// Every step from the dependency check to the probe, for a generation that nobody calls yet.
    pub(super) fn prepared(
        &self,
        plugin: &Arc<Plugin>,
        source: &Source,
        number: u32,
        on_death: DeathNotice,
    ) -> Prepared {
        let mut findings = Vec::new();
        let generation = self.attempt(plugin, source, number, on_death, &mut findings);
        Prepared {
            findings: findings.into(),
            generation,
        }
    }

    fn attempt(
        &self,
        plugin: &Arc<Plugin>,
        source: &Source,
        number: u32,
        on_death: DeathNotice,
        findings: &mut Vec<Finding>,
    ) -> Step<Arc<Generation>> {
        let manifest = &source.manifest;
        let loader = source.loader.clone().ok_or_else(|| {
            let message = format!("no loader for kind \"{}\" in this process", manifest.kind);
            (
                Event::DependencyMissing,
                Error::new(Code::LoadUnsupportedKind).with_message(message),
            )
        })?;
        self.leans_on(manifest)?;
        *findings = self.findings(manifest, Some(&*loader));
        if let Some(missing) = findings.iter().find_map(Finding::to_error) {
            return Err((Event::DependencyMissing, missing));
        }
        isolation(manifest, &*loader)?;
        let pool = (manifest.effective_isolation() == Isolation::Thread).then(|| {
            Pool::new(
                &plugin.name,
                manifest.effective_concurrency(),
                loader.thread_host(),
            )
        });
        self.built(plugin, loader, manifest, number, pool, on_death)
    }

    /// Import, construction, validation and probe, where the plugin's calls will run as well: a
    /// constructor that hangs must not hang the host's start.
    fn built(
        &self,
        plugin: &Arc<Plugin>,
        loader: Arc<dyn Loader>,
        manifest: &Arc<Manifest>,
        number: u32,
        pool: Option<Pool>,
        on_death: DeathNotice,
    ) -> Step<Arc<Generation>> {
        let context = BuildContext {
            generation: number,
            log: Logger::new(self.log(), &plugin.name),
            timeout: self.0.options.load_timeout,
            on_death,
            replaces: plugin.status().generation != number,
            checkpoints: Checkpoints::new(plugin.last_checkpoint()),
        };
        let checkpoints = context.checkpoints.clone();
        let (owner, described) = (Arc::clone(plugin), Arc::clone(manifest));
        let build = move || build_caught(&owner, &*loader, &described, &context);
        let made = match &pool {
            None => build(),
            Some(pool) => bounded(pool, self.0.options.load_timeout, build),
        };
        if checkpoints.before().is_some() {
            plugin.checkpoint_taken(made.is_ok());
        }
        let (executor, tools) = made.map_err(unmade)?;
        Ok(Arc::new(Generation::new(
            number,
            manifest,
            executor,
            tools,
            pool,
            checkpoints,
        )))
    }
}

/// A generation that was built, or why not, and what the dependency check found.
pub(super) struct Prepared {
    pub(super) findings: Arc<[Finding]>,
    pub(super) generation: Step<Arc<Generation>>,
}

/// Where a plugin with that manifest and loader comes from.
pub(super) fn source(parsed: Parsed, loader: Option<Arc<dyn Loader>>, own_loader: bool) -> Source {
    let mut assumptions = parsed.assumptions;
    assumptions.extend(super::view::not_enforced(&parsed.manifest));
    Source {
        manifest: Arc::new(parsed.manifest),
        loader,
        assumptions: assumptions.into(),
        own_loader,
    }
}

/// What could not be made for want of something else is UNAVAILABLE, as after a dependency check.
fn unmade(error: Error) -> (Event, Error) {
    match error.code().row().kind {
        "PluginUnavailable" => (Event::DependencyMissing, error),
        _ => failed(error),
    }
}

/// Ends the generation whose worker died while nobody was calling it.
fn death_notice(plugin: &Arc<Plugin>, number: u32) -> DeathNotice {
    let plugin = Arc::downgrade(plugin);
    DeathNotice::new(move |error| {
        if let Some(plugin) = plugin.upgrade() {
            plugin.fail(number, error);
        }
    })
}
