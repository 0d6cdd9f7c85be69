//! What a plugin leaves for its next generation.
//!
//! A checkpoint is bytes that the plugin understands and nobody else; the last one counts. In
//! process it is kept here. A worker writes it into memory that its host has mapped as well, so it
//! is there however the worker died, and saving it wakes and waits for nobody.

use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use std::sync::{Arc, OnceLock};

/// The largest checkpoint, in bytes.
pub const CHECKPOINT_LIMIT: usize = 16 << 20;

/// Keeps a generation's checkpoints somewhere else than in this process's own memory.
pub trait Vault: Send + Sync + 'static {
    /// Replaces the last one. `state` is not larger than [`CHECKPOINT_LIMIT`].
    ///
    /// # Errors
    /// Why it was not kept; the one before still is.
    fn save(&self, state: &[u8]) -> Result<()>;

    /// Forgets what was saved so far.
    fn clear(&self) {}

    /// The last one that was saved whole.
    fn last(&self) -> Option<Vec<u8>>;
}

/// The checkpoints of one generation.
#[derive(Clone, Default)]
pub struct Checkpoints(Arc<Kept>);

#[derive(Default)]
struct Kept {
    before: Option<Arc<[u8]>>,
    here: Mutex<Option<Arc<[u8]>>>,
    vault: OnceLock<Box<dyn Vault>>,
}

impl Checkpoints {
    /// Those of a generation to which the one before left `before`.
    #[must_use]
    pub fn new(before: Option<Arc<[u8]>>) -> Self {
        Self(Arc::new(Kept {
            before,
            ..Kept::default()
        }))
    }

    /// What the generation before left.
    #[must_use]
    pub fn before(&self) -> Option<&[u8]> {
        self.0.before.as_deref()
    }

    /// Keeps them in `vault` from now on; only the first is heard.
    pub fn keep_in(&self, vault: impl Vault) {
        let _ = self.0.vault.set(Box::new(vault));
    }

    /// Replaces the last one.
    ///
    /// # Errors
    /// [`Code::CheckpointTooLarge`]; the one before is kept then.
    pub fn save(&self, state: &[u8]) -> Result<()> {
        if state.len() > CHECKPOINT_LIMIT {
            let mib = |n: usize| n as f64 / f64::from(1 << 20);
            return Err(Error::new(Code::CheckpointTooLarge).with_message(format!(
                "a checkpoint of {:.1} MiB is larger than the {:.1} MiB that are allowed",
                mib(state.len()),
                mib(CHECKPOINT_LIMIT)
            )));
        }
        match self.0.vault.get() {
            Some(vault) => vault.save(state),
            None => {
                *self.0.here.lock() = Some(state.into());
                Ok(())
            }
        }
    }

    /// Forgets what was saved so far: a constructor's first state must not outlive the one that is
    /// taken up after it.
    pub fn clear(&self) {
        match self.0.vault.get() {
            Some(vault) => vault.clear(),
            None => *self.0.here.lock() = None,
        }
    }

    /// The last one of this generation.
    #[must_use]
    pub fn last(&self) -> Option<Arc<[u8]>> {
        match self.0.vault.get() {
            Some(vault) => vault.last().map(Arc::from),
            None => self.0.here.lock().clone(),
        }
    }
}

/// The last checkpoint of a plugin, over its generations.
#[derive(Default)]
pub(crate) struct LastCheckpoint {
    state: Option<Arc<[u8]>>,
    /// Loads that were given it and came to nothing, one after the other.
    failed: u32,
}

/// After so many it is given up: a state that the plugin cannot take must not keep it down.
const TRIES: u32 = 2;

impl LastCheckpoint {
    /// What a generation left; one that left nothing leaves what it was given.
    pub(crate) fn replace(&mut self, state: Option<Arc<[u8]>>) {
        if state.is_some() {
            *self = Self { state, failed: 0 };
        }
    }

    pub(crate) fn state(&self) -> Option<Arc<[u8]>> {
        self.state.clone()
    }

    /// A load that was given it went well or did not; true when it is given up for that.
    pub(crate) fn loaded(&mut self, well: bool) -> bool {
        self.failed = if well { 0 } else { self.failed + 1 };
        let give_up = self.state.is_some() && self.failed >= TRIES;
        if give_up {
            *self = Self::default();
        }
        give_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts_and_a_larger_one_than_allowed_changes_nothing() {
        let kept = Checkpoints::default();
        assert!(kept.last().is_none());
        kept.save(b"one").unwrap();
        let error = kept.save(&vec![0; CHECKPOINT_LIMIT + 1]).unwrap_err();
        assert_eq!(error.code(), Code::CheckpointTooLarge);
        assert_eq!(kept.last().as_deref(), Some(b"one".as_slice()));
    }

    #[test]
    fn a_state_that_fails_twice_is_given_up() {
        let mut last = LastCheckpoint::default();
        last.replace(Some(b"state".as_slice().into()));
        last.replace(None);
        assert!(!last.loaded(false) && last.state().is_some());
        assert!(!last.loaded(true));
        assert!(!last.loaded(false));
        assert!(last.loaded(false), "twice in a row");
        assert!(last.state().is_none());
        assert!(!last.loaded(false), "there is nothing left to give up");
    }
}
