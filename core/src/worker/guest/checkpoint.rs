//! Where the plugin's checkpoints go: memory that the host has as well.

use super::arrays::Arrays;
use super::lane::{Guest, Incoming};
use crate::call::{Checkpoints, Vault};
use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use crate::worker::wire::Segment;

/// Checkpoints of several threads come one after the other.
struct Shared {
    segment: &'static Segment,
    one: Mutex<()>,
}

impl Vault for Shared {
    fn save(&self, state: &[u8]) -> Result<()> {
        let _one = self.one.lock();
        match self.segment.save_checkpoint(state) {
            true => Ok(()),
            false => Err(Error::new(Code::CheckpointTooLarge)),
        }
    }

    fn clear(&self) {
        self.segment.forget_checkpoint();
    }

    fn last(&self) -> Option<Vec<u8>> {
        self.segment.last_checkpoint()
    }
}

/// The checkpoints of the generation that begins with this order.
pub(super) fn of(guest: &'static Guest, request: &Incoming<'static>) -> Result<Checkpoints> {
    let checkpoints = Checkpoints::new(beside(request)?.map(Into::into));
    checkpoints.keep_in(Shared {
        segment: guest.segment,
        one: Mutex::new(()),
    });
    Ok(checkpoints)
}

/// The state to take up, which lies beside the request.
pub(super) fn beside(request: &Incoming<'static>) -> Result<Option<Vec<u8>>> {
    let arrays = Arrays::of(request).ok_or_else(|| Error::new(Code::WorkerProtocol))?;
    Ok(arrays.views().next().map(|view| view.data.to_vec()))
}
