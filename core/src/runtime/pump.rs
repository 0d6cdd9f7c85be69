//! The threads that see awaited calls to their end, however many there are.
//!
//! One thread sleeps on the words of up to [`ROOM`] running calls at once (`futex_waitv`), on their
//! deadlines and on its own bell; a worker that answers wakes it as it would wake a caller. Calls that
//! wait for their turn lie in a list. Rejected: a thread per call, which is what awaiting is to
//! avoid; an eventfd per worker, which costs a worker one more system call per answer and says
//! nothing when its thread dies.

use super::awaited::Done;
use super::run::{Answer, settle, unless_stopped};
use crate::call::{Args, Call, Fault, Look, Outcome, Queued, Ticket, Underway};
use crate::error::{Code, Error, Result};
use crate::registry::Bell;
use crate::sync::Mutex;
use crate::worker::{MOST, wait_any, wake};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// Running calls that one thread sees to: the words it can wait for, less its bell.
const ROOM: usize = MOST - 1;

type Report = Arc<dyn Fn(u64, u64) -> bool + Send + Sync>;

/// How far an awaited call has come.
pub(super) enum Stage {
    /// It waits for its turn.
    Queued(Queued, Args),
    /// The worker has it.
    Running(Ticket, Box<dyn Underway>),
}

impl Stage {
    /// Hands an admitted call to its worker; the outcome where that fails.
    pub(super) fn run(ticket: Ticket, args: &Args) -> std::result::Result<Self, Box<Outcome>> {
        let (target, deadline) = (ticket.target(), ticket.deadline());
        let call = Call {
            plugin: &target.plugin().name,
            tool: target.tool(),
            args,
            deadline,
            call_id: ticket.call_id(),
            should_stop: &|| false,
            progress: &|_, _| true,
            reporter: None,
        };
        let begun = catch_unwind(AssertUnwindSafe(|| {
            target.generation().executor.begin(&call)
        }));
        match begun.unwrap_or(None) {
            Some(Ok(underway)) => Ok(Stage::Running(ticket, underway)),
            Some(Err(fault)) => Err(Box::new(over(ticket, Err(fault)))),
            None => {
                let fault = Fault::Error(Error::new(Code::RuntimeInternal));
                Err(Box::new(over(ticket, Err(fault))))
            }
        }
    }
}

fn over(ticket: Ticket, answer: Answer) -> Outcome {
    let target = ticket.target();
    let (plugin, tool) = (target.plugin().name.clone(), target.tool().spec.id.clone());
    let (result, ended) = settle(ticket, answer);
    Outcome {
        plugin,
        tool,
        result,
        ended,
    }
}

/// An awaited call.
pub(super) struct Entry {
    pub(super) given_up: Arc<AtomicBool>,
    pub(super) progress: Option<Report>,
    pub(super) done: Option<Done>,
    pub(super) stage: Stage,
}

/// All of a runtime's threads for awaited calls; the first also keeps the queues.
pub(super) struct Pump(Mutex<Vec<Arc<Shard>>>);

/// One thread.
#[derive(Default)]
struct Shard {
    bell: AtomicU32,
    inbox: Mutex<Vec<Entry>>,
    running: AtomicUsize,
    closed: AtomicBool,
}

impl Bell for Shard {
    fn ring(&self) {
        self.bell.fetch_add(1, Ordering::SeqCst);
        wake(&self.bell);
    }
}

impl Pump {
    /// Starts the first thread.
    pub(super) fn start() -> Result<Arc<Self>> {
        let pump = Arc::new(Self(Mutex::default()));
        pump.grow()?;
        Ok(pump)
    }

    fn grow(self: &Arc<Self>) -> Result<Arc<Shard>> {
        let shard = Arc::<Shard>::default();
        let (own, pump) = (Arc::clone(&shard), Arc::downgrade(self));
        std::thread::Builder::new()
            .name("plugward-await".into())
            .spawn(move || Loop::new(own, pump).run())
            .map_err(|e| Error::new(Code::RuntimeThread).with_cause(e.to_string()))?;
        self.0.lock().push(Arc::clone(&shard));
        Ok(shard)
    }

    /// Takes charge of a call.
    pub(super) fn put(self: &Arc<Self>, entry: Entry) -> Result<()> {
        let shard = match &entry.stage {
            Stage::Queued(..) => self.first(),
            Stage::Running(..) => self.with_room()?,
        };
        if let Some(shard) = shard {
            shard.inbox.lock().push(entry);
            shard.ring();
        }
        Ok(())
    }

    fn first(&self) -> Option<Arc<Shard>> {
        self.0.lock().first().cloned()
    }

    /// A thread that sees to fewer calls than it can; the place is taken.
    fn with_room(self: &Arc<Self>) -> Result<Option<Arc<Shard>>> {
        let free = self.0.lock().iter().find(|s| s.take_room()).cloned();
        if free.is_some() {
            return Ok(free);
        }
        let shard = self.grow()?;
        shard.take_room();
        Ok(Some(shard))
    }

    /// What is rung when a turn may have come.
    pub(super) fn bell(&self) -> Weak<dyn Bell> {
        match self.first() {
            Some(shard) => Arc::downgrade(&shard) as Weak<dyn Bell>,
            None => Weak::<Shard>::new(),
        }
    }

    /// Everybody looks again.
    pub(super) fn ring(&self) {
        let shards = self.0.lock().clone();
        shards.iter().for_each(|shard| shard.ring());
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        for shard in self.0.get_mut() {
            shard.closed.store(true, Ordering::SeqCst);
            shard.ring();
        }
    }
}

impl Shard {
    fn take_room(&self) -> bool {
        let take = |n: usize| (n < ROOM).then_some(n + 1);
        self.running
            .try_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_ok()
    }
}

/// A running call as its thread sees it.
struct Run {
    ticket: Ticket,
    underway: Box<dyn Underway>,
    entry: Told,
    seen: u32,
}

/// Who is told, and who has lost interest.
struct Told {
    given_up: Arc<AtomicBool>,
    progress: Option<Report>,
    done: Option<Done>,
}

impl Told {
    fn given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    fn tell(&mut self, outcome: Outcome) {
        if let Some(done) = self.done.take().filter(|_| !self.given_up()) {
            let _ = catch_unwind(AssertUnwindSafe(|| done(outcome)));
        }
    }
}

struct Wait {
    place: Queued,
    args: Args,
    told: Told,
}

struct Loop {
    shard: Arc<Shard>,
    pump: Weak<Pump>,
    queue: Vec<Wait>,
    running: Vec<Run>,
}

impl Loop {
    fn new(shard: Arc<Shard>, pump: Weak<Pump>) -> Self {
        Self {
            shard,
            pump,
            queue: Vec::new(),
            running: Vec::new(),
        }
    }

    fn run(mut self) {
        loop {
            let bell = self.shard.bell.load(Ordering::SeqCst);
            let closed = self.shard.closed.load(Ordering::SeqCst);
            self.open();
            self.look();
            self.turns();
            if closed && self.queue.is_empty() && self.running.is_empty() {
                return;
            }
            self.sleep(bell);
        }
    }

    fn open(&mut self) {
        for entry in std::mem::take(&mut *self.shard.inbox.lock()) {
            let told = Told {
                given_up: entry.given_up,
                progress: entry.progress,
                done: entry.done,
            };
            match entry.stage {
                Stage::Queued(place, args) => self.queue.push(Wait { place, args, told }),
                Stage::Running(ticket, underway) => self.running.push(Run {
                    ticket,
                    underway,
                    entry: told,
                    seen: 0,
                }),
            }
        }
    }

    /// Looks at every running call.
    fn look(&mut self) {
        let mut at = 0;
        while let Some(run) = self.running.get_mut(at) {
            match run.look() {
                Some(end) => {
                    let run = self.running.swap_remove(at);
                    self.shard.running.fetch_sub(1, Ordering::SeqCst);
                    end.of(run);
                }
                None => at += 1,
            }
        }
    }

    /// Hands calls to their workers whose turn has come, in their order.
    fn turns(&mut self) {
        let now = Instant::now();
        let mut full: Vec<u32> = Vec::new();
        for wait in std::mem::take(&mut self.queue) {
            let plugin = wait.place.target().plugin().id;
            let due = wait.place.until().is_some_and(|at| now >= at);
            if wait.told.given_up() {
                continue;
            }
            if full.contains(&plugin) && !due {
                self.queue.push(wait);
                continue;
            }
            match wait.place.attempt() {
                None => {
                    full.push(plugin);
                    self.queue.push(wait);
                }
                Some(Err(error)) => wait.refuse(error),
                Some(Ok(ticket)) => self.begin(ticket, wait),
            }
        }
    }

    fn begin(&mut self, ticket: Ticket, wait: Wait) {
        let Wait {
            place,
            args,
            mut told,
        } = wait;
        drop(place);
        match Stage::run(ticket, &args) {
            Err(outcome) => told.tell(*outcome),
            Ok(Stage::Running(ticket, underway)) if self.shard.take_room() => {
                self.running.push(Run {
                    ticket,
                    underway,
                    entry: told,
                    seen: 0,
                });
            }
            Ok(stage) => {
                let entry = Entry {
                    given_up: told.given_up,
                    progress: told.progress,
                    done: told.done,
                    stage,
                };
                // Without a thread the ticket is dropped, which ends the call.
                let _ = self.pump.upgrade().map(|pump| pump.put(entry));
            }
        }
    }

    fn sleep(&self, bell: u32) {
        let deadlines = self.running.iter().filter_map(Run::wakes_at);
        let patience = self.queue.iter().filter_map(|w| w.place.until());
        let words: Vec<_> = std::iter::once((&self.shard.bell, bell))
            .chain(self.running.iter().map(|r| (r.underway.word(), r.seen)))
            .collect();
        wait_any(&words, deadlines.chain(patience).min());
    }
}

impl Wait {
    fn refuse(mut self, error: Error) {
        let target = self.place.target();
        let outcome = Outcome::refused(&target.plugin().name, &target.tool().spec.id, error);
        drop(self.place);
        self.told.tell(outcome);
    }
}

/// How a running call ends.
enum End {
    Answered(Answer),
    /// Somebody must wait for its process to be gone.
    Dying,
}

impl End {
    fn of(self, run: Run) {
        match self {
            End::Answered(answer) => run.over(answer),
            End::Dying => run.buried(),
        }
    }
}

impl Run {
    fn due(&self) -> Option<Instant> {
        self.ticket.deadline()
    }

    /// When it must be looked at, whatever its worker does.
    fn wakes_at(&self) -> Option<Instant> {
        let grace = self.underway.wakes_at();
        self.due().into_iter().chain(grace).min()
    }

    fn look(&mut self) -> Option<End> {
        if self.entry.given_up() {
            self.underway.cancel();
        }
        let progress = self.entry.progress.clone();
        let report = |n, of| progress.as_ref().is_none_or(|p| p(n, of));
        match self.underway.look(&report) {
            Look::Done(answer) => Some(End::Answered(answer)),
            Look::Dying => Some(End::Dying),
            Look::Waiting(seen) => {
                self.seen = seen;
                let late = self.due().is_some_and(|at| Instant::now() >= at);
                late.then(|| End::Answered(Err(self.underway.expire())))
            }
        }
    }

    fn buried(self) {
        let cell = Arc::new(Mutex::new(Some(self)));
        let own = Arc::clone(&cell);
        let bury = move || {
            let taken = own.lock().take();
            if let Some(mut run) = taken {
                let fault = run.underway.bury();
                run.over(Err(fault));
            }
        };
        let thread = std::thread::Builder::new().name("plugward-bury".into());
        if thread.spawn(bury.clone()).is_err() {
            bury();
        }
    }

    fn over(self, answer: Answer) {
        let Self {
            ticket,
            mut entry,
            underway,
            ..
        } = self;
        drop(underway);
        let limit = ticket.limit().unwrap_or_default();
        let past = ticket.deadline().is_some_and(|at| Instant::now() >= at);
        let answer = match answer {
            Err(Fault::Deadline { how, .. }) => Err(Fault::Deadline { limit, how }),
            Err(Fault::Crashed { error, entered }) => Err(Fault::Crashed { error, entered }),
            _ if entry.given_up() => Err(Fault::Cancelled),
            answer => unless_stopped(answer, Some(limit), past),
        };
        let told = catch_unwind(AssertUnwindSafe(|| over(ticket, answer)));
        if let Ok(outcome) = told {
            entry.tell(outcome);
        }
    }
}
