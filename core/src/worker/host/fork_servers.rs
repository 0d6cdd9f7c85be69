//! The fork-servers of one loader: begun when first needed, begun again with backoff when they die.
//!
//! They only make starts faster. Whatever is wrong with one, the worker is started cold.

use super::fork_server::{Begun, ForkServer, Recipe};
use super::program::Program;
use super::reaper::Reaper;
use super::spawn::{self, Spawned};
use crate::error::Error;
use crate::log::{Level, Logger};
use crate::manifest::Manifest;
use crate::sync::Mutex;
use crate::worker::wire::Segment;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long one may take to import what it should.
const IMPORTS: Duration = Duration::from_secs(30);
/// The first wait before a dead one is begun again; it doubles.
const WAIT: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(30);
/// Deaths in a row after which it is given up.
const TRIES: u32 = 8;
/// Who has lived that long has not died in a row.
const HEALTHY: Duration = Duration::from_secs(60);
/// An idle one is ended after that time, when others are asked for.
const IDLE: Duration = Duration::from_secs(600);

/// All fork-servers of one loader.
pub(super) struct ForkServers {
    reaper: Arc<Reaper>,
    /// `None` once closed.
    entries: Mutex<Option<HashMap<Recipe, Arc<Entry>>>>,
}

/// The place of one fork-server, whoever sits in it.
struct Entry {
    recipe: Recipe,
    log: Logger,
    seat: Mutex<Seat>,
}

struct Seat {
    state: State,
    failures: u32,
    since: Instant,
    used: Instant,
    /// Without what it should have imported: that has killed it.
    bare: bool,
}

enum State {
    New,
    Up(Arc<ForkServer>),
    /// It has died and is begun again after a while.
    Down,
    /// It cannot fork here.
    Unfit,
}

impl ForkServers {
    pub(super) fn new(reaper: Arc<Reaper>) -> Self {
        Self {
            reaper,
            entries: Mutex::new(Some(HashMap::new())),
        }
    }

    /// Ends them all; workers are started cold from now on, if at all.
    pub(super) fn close(&self) {
        let gone = self.entries.lock().take();
        drop(gone);
    }

    /// A worker from the fork-server for `program`, begun now where there was none. `None`: start
    /// it cold; why has been said in the log.
    pub(super) fn fork(
        &self,
        program: &Program,
        manifest: &Manifest,
        segment: &Segment,
        scratch: &Path,
        log: &Logger,
    ) -> Option<Spawned> {
        let forks = program.forks.as_ref()?;
        let entry = self.entry(
            Recipe {
                path: program.path.clone(),
                args: forks.args.clone(),
                preload: forks.preload.clone(),
                env: spawn::environment(program, manifest),
            },
            log,
        )?;
        let server = self.sitting(&entry)?;
        match server.fork(segment, scratch) {
            Ok(spawned) => Some(spawned),
            Err(error) => {
                entry.say(Level::Warn, &format!("{}; started cold", error.message()));
                None
            }
        }
    }

    fn entry(&self, recipe: Recipe, log: &Logger) -> Option<Arc<Entry>> {
        let mut open = self.entries.lock();
        let entries = open.as_mut()?;
        entries.retain(|known, entry| *known == recipe || !entry.is_idle());
        let fresh = || Arc::new(Entry::new(&recipe, log));
        Some(Arc::clone(
            entries.entry(recipe.clone()).or_insert_with(fresh),
        ))
    }

    /// Who sits there; a new seat is taken first. Two loads at once wait for the same one.
    fn sitting(&self, entry: &Arc<Entry>) -> Option<Arc<ForkServer>> {
        let mut seat = entry.seat.lock();
        seat.used = Instant::now();
        if matches!(seat.state, State::New) {
            entry.begin(&mut seat, &self.reaper);
        }
        match &seat.state {
            State::Up(server) if server.is_alive() => Some(Arc::clone(server)),
            _ => None,
        }
    }
}

impl Entry {
    fn new(recipe: &Recipe, log: &Logger) -> Self {
        let now = Instant::now();
        Self {
            recipe: recipe.clone(),
            log: log.clone(),
            seat: Mutex::new(Seat {
                state: State::New,
                failures: 0,
                since: now,
                used: now,
                bare: false,
            }),
        }
    }

    fn say(&self, level: Level, text: &str) {
        self.log.write(level, text.to_owned());
    }

    fn is_idle(&self) -> bool {
        let seat = self.seat.try_lock();
        seat.is_some_and(|seat| seat.used.elapsed() > IDLE)
    }

    /// Begins one. A failure is dealt with by the watch that its death ends.
    fn begin(self: &Arc<Self>, seat: &mut Seat, reaper: &Arc<Reaper>) {
        let mut recipe = self.recipe.clone();
        if seat.bare {
            recipe.preload.clear();
        }
        seat.since = Instant::now();
        let (entry, thread) = (Arc::downgrade(self), Arc::downgrade(reaper));
        let on_exit = move || came_to_an_end(entry, thread);
        match ForkServer::start(&recipe, reaper, &self.log, seat.since + IMPORTS, on_exit) {
            Ok(Begun {
                unfit: Some(why), ..
            }) => {
                let text = format!("no fork-server, workers are started cold: {why}");
                self.say(Level::Warn, &text);
                seat.state = State::Unfit;
            }
            Ok(Begun { server, notes, .. }) => {
                for note in notes {
                    self.say(Level::Warn, &format!("fork-server: {note}"));
                }
                seat.state = State::Up(server);
            }
            Err(error) => self.failed(seat, &error),
        }
    }

    fn failed(&self, seat: &mut Seat, error: &Error) {
        self.say(
            Level::Warn,
            &format!("{}; workers are started cold meanwhile", error.message()),
        );
        seat.bare = seat.bare || !self.recipe.preload.is_empty();
        seat.state = State::Down;
    }

    /// How long to wait before the next is begun; `None` where there will be none.
    fn vacated(&self) -> Option<Duration> {
        let mut seat = self.seat.lock();
        let was = std::mem::replace(&mut seat.state, State::Down);
        match was {
            State::Unfit => {
                seat.state = State::Unfit;
                return None;
            }
            // A stranger's end: the seat has been taken anew.
            State::Up(server) if server.is_alive() => {
                seat.state = State::Up(server);
                return None;
            }
            State::Up(server) => {
                let how = server.obituary();
                self.say(
                    Level::Warn,
                    &format!("the fork-server ended ({how}); workers are started cold meanwhile"),
                );
            }
            State::Down | State::New => {}
        }
        if seat.since.elapsed() > HEALTHY {
            seat.failures = 0;
        }
        seat.failures += 1;
        if seat.failures > TRIES {
            self.say(Level::Error, "the fork-server keeps dying and is given up");
            seat.state = State::Unfit;
            return None;
        }
        Some((WAIT * (1 << (seat.failures - 1))).min(LONGEST))
    }
}

/// On the reaper's thread, which must not block: the rest is for a thread of its own.
fn came_to_an_end(entry: Weak<Entry>, reaper: Weak<Reaper>) {
    let body = move || {
        let Some(wait) = entry.upgrade().and_then(|e| e.vacated()) else {
            return;
        };
        std::thread::sleep(wait);
        let (Some(entry), Some(reaper)) = (entry.upgrade(), reaper.upgrade()) else {
            return;
        };
        let mut seat = entry.seat.lock();
        if matches!(seat.state, State::Down) {
            entry.begin(&mut seat, &reaper);
        }
    };
    // Without a thread it stays down; workers are started cold.
    let _ = std::thread::Builder::new()
        .name("plugward-forks".into())
        .spawn(body);
}
