//! A living worker and the lanes to it.

use super::cgroup::Cgroup;
use super::child::{Child, Exit, Reason};
use super::death::Death;
use super::dying::is_dying;
use super::lease::{self, Held};
use super::memory;
use super::pool::{Frame, Pool};
use super::reaper::Reaper;
use super::scratch::Scratch;
use super::tail::Tail;
use super::watch::{Most, Watch};
use crate::call::{Args, DeathNotice, Fault, Interruption, OwnedTensor, Reply};
use crate::error::{Code, Error, Result};
use crate::manifest::Limits;
use crate::platform::fork_epoch;
use crate::sync::Mutex;
use crate::worker::wire::{
    self, ANSWERED, DIED, Head, IDLE, KEEP, Lane, NOTE, Op, Parts, Phase, ReplyHead, Segment,
    TensorHead, futex,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a cancelled call may take to end before it is ended by force.
pub(super) const CANCEL_GRACE: Duration = Duration::from_secs(1);
/// How long a worker that is asked to end may take.
const GRACE: Duration = Duration::from_secs(1);
/// How long the end of a process is waited for once its thread has ended.
const DYING: Duration = Duration::from_millis(100);
/// How long after it was killed as well.
const KILLED: Duration = Duration::from_secs(2);

/// Memory that a call looks at.
#[allow(dead_code, reason = "held, not looked at")]
enum Holding {
    Frame(Frame),
    Lease(Arc<Held>),
}

struct Lanes {
    free: Vec<u32>,
    /// Cancelled calls that are past their grace, while others run beside them.
    stuck: Vec<Stuck>,
}

/// A cancelled call that would not end.
struct Stuck {
    number: u32,
    tool: String,
    /// Whether somebody takes its answer; else its lane is free once it is there.
    watched: bool,
}

/// A living worker and the lanes to it.
pub(super) struct Link {
    pub(super) plugin: String,
    pub(super) child: Arc<Child>,
    pub(super) tail: Arc<Tail>,
    pub(super) limits: Limits,
    memory: Option<Most>,
    /// Threads that it had before it knew its plugin.
    threads: Arc<AtomicU64>,
    pub(super) reaper: Arc<Reaper>,
    pub(super) segment: Arc<Segment>,
    pub(super) pool: Arc<Pool>,
    lanes: Mutex<Lanes>,
    /// What the call on each lane must not lose before it ends.
    held: Vec<Mutex<Vec<Holding>>>,
    in_flight: AtomicU32,
    dead: AtomicBool,
    told: AtomicBool,
    on_death: DeathNotice,
    forks: u32,
    pub(super) scratch: Scratch,
    cgroup: Option<Cgroup>,
}

/// One request, whatever its kind.
pub(super) struct Request<'a> {
    pub(super) op: Op,
    pub(super) tool: &'a str,
    pub(super) call_id: u64,
    pub(super) args: &'a Args,
    pub(super) deadline: Option<Instant>,
    pub(super) progress: &'a (dyn Fn(u64, u64) -> bool + Sync),
}

/// What makes a link.
pub(super) struct Making {
    pub(super) plugin: String,
    pub(super) child: Arc<Child>,
    pub(super) tail: Arc<Tail>,
    pub(super) limits: Limits,
    pub(super) memory: Option<Most>,
    /// Whether the plugin may start processes.
    pub(super) descends: bool,
    pub(super) reaper: Arc<Reaper>,
    pub(super) segment: Segment,
    pub(super) scratch: Scratch,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) on_death: DeathNotice,
}

impl Link {
    /// Begins to watch the worker.
    pub(super) fn new(parts: Making) -> Arc<Self> {
        let Making {
            plugin,
            child,
            tail,
            limits,
            memory,
            descends,
            reaper,
            segment,
            scratch,
            cgroup,
            on_death,
        } = parts;
        let segment = Arc::new(segment);
        let link = Arc::new(Self {
            lanes: Mutex::new(Lanes {
                free: vec![0],
                stuck: Vec::new(),
            }),
            in_flight: AtomicU32::new(0),
            dead: AtomicBool::new(false),
            told: AtomicBool::new(false),
            plugin,
            child,
            tail,
            limits,
            memory,
            threads: Arc::default(),
            reaper,
            pool: Pool::new(Arc::clone(&segment)),
            held: (0..segment.shape().lanes)
                .map(|_| Mutex::default())
                .collect(),
            segment,
            on_death,
            forks: fork_epoch(),
            scratch,
            cgroup,
        });
        let dying = Arc::clone(&link);
        let (child, tail) = (Arc::clone(&link.child), Arc::clone(&link.tail));
        let processes = link.limits.processes;
        let watch = Watch {
            memory,
            processes: processes.map(|most| (most, Arc::clone(&link.threads))),
            lanes: link.segment.shape().lanes,
            descends,
            slots: link.segment.inode(),
            next: Instant::now(),
        };
        let on_exit = Box::new(move || dying.died());
        let watch = Some(watch).filter(Watch::is_needed);
        link.reaper.watch(child, tail, watch, on_exit);
        link
    }

    /// Waits until the worker has said its version.
    pub(super) fn shake_hands(&self, deadline: Instant) -> Result<()> {
        let phase = &self.segment.header().phase;
        loop {
            let seen = phase.load(Ordering::Acquire);
            if seen == Phase::Ready as u32 {
                let threads = memory::threads(self.child.pid()).max(1);
                self.threads.store(threads, Ordering::Relaxed);
                return Ok(());
            }
            if seen == Phase::Foreign as u32 {
                self.child.kill(Reason::Start);
                return Err(self.foreign());
            }
            if self.dead.load(Ordering::SeqCst) {
                return Err(self.not_started());
            }
            if !futex::wait(phase, seen, Some(deadline)) {
                self.child.kill(Reason::Start);
                return Err(self.not_started());
            }
        }
    }

    fn foreign(&self) -> Error {
        let theirs = self.segment.header().worker_version.load(Ordering::Relaxed);
        Error::new(Code::WorkerVersion).with_message(format!(
            "the worker program speaks protocol {theirs}, this runtime speaks {}",
            wire::PROTOCOL
        ))
    }

    /// It died or kept silent before it was ready: whatever the signal, that is the message.
    fn not_started(&self) -> Error {
        self.told.store(true, Ordering::Relaxed);
        let why = self.death(None);
        let words = match why.traceback() {
            Some(text) => format!(
                "; its last words: {}",
                crate::error::bounded(text.to_owned())
            ),
            None => String::new(),
        };
        let error = Error::new(Code::WorkerStart).with_message(format!("{}{words}", why.message()));
        match why.details() {
            Some(details) => error.with_details(details.clone()),
            None => error,
        }
    }

    /// All lanes may be used from now on; the first to be used is 0, the worker's main thread.
    pub(super) fn open_lanes(&self) {
        self.lanes.lock().free = (0..self.segment.shape().lanes).rev().collect();
    }

    /// Makes one call and waits for its answer.
    pub(super) fn call(&self, request: &Request<'_>) -> std::result::Result<Reply, Fault> {
        let number = self.begin(request)?;
        let lane = self.segment.lane(number);
        let answer = match self.wait(lane, request.progress, request.deadline) {
            Ok(true) => self.answered(number, lane),
            Ok(false) => Err(self.overstayed(request.tool)),
            Err(Fault::Cancelled) => Err(self.cancelled(number, lane, request)),
            Err(fault) => Err(fault),
        };
        self.ended(answer)
    }

    /// The caller wants no more of the call: it has a moment to end, and then is ended.
    fn cancelled(&self, number: u32, lane: &Lane, request: &Request<'_>) -> Fault {
        self.cancel(lane);
        let grace = Instant::now() + CANCEL_GRACE;
        let late = request.deadline.filter(|at| *at <= grace);
        match self.wait(lane, &|_, _| true, Some(late.unwrap_or(grace))) {
            Ok(true) => match self.answered(number, lane) {
                Err(fault @ Fault::Crashed { .. }) => fault,
                _ => Fault::Cancelled,
            },
            Ok(false) if late.is_some() => self.unended(request.tool),
            Ok(false) if self.overdue(number, request.tool, false) => self.unended(request.tool),
            Ok(false) => Fault::Cancelled,
            Err(fault) => fault,
        }
    }

    /// Tells the worker that nobody wants the answer of the call on `lane`.
    pub(super) fn cancel(&self, lane: &Lane) {
        lane.cancel.store(1, Ordering::SeqCst);
        let cancels = &self.segment.header().cancels;
        cancels.fetch_add(1, Ordering::SeqCst);
        futex::wake(cancels);
    }

    /// The cancelled call on `number` is past its grace: the process ends as soon as there are only
    /// such calls in it. True when that is now.
    pub(super) fn overdue(&self, number: u32, tool: &str, watched: bool) -> bool {
        let mut lanes = self.lanes.lock();
        lanes.stuck.push(Stuck {
            number,
            tool: tool.to_owned(),
            watched,
        });
        self.end_stuck(&mut lanes)
    }

    /// With the lanes locked: whoever takes one later finds the process dead, and was never begun.
    fn end_stuck(&self, lanes: &mut Lanes) -> bool {
        self.reclaim(lanes);
        let used = self.segment.shape().lanes as usize - lanes.free.len();
        let alone = used == lanes.stuck.len() && !lanes.stuck.iter().any(|s| self.has_answer(s));
        let Some(first) = lanes.stuck.first().filter(|_| alone) else {
            return false;
        };
        self.child.kill(Reason::Cancelled(first.tool.clone()));
        true
    }

    fn has_answer(&self, stuck: &Stuck) -> bool {
        self.segment.lane(stuck.number).word.load(Ordering::Acquire) == ANSWERED
    }

    /// Frees the lanes whose answers nobody takes.
    fn reclaim(&self, lanes: &mut Lanes) {
        let over = |s: &mut Stuck| !s.watched && self.has_answer(s);
        for stuck in lanes.stuck.extract_if(.., over) {
            self.held[stuck.number as usize].lock().clear();
            lanes.free.push(stuck.number);
        }
    }

    /// Ends the process of a cancelled call of `tool` that did not end.
    pub(super) fn unended(&self, tool: &str) -> Fault {
        self.child.kill(Reason::Cancelled(tool.to_owned()));
        Fault::Crashed {
            error: self.death(None),
            entered: true,
        }
    }

    /// Writes a call into a free lane and wakes the worker. [`Link::ended`] must follow.
    pub(super) fn begin(&self, request: &Request<'_>) -> std::result::Result<u32, Fault> {
        let number = self.take_lane().map_err(Fault::NotStarted)?;
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        match self.submit(number, self.segment.lane(number), request) {
            Ok(()) => Ok(number),
            Err(fault) => {
                self.held[number as usize].lock().clear();
                self.lanes.lock().free.push(number);
                self.ended(Err(fault)).map(|_| number)
            }
        }
    }

    /// The answer, once it is there; the lane is free afterwards.
    pub(super) fn answered(&self, number: u32, lane: &Lane) -> std::result::Result<Reply, Fault> {
        let answer = self.answer(number, lane);
        self.release(number, lane);
        answer
    }

    /// A call that was begun has its answer.
    pub(super) fn ended(
        &self,
        answer: std::result::Result<Reply, Fault>,
    ) -> std::result::Result<Reply, Fault> {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        match &answer {
            Err(Fault::Crashed { .. } | Fault::Deadline { .. }) => {
                self.told.store(true, Ordering::Relaxed);
            }
            _ => self.tell_if_dead(),
        }
        answer
    }

    fn take_lane(&self) -> Result<u32> {
        let mut lanes = self.lanes.lock();
        if lanes.free.is_empty() {
            self.reclaim(&mut lanes);
        }
        lanes.free.pop().ok_or_else(|| {
            Error::new(Code::CallBusy).with_message(format!(
                "{}: every thread of its worker is still busy with a cancelled call",
                self.plugin
            ))
        })
    }

    fn submit(
        &self,
        number: u32,
        lane: &Lane,
        request: &Request<'_>,
    ) -> std::result::Result<(), Fault> {
        let slot = self.segment.request(number);
        let tensors = &request.args.tensors;
        let left = request
            .deadline
            .map(|d| d.saturating_duration_since(Instant::now()));
        let head = Head {
            tool: request.tool.to_owned(),
            call_id: request.call_id,
            left_ns: left.map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
            tensors: tensors.iter().map(TensorHead::of).collect(),
            places: self.placed(number, tensors).map_err(Fault::NotStarted)?,
        };
        let text = request.args.text().as_bytes();
        let len = wire::write(slot, &head, text, std::iter::empty());
        let len = len.map_err(|wire::TooLarge(needed)| {
            let code = Code::WorkerPayload;
            Fault::NotStarted(wire::too_large(
                code,
                "an argument list",
                needed,
                slot.cap(),
            ))
        })?;
        let reply = self.segment.shape();
        lane.op.store(request.op as u32, Ordering::Relaxed);
        lane.entered.store(0, Ordering::Relaxed);
        lane.cancel.store(0, Ordering::Relaxed);
        lane.reports.store(0, Ordering::Relaxed);
        lane.request_len.store(len, Ordering::Relaxed);
        lane.reply_at
            .store(reply.reply_at(number), Ordering::Relaxed);
        lane.reply_cap.store(reply.reply_slot, Ordering::Relaxed);
        lane.reply_len.store(0, Ordering::Relaxed);
        // Sequentially consistent with `died`: either it sees the word or we see the flag.
        lane.word.store(
            wire::busy(lane.tid.load(Ordering::Relaxed)),
            Ordering::SeqCst,
        );
        futex::wake(&lane.word);
        if self.dead.load(Ordering::SeqCst) {
            return Err(self.crashed(lane));
        }
        Ok(())
    }

    /// Says where each array lies: where it is, if that is a lease of this worker, else in a frame that
    /// it is copied to, once.
    fn placed(&self, number: u32, tensors: &[OwnedTensor]) -> Result<Vec<(u32, u64)>> {
        if tensors.is_empty() {
            return Ok(Vec::new());
        }
        let leases = tensors.iter().map(|t| lease::find(&self.pool, &t.data));
        let leases: Vec<_> = leases.collect::<Result<_>>()?;
        let strangers = || tensors.iter().zip(&leases).filter(|(_, l)| l.is_none());
        let end = strangers().fold(0, |end, (t, _)| aligned(end) + t.data.len() as u64);
        let frame = match strangers().next() {
            Some(_) => Some(self.pool.frame(end)?),
            None => None,
        };
        let mut end = 0;
        let places = tensors
            .iter()
            .zip(&leases)
            .map(|(tensor, lease)| match (lease, &frame) {
                (Some((held, offset)), _) => (held.frame().number(), held.frame().at() + offset),
                (None, Some(frame)) => {
                    let at = aligned(end);
                    end = at + tensor.data.len() as u64;
                    frame.region().put(at as usize, &tensor.data);
                    (frame.number(), frame.at() + at)
                }
                (None, None) => (0, 0),
            });
        let places = places.collect();
        let mut held = self.held[number as usize].lock();
        held.extend(frame.map(Holding::Frame));
        held.extend(leases.into_iter().flatten().map(|(l, _)| Holding::Lease(l)));
        Ok(places)
    }

    /// Sleeps until the answer is there, the worker has died, or it is `until`: false.
    fn wait(
        &self,
        lane: &Lane,
        progress: &(dyn Fn(u64, u64) -> bool + Sync),
        until: Option<Instant>,
    ) -> std::result::Result<bool, Fault> {
        let mut told = 0;
        loop {
            let seen = lane.word.load(Ordering::Acquire);
            let go_on = news(lane, progress, &mut told);
            match seen {
                ANSWERED => return Ok(true),
                DIED => return Err(self.crashed(lane)),
                _ if !go_on => return Err(Fault::Cancelled),
                NOTE => self.noted(lane)?,
                _ => {
                    let in_time = futex::wait(&lane.word, seen, until);
                    if !in_time && lane.word.load(Ordering::Acquire) != ANSWERED {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// The note was read; the worker's thread went on meanwhile.
    pub(super) fn noted(&self, lane: &Lane) -> std::result::Result<(), Fault> {
        let busy = wire::busy(lane.tid.load(Ordering::Relaxed));
        let turned = lane
            .word
            .compare_exchange(NOTE, busy, Ordering::SeqCst, Ordering::Relaxed);
        match turned.is_ok() && self.dead.load(Ordering::SeqCst) {
            true => Err(self.crashed(lane)),
            false => Ok(()),
        }
    }

    /// A call of `tool` is past its deadline: its process ends.
    pub(super) fn overstayed(&self, tool: &str) -> Fault {
        self.child.kill(Reason::Deadline(tool.to_owned()));
        self.pool.end();
        Fault::Deadline {
            limit: Duration::ZERO,
            how: Interruption::Killed,
        }
    }

    fn answer(&self, number: u32, lane: &Lane) -> std::result::Result<Reply, Fault> {
        let slot = self.segment.reply(number);
        let parts: Parts<ReplyHead> = wire::read(slot, lane.reply_len.load(Ordering::Acquire))
            .map_err(|e| self.garbled(e))?;
        let value = match parts.head.fault {
            Some(_) => serde_json::Value::Null,
            None => serde_json::from_slice(&parts.body(slot)).map_err(|e| {
                self.garbled(Error::new(Code::WorkerProtocol).with_cause(e.to_string()))
            })?,
        };
        let tensors = parts.tensors(&parts.head.tensors, slot);
        let tensors = tensors.ok_or_else(|| self.garbled(Error::new(Code::WorkerProtocol)))?;
        match parts.head.fault {
            Some(fault) => Err(wire::from_wire(fault)),
            None => Ok(Reply { value, tensors }),
        }
    }

    fn garbled(&self, error: Error) -> Fault {
        self.child.kill(Reason::Protocol);
        Fault::Crashed {
            error,
            entered: true,
        }
    }

    fn release(&self, number: u32, lane: &Lane) {
        if lane.request_len.load(Ordering::Relaxed) > KEEP {
            self.segment.request(number).trim(KEEP);
        }
        self.held[number as usize].lock().clear();
        if lane.reply_len.load(Ordering::Relaxed) > KEEP {
            self.segment.reply(number).trim(KEEP);
        }
        lane.word.store(IDLE, Ordering::Release);
        let mut lanes = self.lanes.lock();
        lanes.free.push(number);
        if !lanes.stuck.is_empty() {
            lanes.stuck.retain(|s| s.number != number);
            self.end_stuck(&mut lanes);
        }
    }

    /// The kernel or the reaper wrote that the lane's thread has ended. The process usually ends
    /// with it; where it does not, it is killed: one thread short it serves nobody.
    pub(super) fn crashed(&self, lane: &Lane) -> Fault {
        let mut exit = self.child.wait(Instant::now() + DYING);
        if exit.is_none() && is_dying(self.child.pid()) {
            exit = self.child.wait(Instant::now() + KILLED);
        }
        if exit.is_none() {
            self.child.kill(Reason::Thread);
            exit = self.child.wait(Instant::now() + KILLED);
        }
        self.pool.end();
        let entered = lane.entered.load(Ordering::Relaxed) != 0;
        Fault::Crashed {
            error: self.death(exit),
            entered,
        }
    }

    fn death(&self, exit: Option<Exit>) -> Error {
        let exit = exit.or_else(|| self.child.try_reap());
        let words = self.tail.last_words();
        let death = Death {
            plugin: &self.plugin,
            pid: self.child.pid(),
            exit,
            reason: self.child.reason(),
            limits: &self.limits,
            memory: self.memory,
            starved: self.cgroup.as_ref().is_some_and(Cgroup::ran_out_of_memory),
            crash: &self.segment.header().crash,
            words,
            dump: self.tail.dump(),
        };
        death.to_error()
    }

    /// On the reaper's thread, once the process was reaped.
    fn died(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.pool.end();
        futex::wake(&self.segment.header().phase);
        for number in 0..self.segment.shape().lanes {
            let word = &self.segment.lane(number).word;
            // An answer that was given before the end is still good.
            let _ = word.try_update(Ordering::SeqCst, Ordering::SeqCst, |w| {
                (w != ANSWERED).then_some(DIED)
            });
            futex::wake(word);
        }
        self.tell_if_dead();
    }

    /// A death that no caller sees must still end the generation.
    fn tell_if_dead(&self) {
        let unseen = self.dead.load(Ordering::SeqCst)
            && self.in_flight.load(Ordering::SeqCst) == 0
            && self
                .child
                .reason()
                .is_none_or(|reason| reason.is_a_limit() || matches!(reason, Reason::Cancelled(_)));
        if unseen && !self.told.swap(true, Ordering::SeqCst) {
            self.on_death.tell(&self.death(None));
        }
    }

    /// Asks the worker to end in good order; it is killed where it does not in time.
    pub(super) fn end(&self) {
        // In a forked child the worker is the parent's.
        if self.forks != fork_epoch() {
            return;
        }
        self.told.store(true, Ordering::SeqCst);
        // The reaper may come later than the next call: leases end now.
        self.pool.end();
        if self.dead.load(Ordering::SeqCst) {
            return;
        }
        let main = {
            let mut lanes = self.lanes.lock();
            let at = lanes.free.iter().position(|n| *n == 0);
            at.map(|at| lanes.free.swap_remove(at))
        };
        if let Some(number) = main {
            let lane = self.segment.lane(number);
            lane.op.store(Op::Stop as u32, Ordering::Relaxed);
            lane.word.store(
                wire::busy(lane.tid.load(Ordering::Relaxed)),
                Ordering::SeqCst,
            );
            futex::wake(&lane.word);
        }
        self.reaper.end(Arc::clone(&self.child), GRACE);
    }
}

/// Arrays begin where any processor likes them to.
fn aligned(at: u64) -> u64 {
    at.next_multiple_of(64)
}

/// Hands the latest progress on; false when the caller wants no more of the call.
pub(super) fn news(
    lane: &Lane,
    progress: &(dyn Fn(u64, u64) -> bool + Sync),
    told: &mut u32,
) -> bool {
    let reports = lane.reports.load(Ordering::Acquire);
    if reports == *told {
        return true;
    }
    *told = reports;
    let (n, of) = (&lane.progress_n, &lane.progress_of);
    progress(n.load(Ordering::Relaxed), of.load(Ordering::Relaxed))
}
