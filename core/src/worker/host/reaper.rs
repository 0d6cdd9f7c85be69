//! The thread that starts workers, notices their deaths and reads what they write.
//!
//! One epoll set holds a pidfd and a pipe of each worker; the thread sleeps until one of them has
//! something to tell. It also starts the workers: "die with your parent" is tied by the kernel to
//! the *thread* that started the child, so that thread must live as long as the runtime.

use super::child::{Child, Reason};
use super::tail::{Pumped, Tail};
use super::watch::Watch;
use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use crate::worker::kin;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to do when a worker has ended, on the reaper's thread: it must not block.
pub(super) type OnExit = Box<dyn FnOnce() + Send>;

enum Command {
    Run(Box<dyn FnOnce() + Send>),
    Watch(Watched),
    KillAt(Instant, Arc<Child>),
    Close,
}

struct Watched {
    child: Arc<Child>,
    tail: Arc<Tail>,
    on_exit: Option<OnExit>,
    watch: Option<Watch>,
    /// When its pipe, which had little to tell, is listened to again.
    rest: Option<Instant>,
}

/// How long a pipe is left alone after a small piece. Waking this thread across processors costs a
/// writer many times what a write does, and a traceback is a hundred of them.
const REST: Duration = Duration::from_millis(2);
/// Of a piece larger than this the rest is read at once: the pipe holds little more.
const MUCH: usize = 16 << 10;

struct Shared {
    commands: Mutex<Vec<Command>>,
    wake: OwnedFd,
    epoll: OwnedFd,
}

/// The thread's handle. Dropping it lets the thread end after its last worker.
pub(super) struct Reaper(Arc<Shared>);

const WAKE: u64 = 0;
const PIPE: u64 = 1;
const ONCE: EventFlags = EventFlags::IN.union(EventFlags::ONESHOT);

fn thread_error(e: impl std::fmt::Display) -> Error {
    Error::new(Code::RuntimeThread).with_cause(e.to_string())
}

impl Reaper {
    pub(super) fn start() -> Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let shared = Arc::new(Shared {
            commands: Mutex::default(),
            wake: wake.map_err(thread_error)?,
            epoll: epoll::create(CreateFlags::CLOEXEC).map_err(thread_error)?,
        });
        epoll::add(
            &shared.epoll,
            &shared.wake,
            EventData::new_u64(WAKE),
            EventFlags::IN,
        )
        .map_err(thread_error)?;
        let body = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("plugward-reaper".into())
            .spawn(move || Loop::new(body).run())
            .map_err(thread_error)?;
        Ok(Self(shared))
    }

    /// Runs `body` on the thread and waits for its result.
    pub(super) fn run<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let (done, result) = std::sync::mpsc::channel();
        self.0.send(Command::Run(Box::new(move || {
            let _ = done.send(body());
        })));
        result.recv().map_err(|_| Error::new(Code::RuntimeClosed))
    }

    /// Watches a worker until it has ended and was reaped.
    pub(super) fn watch(
        &self,
        child: Arc<Child>,
        tail: Arc<Tail>,
        watch: Option<Watch>,
        on_exit: OnExit,
    ) {
        let on_exit = Some(on_exit);
        self.0.send(Command::Watch(Watched {
            child,
            tail,
            on_exit,
            watch,
            rest: None,
        }));
    }

    /// Kills `child` after `grace` if it still lives then.
    pub(super) fn end(&self, child: Arc<Child>, grace: Duration) {
        self.0.send(Command::KillAt(Instant::now() + grace, child));
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.0.send(Command::Close);
    }
}

impl Shared {
    fn send(&self, command: Command) {
        self.commands.lock().push(command);
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

struct Loop {
    shared: Arc<Shared>,
    watched: HashMap<u64, Watched>,
    to_kill: Vec<(Instant, Arc<Child>)>,
    next: u64,
    closed: bool,
}

impl Loop {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            watched: HashMap::new(),
            to_kill: Vec::new(),
            next: 1,
            closed: false,
        }
    }

    fn run(mut self) {
        while !self.closed || !self.watched.is_empty() {
            for token in self.wait() {
                match (token, token & PIPE) {
                    (WAKE, _) => self.obey(),
                    (_, PIPE) => self.pump(token >> 1),
                    _ => self.look(token >> 1),
                }
            }
            self.tick();
        }
    }

    /// Sleeps until something happens, at most until the next thing that is due.
    fn wait(&self) -> Vec<u64> {
        let looks = self.watched.values().filter_map(|w| w.watch.as_ref());
        let due = self.to_kill.iter().map(|(at, _)| *at);
        let left = due
            .chain(looks.map(|w| w.next))
            .chain(self.watched.values().filter_map(|w| w.rest))
            .min()
            .map(|at| at.saturating_duration_since(Instant::now()));
        // epoll counts milliseconds and rounds down: one more, so that what is due is past.
        let left = left
            .map(|l| l + Duration::from_millis(1))
            .and_then(|l| Timespec::try_from(l).ok());
        let mut events: Vec<Event> = Vec::with_capacity(64);
        let _ = epoll::wait(
            &self.shared.epoll,
            rustix::buffer::spare_capacity(&mut events),
            left.as_ref(),
        );
        events.iter().map(|e| e.data.u64()).collect()
    }

    fn obey(&mut self) {
        let _ = rustix::io::read(&self.shared.wake, &mut [0; 8]);
        let commands = std::mem::take(&mut *self.shared.commands.lock());
        for command in commands {
            match command {
                Command::Run(body) => body(),
                Command::Watch(watched) => self.watch(watched),
                Command::KillAt(at, child) => self.to_kill.push((at, child)),
                Command::Close => self.closed = true,
            }
        }
    }

    fn watch(&mut self, watched: Watched) {
        let id = self.next;
        self.next += 1;
        let data = |kind| EventData::new_u64(id << 1 | kind);
        let epoll = &self.shared.epoll;
        let seen = epoll::add(epoll, watched.child.pidfd(), data(0), EventFlags::IN);
        watched
            .tail
            .with_fd(|fd| epoll::add(epoll, fd, data(PIPE), ONCE))
            .ok();
        if seen.is_err() {
            // Out of memory for one more entry: an unwatched worker must not be.
            watched.child.kill(Reason::Start);
        }
        self.watched.insert(id, watched);
        self.look(id);
    }

    /// A pidfd became readable: the process has ended.
    fn look(&mut self, id: u64) {
        let Some(watched) = self.watched.get_mut(&id) else {
            return;
        };
        if watched.child.try_reap().is_none() {
            return;
        }
        let _ = epoll::delete(&self.shared.epoll, watched.child.pidfd());
        self.unpipe(id);
        if let Some(watched) = self.watched.remove(&id) {
            self.to_kill
                .retain(|(_, child)| !Arc::ptr_eq(child, &watched.child));
            // What it wrote last belongs in the log, also where it was told to end.
            let _ = watched.tail.last_words();
            if let Some(on_exit) = watched.on_exit {
                on_exit();
            }
        }
    }

    fn unpipe(&mut self, id: u64) {
        if let Some(watched) = self.watched.get(&id) {
            let _ = watched
                .tail
                .with_fd(|fd| epoll::delete(&self.shared.epoll, fd));
        }
    }

    fn pump(&mut self, id: u64) {
        let Some(watched) = self.watched.get_mut(&id) else {
            return;
        };
        // One piece at a time: who writes a lot waits for nobody, nor do others.
        match watched.tail.pump() {
            Pumped::Closed => self.unpipe(id),
            Pumped::More(bytes) if bytes >= MUCH => self.listen(id),
            _ => watched.rest = Some(Instant::now() + REST),
        }
    }

    /// Each event of a pipe is the last until it is listened to again.
    fn listen(&mut self, id: u64) {
        if let Some(watched) = self.watched.get_mut(&id) {
            watched.rest = None;
            let (epoll, data) = (&self.shared.epoll, EventData::new_u64(id << 1 | PIPE));
            let _ = watched
                .tail
                .with_fd(|fd| epoll::modify(epoll, fd, data, ONCE));
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.to_kill.retain(|(at, child)| {
            let due = *at <= now;
            if due {
                child.kill(Reason::Stopped);
            }
            !due
        });
        let rested = |w: &Watched| w.rest.is_some_and(|at| at <= now);
        let rested: Vec<u64> = self
            .watched
            .iter()
            .filter(|(_, w)| rested(w))
            .map(|(id, _)| *id)
            .collect();
        for id in rested {
            self.listen(id);
        }
        self.look_around(now);
    }

    /// Holds workers to their limits.
    fn look_around(&mut self, now: Instant) {
        let due = |w: &Watched| w.watch.as_ref().is_some_and(|w| w.next <= now);
        let descends = |w: &Watched| w.watch.as_ref().is_some_and(|w| w.descends);
        let scan = self.watched.values().any(|w| due(w) && descends(w));
        let all = if scan { kin::scan() } else { Vec::new() };
        let spent = now.elapsed();
        for watched in self.watched.values_mut().filter(|w| due(w)) {
            if let Some(watch) = &mut watched.watch {
                let spent = if watch.descends {
                    spent
                } else {
                    Duration::ZERO
                };
                watch.look(&watched.child, &all, spent);
                watched.tail.settle();
            }
        }
    }
}
