//! A living worker and the lanes to it.

use super::cancel::Lanes;
use super::cgroup::Cgroup;
use super::child::{Child, Reason};
use super::lease;
use super::memory;
use super::pool::Pool;
use super::reaper::Reaper;
use super::scratch::Scratch;
use super::side::{Holding, Side};
use super::tail::Tail;
use super::watch::{Exact, Most, Watch};
use crate::call::{Args, DeathNotice, Fault, OwnedTensor, Reply};
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
use std::time::Instant;

/// A living worker and the lanes to it.
pub(super) struct Link {
    pub(super) plugin: String,
    pub(super) child: Arc<Child>,
    pub(super) tail: Arc<Tail>,
    pub(super) limits: Limits,
    pub(super) memory: Option<Most>,
    /// Threads that it had before it knew its plugin.
    threads: Arc<AtomicU64>,
    pub(super) reaper: Arc<Reaper>,
    pub(super) segment: Arc<Segment>,
    pub(super) pool: Arc<Pool>,
    pub(super) lanes: Mutex<Lanes>,
    pub(super) sides: Vec<Side>,
    pub(super) in_flight: AtomicU32,
    pub(super) dead: AtomicBool,
    pub(super) told: AtomicBool,
    pub(super) on_death: DeathNotice,
    pub(super) forks: u32,
    pub(super) scratch: Scratch,
    pub(super) cgroup: Option<Cgroup>,
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
            sides: (0..segment.shape().lanes)
                .map(|_| Side::default())
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
            latest: Exact::default(),
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
                self.note_threads();
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
        self.note_threads();
        self.lanes.lock().free = (0..self.segment.shape().lanes).rev().collect();
    }

    /// Remembers which thread of the worker serves which lane.
    fn note_threads(&self) {
        for (number, side) in (0..).zip(&self.sides) {
            side.set_tid(self.segment.lane(number).tid.load(Ordering::Acquire));
        }
    }

    /// Makes one call and waits for its answer.
    pub(super) fn call(&self, request: &Request<'_>) -> std::result::Result<Reply, Fault> {
        let number = self.begin(request)?;
        let lane = self.segment.lane(number);
        let answer = match self.wait(number, lane, request.progress, request.deadline) {
            Ok(true) => self.answered(number, lane),
            Ok(false) => Err(self.overstayed(request.tool)),
            Err(Fault::Cancelled) => Err(self.cancelled(number, lane, request)),
            Err(fault) => Err(fault),
        };
        self.ended(answer)
    }

    /// Writes a call into a free lane and wakes the worker. [`Link::ended`] must follow.
    pub(super) fn begin(&self, request: &Request<'_>) -> std::result::Result<u32, Fault> {
        let number = self.take_lane().map_err(Fault::NotStarted)?;
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        match self.submit(number, self.segment.lane(number), request) {
            Ok(()) => Ok(number),
            Err(fault) => {
                self.sides[number as usize].held.lock().clear();
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
        let side = &self.sides[number as usize];
        side.ask(request.call_id);
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
        lane.word.store(wire::busy(side.tid()), Ordering::SeqCst);
        futex::wake(&lane.word);
        if self.dead.load(Ordering::SeqCst) {
            return Err(self.crashed(number, lane));
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
        let mut held = self.sides[number as usize].held.lock();
        held.extend(frame.map(Holding::Frame));
        held.extend(leases.into_iter().flatten().map(|(l, _)| Holding::Lease(l)));
        Ok(places)
    }

    /// Sleeps until the answer is there, the worker has died, or it is `until`: false.
    pub(super) fn wait(
        &self,
        number: u32,
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
                DIED => return Err(self.crashed(number, lane)),
                _ if !go_on => return Err(Fault::Cancelled),
                NOTE => self.noted(number, lane)?,
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
    pub(super) fn noted(&self, number: u32, lane: &Lane) -> std::result::Result<(), Fault> {
        let busy = wire::busy(self.sides[number as usize].tid());
        let turned = lane
            .word
            .compare_exchange(NOTE, busy, Ordering::SeqCst, Ordering::Relaxed);
        match turned.is_ok() && self.dead.load(Ordering::SeqCst) {
            true => Err(self.crashed(number, lane)),
            false => Ok(()),
        }
    }

    fn answer(&self, number: u32, lane: &Lane) -> std::result::Result<Reply, Fault> {
        let slot = self.segment.reply(number);
        let parts: Parts<ReplyHead> = wire::read(slot, lane.reply_len.load(Ordering::Acquire))
            .map_err(|e| self.garbled(e))?;
        if !self.sides[number as usize].asked(parts.head.call_id) {
            let error = Error::new(Code::WorkerProtocol);
            return Err(
                self.garbled(error.with_message("an answer is not to the call that was made"))
            );
        }
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
        self.sides[number as usize].held.lock().clear();
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
