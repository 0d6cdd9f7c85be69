//! Which plugins there are.
//!
//! Readers take an immutable snapshot (one atomic swap a change, no lock); writers take a mutex
//! with a timeout. A concurrent map was rejected: a call's lookup costs the same, and health needs
//! one consistent, ordered list. An `RwLock` was rejected: under 1000 readers its writers starve.

mod drain;
mod effective;
mod gate;
mod generation;
mod plugin;
mod refusal;
mod report;
mod services;
mod succession;
mod tool;

pub(crate) use effective::MOST_IN_WORKER;
pub(crate) use gate::Bell;
pub use gate::Turn;
pub use generation::Generation;
pub(crate) use plugin::Left;
pub use plugin::{Note, Plugin, Source};
pub use services::{LockWait, Services};
pub use tool::Tool;

use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

type Index = HashMap<Box<str>, u32, RandomState>;

/// An immutable list of plugins, sorted by name.
#[derive(Default)]
pub struct Snapshot {
    plugins: Vec<Arc<Plugin>>,
    index: Index,
}

impl Snapshot {
    /// All plugins, sorted by name.
    #[must_use]
    pub fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// The plugin of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.index.get(name).map(|at| &self.plugins[*at as usize])
    }

    fn of(mut plugins: Vec<Arc<Plugin>>) -> Self {
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        let index = plugins
            .iter()
            .enumerate()
            .map(|(at, p)| (p.name.as_str().into(), at as u32))
            .collect();
        Self { plugins, index }
    }
}

/// The plugins of one runtime.
pub struct Registry {
    snapshot: ArcSwap<Snapshot>,
    writer: Mutex<()>,
    next_id: AtomicU32,
    services: Arc<Services>,
}

impl Registry {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Self {
            snapshot: ArcSwap::default(),
            writer: Mutex::new(()),
            next_id: AtomicU32::new(1),
            services,
        }
    }

    /// The present list; holding it costs nothing and blocks nobody.
    #[must_use]
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The plugin of that name.
    ///
    /// # Errors
    /// [`Code::RegistryUnknownPlugin`], with the nearest name.
    pub fn find(&self, name: &str) -> Result<Arc<Plugin>> {
        let snapshot = self.snapshot();
        snapshot
            .get(name)
            .cloned()
            .ok_or_else(|| unknown(name, &snapshot))
    }

    pub(crate) fn by_id(&self, id: u32) -> Option<Arc<Plugin>> {
        self.snapshot().plugins.iter().find(|p| p.id == id).cloned()
    }

    /// Adds a plugin in LOADED.
    ///
    /// # Errors
    /// [`Code::RegistryDuplicate`], or [`Code::RegistryBusy`] when the lock is not had in time.
    pub fn add(&self, name: &str, source: Source) -> Result<Arc<Plugin>> {
        let _lock = self.services.lock(&self.writer, "registry")?;
        let old = self.snapshot();
        if old.get(name).is_some() {
            return Err(Error::new(Code::RegistryDuplicate)
                .with_message(format!("a plugin named \"{name}\" is already registered")));
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let plugin = Arc::new(Plugin::new(id, name, source, Arc::clone(&self.services)));
        let mut plugins = old.plugins.clone();
        plugins.push(Arc::clone(&plugin));
        self.snapshot.store(Arc::new(Snapshot::of(plugins)));
        Ok(plugin)
    }

    /// Takes a plugin off the list.
    ///
    /// # Errors
    /// [`Code::RegistryUnknownPlugin`] or [`Code::RegistryBusy`].
    pub fn remove(&self, name: &str) -> Result<Arc<Plugin>> {
        let _lock = self.services.lock(&self.writer, "registry")?;
        let old = self.snapshot();
        let plugin = old.get(name).cloned().ok_or_else(|| unknown(name, &old))?;
        let rest = old
            .plugins
            .iter()
            .filter(|p| p.name != name)
            .cloned()
            .collect();
        self.snapshot.store(Arc::new(Snapshot::of(rest)));
        Ok(plugin)
    }
}

pub(crate) fn unknown(name: &str, snapshot: &Snapshot) -> Error {
    let names = snapshot.plugins.iter().map(|p| p.name.as_str());
    let hint = match nearest(name, names) {
        Some(near) => format!("; the nearest name is \"{near}\""),
        None if snapshot.plugins.is_empty() => "; none are loaded".to_owned(),
        None => String::new(),
    };
    Error::new(Code::RegistryUnknownPlugin).with_message(format!(
        "no plugin named \"{}\"{hint}",
        crate::error::bounded(name.into())
    ))
}

/// The candidate that looks most like `word`, if any does.
pub(crate) fn nearest<'a>(word: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 256 {
        return None;
    }
    all.map(|c| (strsim::jaro_winkler(word, c), c))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}
