//! A worker's end: told by the kernel, made by the host, or asked for.

use super::cgroup::Cgroup;
use super::child::{Exit, Reason};
use super::death::Death;
use super::dying::{fatal_signal, is_dying};
use super::link::Link;
use crate::call::{Fault, Interruption};
use crate::error::Error;
use crate::platform::fork_epoch;
use crate::worker::wire::{self, ANSWERED, DIED, Lane, Op, futex};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a worker that is asked to end may take.
const GRACE: Duration = Duration::from_secs(1);
/// How long the end of a process is waited for once its thread has ended.
const DYING: Duration = Duration::from_millis(100);
/// How long after it was killed as well.
const KILLED: Duration = Duration::from_secs(2);

impl Link {
    /// A call of `tool` is past its deadline: its process ends.
    pub(super) fn overstayed(&self, tool: &str) -> Fault {
        self.child.kill(Reason::Deadline(tool.to_owned()));
        self.pool.end();
        Fault::Deadline {
            limit: Duration::ZERO,
            how: Interruption::Killed,
        }
    }

    /// How the process of a lane whose thread has ended does end, as soon as that is known.
    pub(super) fn end_of(&self, number: u32) -> Option<Exit> {
        self.child.try_reap().or_else(|| {
            let signal = fatal_signal(self.child.pid(), self.sides[number as usize].tid())?;
            self.child.note_ending();
            Some(Exit::by_signal(signal))
        })
    }

    /// The kernel or the reaper wrote that the lane's thread has ended. The process usually ends
    /// with it; where it does not, it is killed: one thread short it serves nobody.
    pub(super) fn crashed(&self, number: u32, lane: &Lane) -> Fault {
        let known = self.end_of(number);
        let mut exit = known.or_else(|| self.child.wait(Instant::now() + DYING));
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

    pub(super) fn death(&self, exit: Option<Exit>) -> Error {
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
    pub(super) fn died(&self) {
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
    pub(super) fn tell_if_dead(&self) {
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
                wire::busy(self.sides[number as usize].tid()),
                Ordering::SeqCst,
            );
            futex::wake(&lane.word);
        }
        self.reaper.end(Arc::clone(&self.child), GRACE);
    }
}
