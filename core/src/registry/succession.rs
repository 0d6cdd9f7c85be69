//! From one generation of a plugin to the next: by a restart, by a hot swap, after a stop.

use super::plugin::{Note, Source};
use super::{Generation, Plugin};
use crate::check::Finding;
use crate::error::{Code, Error, Result};
use crate::lifecycle::Status;
use crate::log::Level;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Plugin {
    /// Begins the next generation: calls in flight become stale, the old executor is let go.
    pub(crate) fn next_generation(&self) -> Status {
        self.next_generation_after().0
    }

    /// The same, with what was let go: its worker may still be on its way out.
    pub(crate) fn next_generation_after(&self) -> (Status, Option<Arc<Generation>>) {
        let lock = self.control.lock();
        let status = self.word.restart();
        self.note.store(Arc::new(Note::empty(status.generation)));
        let old = self.generation.swap(None);
        if self.removed.load(Ordering::Acquire) {
            self.between.store(None);
        }
        drop(lock);
        self.gate.all_look();
        if let Some(old) = &old {
            self.retire(old);
        }
        (status, old)
    }

    /// Makes `next`, which was built beside it, the present generation in one step. The calls of
    /// the old one are left to end; whoever waits for a turn takes it in the new one.
    ///
    /// # Errors
    /// [`Code::LifecycleStale`] where somebody else began another generation meanwhile.
    pub(crate) fn hand_over(
        &self,
        next: Arc<Generation>,
        source: Arc<Source>,
        findings: Arc<[Finding]>,
    ) -> Result<Option<Arc<Generation>>> {
        let lock = self.control.lock();
        let old = self.generation.load_full();
        if let Some(old) = &old {
            old.drain.open();
        }
        let number = next.number;
        let removed = self.removed.load(Ordering::Acquire);
        let swapped = match removed {
            true => None,
            false => self.word.hand_over(number - 1).ok(),
        };
        let Some(before) = swapped else {
            if let Some(old) = &old {
                old.drain.close(Instant::now());
            }
            return Err(Error::new(Code::LifecycleStale).with_message(format!(
                "{} was restarted, unloaded or closed while its new version was built",
                self.name
            )));
        };
        self.generation.store(Some(next));
        self.between.store(None);
        self.source.store(source);
        self.note.store(Arc::new(Note {
            findings,
            ..Note::empty(number)
        }));
        if let Some(old) = &old {
            self.checkpoint.lock().replace(old.checkpoints.last());
            old.drain.owe(before.in_flight);
        }
        drop(lock);
        self.gate.all_look();
        Ok(old)
    }

    /// The present generation and the word, of one moment.
    pub(crate) fn present(&self) -> (Status, Option<Arc<Generation>>) {
        let _lock = self.control.lock();
        (self.word.load(), self.generation.load_full())
    }

    /// Lets go of a generation that is no longer the present one.
    pub(crate) fn retire(&self, old: &Generation) {
        self.checkpoint.lock().replace(old.checkpoints.last());
        self.end_of(old);
    }

    /// The same after a hot swap: what it kept since then is not its successor's.
    pub(crate) fn end_of(&self, old: &Generation) {
        if let Some(pool) = &old.pool {
            pool.close();
        }
        let stopped = std::panic::AssertUnwindSafe(|| old.executor.stop());
        let _ = std::panic::catch_unwind(stopped);
        if let Some(pool) = &old.pool {
            let counter = Arc::downgrade(pool.abandoned_counter());
            self.abandoned_before.lock().push(counter);
        }
    }

    /// Takes the present generation out after a stop, once its calls have ended or `until` has
    /// passed. Returns it, and how many calls were still under way.
    pub(crate) fn take_out(&self, until: Instant) -> (Option<Arc<Generation>>, u32) {
        let idle = || self.word.load().in_flight == 0;
        let _ = self.gate.wait(u32::MAX, Some(until), idle);
        let old = self.generation.swap(None);
        if let Some(old) = &old {
            self.retire(old);
        }
        (old, self.word.load().in_flight)
    }

    /// What its next generation is to take up.
    pub(crate) fn last_checkpoint(&self) -> Option<Arc<[u8]>> {
        let present = self
            .generation
            .load_full()
            .and_then(|g| g.checkpoints.last());
        let mut last = self.checkpoint.lock();
        last.replace(present);
        last.state()
    }

    /// A generation that was given it came up, or did not.
    pub(crate) fn checkpoint_taken(&self, well: bool) {
        if self.checkpoint.lock().loaded(well) {
            let message = "its last checkpoint is given up: two loads failed with it";
            self.say(Level::Warn, message.into(), None);
        }
    }
}
