//! One plugin: its state word, its present generation, and what is known of its last trouble.

use super::gate::Gate;
use super::{Generation, Services};
use crate::call::{LastCheckpoint, Loader};
use crate::check::Finding;
use crate::error::{Code, Error, Result};
use crate::lifecycle::{Event, Exit, State, StateWord, Status};
use crate::log::Level;
use crate::manifest::{Assumption, Manifest};
use crate::metrics::{Histogram, Stats};
use crate::supervisor::{Spares, Supervision};
use crate::sync::Mutex;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

/// Where a plugin comes from: enough to begin its next generation.
#[derive(Clone)]
pub struct Source {
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// What makes its generations; `None` for plugins that the host executes itself.
    pub loader: Option<Arc<dyn Loader>>,
    /// What was assumed of its manifest.
    pub assumptions: Arc<[Assumption]>,
    /// Whether the loader is this plugin's own, and not the one of its kind.
    pub own_loader: bool,
}

/// How a call left its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It belonged to the present one; the status after it.
    Present(Status),
    /// It belonged to one that was replaced and finishes its calls: the answer counts.
    Replaced,
    /// It belonged to one that has passed.
    Stale,
}

/// What is known of a generation beyond its state. Written before the state that it explains.
#[derive(Clone)]
pub struct Note {
    /// Which generation it speaks of.
    pub generation: u32,
    /// Why it is FAILED or UNAVAILABLE.
    pub error: Option<Error>,
    /// What its dependency check found.
    pub findings: Arc<[Finding]>,
    /// When it was written.
    pub at: SystemTime,
}

impl Note {
    pub(super) fn empty(generation: u32) -> Self {
        Self {
            generation,
            error: None,
            findings: Arc::from([]),
            at: SystemTime::now(),
        }
    }
}

/// One registered plugin.
pub struct Plugin {
    /// Unique in its runtime.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// What its calls amount to.
    pub stats: Stats,
    pub(crate) word: StateWord,
    pub(crate) gate: Gate,
    pub(crate) source: ArcSwap<Source>,
    pub(crate) note: ArcSwap<Note>,
    pub(crate) generation: ArcSwapOption<Generation>,
    /// A generation that was ended for a cancelled call, until it is known what becomes of the next:
    /// whoever calls meanwhile waits for that one.
    pub(super) between: ArcSwapOption<Generation>,
    pub(crate) services: Arc<Services>,
    pub(crate) loading: Mutex<()>,
    pub(crate) restarts: AtomicU32,
    pub(crate) removed: AtomicBool,
    pub(crate) last_used_ns: AtomicU64,
    pub(crate) ready_ns: AtomicU64,
    pub(crate) abandoned_before: Mutex<Vec<std::sync::Weak<AtomicI32>>>,
    pub(crate) supervision: Mutex<Supervision>,
    pub(crate) spares: Spares,
    pub(crate) checkpoint: Mutex<LastCheckpoint>,
    latencies: Mutex<BTreeMap<String, Arc<Histogram>>>,
    /// Orders the note and the word. Held for a few stores only and never while other code runs,
    /// so it needs no timeout: a fault must be recorded, whatever else happens.
    pub(super) control: Mutex<()>,
    pub(super) log_window: AtomicU64,
}

impl Plugin {
    pub(crate) fn new(id: u32, name: &str, source: Source, services: Arc<Services>) -> Self {
        Self {
            id,
            name: name.to_owned(),
            stats: Stats::default(),
            word: StateWord::new(),
            gate: Gate::default(),
            source: ArcSwap::from_pointee(source),
            note: ArcSwap::from_pointee(Note::empty(1)),
            generation: ArcSwapOption::empty(),
            between: ArcSwapOption::empty(),
            services,
            loading: Mutex::new(()),
            restarts: AtomicU32::new(0),
            removed: AtomicBool::new(false),
            last_used_ns: AtomicU64::new(0),
            ready_ns: AtomicU64::new(0),
            abandoned_before: Mutex::default(),
            supervision: Mutex::default(),
            spares: Spares::default(),
            checkpoint: Mutex::default(),
            latencies: Mutex::default(),
            control: Mutex::new(()),
            log_window: AtomicU64::new(0),
        }
    }

    /// The present moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.word.load()
    }

    /// What is known beyond the state.
    #[must_use]
    pub fn note(&self) -> Arc<Note> {
        self.note.load_full()
    }

    /// Which mechanism holds each limit and permission of its present generation.
    pub(crate) fn enforcement(&self) -> Option<serde_json::Value> {
        self.generation
            .load()
            .as_ref()?
            .executor
            .enforcement()
            .cloned()
    }

    /// Its manifest.
    #[must_use]
    pub fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.source.load().manifest)
    }

    /// Its present generation, once there is one.
    #[must_use]
    pub fn generation(&self) -> Option<Arc<Generation>> {
        self.generation.load_full()
    }

    /// Threads that hang in this plugin's code and that nobody waits for, over all generations.
    #[must_use]
    pub fn abandoned_threads(&self) -> u32 {
        let count = |g: &Generation| g.pool.as_ref().map_or(0, crate::sandbox::Pool::abandoned);
        let now = self.generation.load().as_deref().map_or(0, count);
        // Counters, not generations: the last owner of a generation runs the plugin's destructor,
        // and that must not be whoever asks for health.
        let mut before = self.abandoned_before.lock();
        before.retain(|counter| counter.strong_count() > 0);
        let counters = before.iter().filter_map(std::sync::Weak::upgrade);
        now + counters.map(|n| crate::sandbox::stuck(&n)).sum::<u32>()
    }

    /// The histogram of a tool, the same over all generations.
    pub(crate) fn latency(&self, tool: &str) -> Arc<Histogram> {
        Arc::clone(self.latencies.lock().entry(tool.to_owned()).or_default())
    }

    /// Ends a call without a fault of the plugin.
    pub(crate) fn leave(&self, generation: &Generation) -> Left {
        let exit = self.word.exit(generation.number, false);
        self.gate.one_left();
        left(exit, generation)
    }

    /// Ends a call whose fault ends the generation: the reason is there before the state is.
    pub(crate) fn leave_failed(&self, generation: &Generation, error: &Error) -> Left {
        let number = generation.number;
        let lock = self.control.lock();
        self.explain(number, error, None);
        self.bridge(number, error);
        let exit = self.word.exit(number, true);
        drop(lock);
        self.gate.all_look();
        if matches!(exit, Exit::Left(status) if status.state == State::Failed) {
            self.services.failed(self, number);
        }
        left(exit, generation)
    }

    /// Ends the generation outside a call. False when it was over already.
    pub fn fail(&self, generation: u32, error: &Error) -> bool {
        self.end(generation, Event::Fault, error, None).is_ok()
    }

    /// Whether `generation` was ended by the host, for a call that its caller had cancelled.
    pub(crate) fn was_excused(&self, generation: u32) -> bool {
        let note = self.note.load();
        note.generation == generation && note.error.as_ref().is_some_and(excuses)
    }

    /// Lets callers wait for the next generation where the end of this one is nobody's fault; no
    /// longer where the next one has ended as well.
    fn bridge(&self, generation: u32, error: &Error) {
        let status = self.word.load();
        if status.generation == generation && !status.state.is_final() {
            let present = self.generation.load_full().filter(|_| excuses(error));
            self.between.store(present);
        }
    }

    /// What the tools of the next generation will be like, while callers are to wait for it.
    pub(crate) fn awaited(&self) -> Option<Arc<Generation>> {
        let removed = self.removed.load(Ordering::Acquire);
        self.between.load_full().filter(|_| !removed)
    }

    /// There will be no next generation: nobody waits for it any more.
    pub(crate) fn not_awaited(&self) {
        self.between.store(None);
        self.gate.all_look();
    }

    /// A generation is fit for calls.
    ///
    /// # Errors
    /// The status that was seen, where somebody ended it or began another one.
    pub(crate) fn ready(&self, generation: u32) -> std::result::Result<Status, Status> {
        let status = self.word.apply(generation, Event::Ready)?;
        self.between.store(None);
        // Whoever waits for the next generation is to see it.
        self.gate.all_look();
        Ok(status)
    }

    /// Ends the generation in whatever final state `event` leads to.
    ///
    /// # Errors
    /// [`Code::LifecycleForbidden`] where the table says no; nothing is changed then.
    pub fn end(
        &self,
        generation: u32,
        event: Event,
        error: &Error,
        findings: Option<Arc<[Finding]>>,
    ) -> Result<Status> {
        let lock = self.control.lock();
        if crate::lifecycle::next(self.word.load().state, event).is_some() {
            self.explain(generation, error, findings);
            self.bridge(generation, error);
        }
        let applied = self.word.apply(generation, event);
        drop(lock);
        self.gate.all_look();
        let status = applied.map_err(|seen| self.forbidden(seen, event))?;
        let level = match event {
            Event::Stop => Level::Info,
            _ if excuses(error) => Level::Warn,
            _ => Level::Error,
        };
        let text = format!("{}: {}", status.state, error.message());
        self.say(level, text, Some(error));
        if status.state == State::Failed {
            self.services.failed(self, generation);
        }
        Ok(status)
    }

    /// The reason must not be overwritten once it explains a final state.
    fn explain(&self, generation: u32, error: &Error, findings: Option<Arc<[Finding]>>) {
        let status = self.word.load();
        if status.generation != generation || status.state.is_final() {
            return;
        }
        let old = self.note.load();
        let findings = findings.unwrap_or_else(|| Arc::clone(&old.findings));
        let at = SystemTime::now();
        self.note.store(Arc::new(Note {
            generation,
            error: Some(error.clone()),
            findings,
            at,
        }));
    }

    /// What the dependency check of a generation that is still LOADED found.
    pub(crate) fn set_findings(&self, generation: u32, findings: Arc<[Finding]>) {
        let _lock = self.control.lock();
        let now = self.word.load();
        if now.generation == generation && now.state == State::Loaded {
            self.note.store(Arc::new(Note {
                findings,
                ..Note::empty(generation)
            }));
        }
    }

    pub(crate) fn forbidden(&self, seen: Status, event: Event) -> Error {
        let now = seen.state;
        let why = match (now.is_final(), self.note.load().error.as_ref()) {
            (true, Some(error)) => format!(" ({})", error.message()),
            _ => String::new(),
        };
        Error::new(Code::LifecycleForbidden).with_message(format!(
            "plugin \"{}\" is {now}{why}; {event:?} is not allowed there",
            self.name
        ))
    }
}

/// Whether the end of a generation with that error is nobody's fault.
pub(super) fn excuses(error: &Error) -> bool {
    error.code() == Code::WorkerCancelled
}

fn left(exit: Exit, generation: &Generation) -> Left {
    match exit {
        Exit::Left(status) => Left::Present(status),
        Exit::Stale(_) if generation.drain.leave() => Left::Replaced,
        Exit::Stale(_) => Left::Stale,
    }
}
