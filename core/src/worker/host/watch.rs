//! The second hold on a worker: what it and its children have in memory, and how many they are.
//!
//! `RLIMIT_DATA` refuses private memory at once, but counts neither what is mapped shared nor what a
//! child has; `RLIMIT_NPROC` is not for root and counts a whole user. So the reaper also looks, more
//! often the nearer a worker is to its limit, and seldom enough that looking stays cheap.

use super::child::{Child, Reason};
use super::memory;
use crate::worker::kin::{self, Kin};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(25);
/// The longest.
const LONGEST: Duration = Duration::from_millis(500);
/// Looking takes at most one part in so many of the reaper's time; looking exactly as well, by itself.
const SPARING: u32 = 20;
/// As fast as a few threads can fill memory, in bytes a millisecond.
const FILLING: u64 = 16 << 20;
/// What an interpreter and its libraries have resident before the plugin begins.
const HEADROOM: u64 = 64 << 20;
/// Threads of a worker that are not the plugin's, beside those that it began with and one a lane.
pub(super) const OWN_THREADS: u64 = 4;

/// The most memory that a worker may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Most {
    pub(super) mb: u64,
    /// The manifest says null.
    pub(super) by_default: bool,
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by_default {
            false => write!(f, "limits.memory_mb = {}", self.mb),
            true => write!(
                f,
                "limits.memory_mb is not set: {} MiB, half of what this machine has",
                self.mb
            ),
        }
    }
}

/// What is looked at, of one worker.
pub(super) struct Watch {
    pub(super) memory: Option<Most>,
    /// `limits.processes`, and how many threads the worker had before it knew its plugin; 0: not yet.
    pub(super) processes: Option<(u32, Arc<AtomicU64>)>,
    pub(super) lanes: u32,
    /// Whether it may have children.
    pub(super) descends: bool,
    /// The file of its slots.
    pub(super) slots: u64,
    pub(super) next: Instant,
    pub(super) latest: Exact,
}

/// What the latest exact look at a worker found, and when it took how long.
#[derive(Default)]
pub(super) struct Exact {
    /// What the cheap look had counted twice.
    twice: u64,
    took: Duration,
    ended: Option<Instant>,
}

impl Exact {
    /// Bytes that are in use, where a cheap look says `quick`, which is more than `limit`. Looks exactly
    /// where that can be afforded: seldom while what was counted twice the last time explains what is
    /// too much, and soon where it does not.
    fn settle(&mut self, quick: u64, limit: u64, look: impl FnOnce() -> u64) -> u64 {
        let likely = quick.saturating_sub(self.twice);
        let pause = if likely > limit {
            self.took
        } else {
            self.took * SPARING
        };
        if self.ended.is_some_and(|ended| ended.elapsed() < pause) {
            return likely.min(limit);
        }
        let since = Instant::now();
        let exact = look();
        self.twice = quick.saturating_sub(exact);
        self.took = since.elapsed();
        self.ended = Some(Instant::now());
        exact
    }
}

impl Watch {
    /// Whether there is anything to look at.
    pub(super) fn is_needed(&self) -> bool {
        self.memory.is_some() || self.processes.is_some() || self.descends
    }

    /// Kills a worker that is over a limit, and says when to look again. `all`: every process there is,
    /// found in the time `spent`.
    pub(super) fn look(&mut self, child: &Arc<Child>, all: &[Kin], spent: Duration) {
        let since = Instant::now();
        let mut pids = vec![child.pid()];
        if self.descends {
            let kin = kin::of(all, child.pid());
            pids.extend(kin.iter().map(|k| k.pid));
            child.remember(kin);
        }
        let exactly = self.latest.ended;
        let left = self.look_at(child, &pids);
        let mut spent = spent + since.elapsed();
        if self.latest.ended != exactly {
            spent = spent.saturating_sub(self.latest.took);
        }
        let wait = Duration::from_millis(left / FILLING).clamp(SHORTEST, LONGEST);
        self.next = Instant::now() + wait.max(spent * SPARING);
    }

    /// Bytes that are left until the limit.
    fn look_at(&mut self, child: &Arc<Child>, pids: &[u32]) -> u64 {
        if let Some((most, _)) = self
            .processes
            .as_ref()
            .filter(|p| self.are_too_many(p, pids))
        {
            child.kill(Reason::Processes(*most));
        }
        let Some(most) = self.memory else {
            return self.processes.as_ref().map_or(u64::MAX, |_| 0);
        };
        let limit = (most.mb << 20) + HEADROOM;
        let mut used = memory::quick(pids, self.slots);
        if used > limit {
            let exact = || memory::exact(pids, self.slots, limit);
            used = self.latest.settle(used, limit, exact);
        }
        if used > limit {
            child.kill(Reason::Memory(most));
        }
        match self.processes {
            // Children and threads come faster than memory fills.
            Some(_) => 0,
            None => limit.saturating_sub(used),
        }
    }

    fn are_too_many(&self, (most, before): &(u32, Arc<AtomicU64>), pids: &[u32]) -> bool {
        let own = before.load(Ordering::Relaxed);
        let allowed = u64::from(*most) + u64::from(self.lanes) + own + OWN_THREADS;
        own > 0 && pids.iter().map(|pid| memory::threads(*pid)).sum::<u64>() > allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_says_where_it_comes_from() {
        let most = |by_default| Most { mb: 7, by_default }.to_string();
        assert_eq!(most(false), "limits.memory_mb = 7");
        assert!(most(true).contains("half of what this machine has"));
    }

    #[test]
    fn what_was_counted_twice_is_looked_at_seldom_and_what_was_not_soon() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let never = || -> u64 { panic!("looked exactly") };
        let ago = |minutes_| Exact {
            twice: 50,
            took: minutes(1),
            ended: Instant::now().checked_sub(minutes(minutes_)),
        };
        assert_eq!(Exact::default().settle(100, 80, || 60), 60, "the first");
        assert_eq!(ago(0).settle(100, 80, never), 50);
        assert_eq!(ago(0).settle(200, 80, never), 80, "too soon to tell");
        assert_eq!(ago(2).settle(100, 80, never), 50, "too soon to repeat");
        let mut latest = ago(2);
        assert_eq!(latest.settle(200, 80, || 90), 90, "likely to be too much");
        assert_eq!(latest.twice, 110);
    }
}
