//! One thread of the worker and the calls that come on its lane.

use super::plugin::Plugin;
use crate::call::{Fault, Loader, Reply};
use crate::error::{Code, Error, Result};
use crate::worker::wire::{
    self, ANSWERED, Head, Lane, NOTE, Op, Parts, Region, ReplyHead, Segment, TensorHead, futex,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The worker process: its memory and, once loaded, its plugin.
pub(super) struct Guest {
    pub(super) segment: &'static Segment,
    pub(super) loader: Arc<dyn Loader>,
    plugin: OnceLock<Plugin>,
    /// The call that each lane runs; 0 for none.
    calls: Vec<AtomicU64>,
}

/// What one request is made of, decoded.
pub(super) struct Incoming<'a> {
    pub(super) slot: Region<'a>,
    pub(super) parts: Parts<Head>,
    pub(super) control: Control<'a>,
}

/// A call's way to hear and tell while it runs.
#[derive(Clone, Copy)]
pub(super) struct Control<'a> {
    lane: &'a Lane,
    pub(super) deadline: Option<Instant>,
    tid: u32,
}

impl Guest {
    pub(super) fn new(segment: &'static Segment, loader: Arc<dyn Loader>) -> &'static Self {
        let lanes = segment.shape().lanes;
        Box::leak(Box::new(Self {
            calls: (0..lanes).map(|_| AtomicU64::new(0)).collect(),
            segment,
            loader,
            plugin: OnceLock::new(),
        }))
    }
}

fn tid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get() as u32
}

/// Makes the calling thread the lane's own: from now on the kernel reports its end.
pub(super) fn enlist(guest: &'static Guest, number: u32) -> Result<()> {
    let lane: &'static Lane = guest.segment.lane(number);
    futex::entrust(&lane.word)
        .map_err(|e| Error::new(Code::WorkerStart).with_message(format!("set_robust_list: {e}")))?;
    lane.tid.store(tid(), Ordering::Release);
    Ok(())
}

/// Serves a lane until the host says stop. Returns the exit status.
pub(super) fn run(guest: &'static Guest, number: u32) -> i32 {
    let (lane, tid) = (guest.segment.lane(number), tid());
    loop {
        let seen = lane.word.load(Ordering::Acquire);
        if seen != wire::busy(tid) {
            futex::wait(&lane.word, seen, None);
            continue;
        }
        let op = Op::from_number(lane.op.load(Ordering::Relaxed));
        if op == Some(Op::Stop) {
            if let Some(plugin) = guest.plugin.get() {
                plugin.stop();
            }
            return 0;
        }
        let request = incoming(guest, number, tid);
        let call_id = request.as_ref().map_or(0, |r| r.parts.head.call_id);
        let answer = request.map_err(Fault::Error).and_then(|request| match op {
            Some(Op::Load) if number == 0 => load(guest, &request),
            Some(Op::Restore) => restore(guest, &request),
            Some(Op::Call) => call(guest, number, &request),
            _ => Err(Fault::Error(Error::new(Code::WorkerProtocol))),
        });
        reply(guest, lane, call_id, answer);
    }
}

fn incoming(guest: &'static Guest, number: u32, tid: u32) -> Result<Incoming<'static>> {
    let lane = guest.segment.lane(number);
    let slot = guest.segment.request(number);
    let parts: Parts<Head> = wire::read(slot, lane.request_len.load(Ordering::Relaxed))?;
    let left = parts.head.left_ns.map(Duration::from_nanos);
    let deadline = left.and_then(|left| Instant::now().checked_add(left));
    Ok(Incoming {
        slot,
        parts,
        control: Control {
            lane,
            deadline,
            tid,
        },
    })
}

fn load(guest: &'static Guest, request: &Incoming<'static>) -> std::result::Result<Reply, Fault> {
    let caught = catch_unwind(AssertUnwindSafe(|| Plugin::load(guest, request)));
    let (plugin, report) = caught
        .unwrap_or_else(|panic| {
            let text = crate::runtime::panic_text(&*panic);
            Err(Error::new(Code::LoadConstruct).with_message(format!("it panicked: {text}")))
        })
        .map_err(Fault::Error)?;
    if guest.plugin.set(plugin).is_err() {
        return Err(Fault::Error(Error::new(Code::WorkerProtocol)));
    }
    staff(guest).map_err(Fault::Error)?;
    listen(guest);
    Ok(report.into())
}

fn restore(
    guest: &'static Guest,
    request: &Incoming<'static>,
) -> std::result::Result<Reply, Fault> {
    let plugin = guest.plugin.get();
    let plugin = plugin.ok_or_else(|| Fault::Error(Error::new(Code::CallNotReady)))?;
    catch_unwind(AssertUnwindSafe(|| plugin.restore(request))).unwrap_or_else(|panic| {
        let text = crate::runtime::panic_text(&*panic);
        Err(Fault::Panicked { message: text })
    })
}

/// Starts the threads of the other lanes.
fn staff(guest: &'static Guest) -> Result<()> {
    let (told, ready) = std::sync::mpsc::channel();
    let lanes = guest.segment.shape().lanes;
    for number in 1..lanes {
        let told = told.clone();
        let host = guest.loader.thread_host();
        let mut body = move || {
            let enlisted = enlist(guest, number);
            let go_on = enlisted.is_ok();
            let _ = told.send(enlisted);
            if go_on {
                let _ = run(guest, number);
            }
        };
        std::thread::Builder::new()
            .name(format!("pw-lane-{number}"))
            .spawn(move || match host {
                Some(host) => host.run(&mut body),
                None => body(),
            })
            .map_err(|e| Error::new(Code::RuntimeThread).with_cause(e.to_string()))?;
    }
    drop(told);
    (1..lanes).try_for_each(|_| {
        ready
            .recv()
            .unwrap_or_else(|_| Err(Error::new(Code::RuntimeThread)))
    })
}

/// Starts the thread that tells the plugin of cancelled calls. Where there is none to be had, such
/// calls are ended by force.
fn listen(guest: &'static Guest) {
    let hears = guest.plugin.get().is_some_and(Plugin::hears_cancel);
    if hears {
        let name = "pw-cancel".to_owned();
        let _ = std::thread::Builder::new().name(name).spawn(move || {
            let cancels = &guest.segment.header().cancels;
            let mut seen = 0;
            loop {
                futex::wait(cancels, seen, None);
                seen = cancels.load(Ordering::SeqCst);
                tell_cancelled(guest);
            }
        });
    }
}

fn tell_cancelled(guest: &'static Guest) {
    for (number, call) in (0..).zip(&guest.calls) {
        // The call first: a flag that is read after it is not that of a call before.
        let call_id = call.load(Ordering::SeqCst);
        let cancelled = guest.segment.lane(number).cancel.load(Ordering::SeqCst) != 0;
        if let Some(plugin) = guest.plugin.get().filter(|_| call_id != 0 && cancelled) {
            plugin.cancel(call_id);
        }
    }
}

fn call(
    guest: &'static Guest,
    number: u32,
    request: &Incoming<'static>,
) -> std::result::Result<Reply, Fault> {
    let plugin = guest
        .plugin
        .get()
        .ok_or_else(|| Fault::Error(Error::new(Code::CallNotReady)))?;
    request.control.lane.entered.store(1, Ordering::Release);
    let running = &guest.calls[number as usize];
    running.store(request.parts.head.call_id, Ordering::SeqCst);
    let answer = catch_unwind(AssertUnwindSafe(|| plugin.call(request))).unwrap_or_else(|panic| {
        Err(Fault::Panicked {
            message: crate::runtime::panic_text(&*panic),
        })
    });
    running.store(0, Ordering::SeqCst);
    match answer {
        // Whatever it let escape on being told to stop.
        Err(Fault::Raised { .. } | Fault::Exited { .. } | Fault::Denied { .. })
            if request.control.is_cancelled() =>
        {
            Err(Fault::Cancelled)
        }
        answer => answer,
    }
}

impl Control<'_> {
    /// Whether the caller has given up.
    pub(super) fn is_cancelled(&self) -> bool {
        self.lane.cancel.load(Ordering::SeqCst) != 0
    }

    /// Whether the caller has given up or the deadline has passed.
    pub(super) fn should_stop(&self) -> bool {
        self.is_cancelled() || self.deadline.is_some_and(|d| Instant::now() >= d)
    }

    /// Tells the host, without waiting for it; false when the call should end.
    pub(super) fn progress(&self, n: u64, of: u64) -> bool {
        self.lane.progress_n.store(n, Ordering::Relaxed);
        self.lane.progress_of.store(of, Ordering::Relaxed);
        self.lane.reports.fetch_add(1, Ordering::Release);
        let busy = wire::busy(self.tid);
        let word = &self.lane.word;
        if word
            .compare_exchange(busy, NOTE, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
        {
            futex::wake(word);
        }
        !self.should_stop()
    }
}

/// Writes the answer and wakes the host.
fn reply(
    guest: &'static Guest,
    lane: &Lane,
    call_id: u64,
    answer: std::result::Result<Reply, Fault>,
) {
    let at = lane.reply_at.load(Ordering::Relaxed);
    let slot = guest
        .segment
        .region(at, lane.reply_cap.load(Ordering::Relaxed));
    let len = written(slot, call_id, answer)
        .or_else(|fault| written(slot, call_id, Err(fault)))
        .unwrap_or(0);
    lane.reply_len.store(len, Ordering::Release);
    lane.word.store(ANSWERED, Ordering::SeqCst);
    futex::wake(&lane.word);
}

/// The longest traceback that crosses.
const TRACEBACK: usize = 64 << 10;

fn written(
    slot: Region<'_>,
    call_id: u64,
    answer: std::result::Result<Reply, Fault>,
) -> std::result::Result<u64, Fault> {
    let none = || std::iter::empty::<&[u8]>();
    let done = match answer {
        Ok(reply) => {
            let tensors = reply.tensors.iter().map(TensorHead::of).collect();
            let body = serde_json::to_vec(&reply.value).map_err(|e| {
                Fault::Error(Error::new(Code::CallUnserializable).with_message(e.to_string()))
            })?;
            let head = ReplyHead {
                call_id,
                fault: None,
                tensors,
            };
            wire::write(slot, &head, &body, reply.tensors.iter().map(|t| &*t.data))
        }
        Err(fault) => {
            let fault = Some(wire::to_wire(shortened(fault)));
            wire::write(
                slot,
                &ReplyHead {
                    call_id,
                    fault,
                    tensors: Vec::new(),
                },
                b"",
                none(),
            )
        }
    };
    done.map_err(|wire::TooLarge(needed)| {
        let error = wire::too_large(Code::WorkerResult, "a result", needed, slot.cap());
        Fault::Error(error)
    })
}

/// Bounds what a plugin may make an error say.
fn shortened(fault: Fault) -> Fault {
    let text = crate::error::bounded;
    let trace = |t: Option<String>| {
        t.map(|t| match t.char_indices().nth_back(TRACEBACK) {
            Some((at, _)) => format!("...{}", &t[at..]),
            None => t,
        })
    };
    match fault {
        Fault::Raised {
            kind,
            message,
            traceback,
        } => Fault::Raised {
            kind: kind.chars().take(256).collect(),
            message: text(message),
            traceback: trace(traceback),
        },
        Fault::Denied { error } => Fault::Denied {
            error: match trace(error.traceback().map(str::to_owned)) {
                Some(text) => error.with_traceback(text),
                None => error,
            },
        },
        Fault::Exited { status, traceback } => Fault::Exited {
            status: text(status),
            traceback: trace(traceback),
        },
        Fault::RefusedInput { message } => Fault::RefusedInput {
            message: text(message),
        },
        Fault::Panicked { message } => Fault::Panicked {
            message: text(message),
        },
        Fault::Memory { message } => Fault::Memory {
            message: text(message),
        },
        other => other,
    }
}
