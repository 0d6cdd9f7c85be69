//! A worker's checkpoints as its host sees them.

use super::link::{Link, Request};
use crate::call::{Args, Checkpoints, Fault, OwnedTensor, Vault};
use crate::error::{Code, Error, Result};
use crate::metrics;
use crate::worker::wire::Op;
use plugward_abi::DType;
use std::sync::Arc;
use std::time::Instant;

/// The memory that is shared with one worker; it outlives the worker.
struct Shared(Arc<Link>);

impl Vault for Shared {
    fn save(&self, _: &[u8]) -> Result<()> {
        Err(Error::new(Code::RuntimeInternal)
            .with_message("only the worker writes its checkpoints"))
    }

    fn last(&self) -> Option<Vec<u8>> {
        self.0.segment.last_checkpoint()
    }
}

/// From now on the generation's last checkpoint is the one in the worker's memory.
pub(super) fn keep(link: &Arc<Link>, checkpoints: &Checkpoints) {
    checkpoints.keep_in(Shared(Arc::clone(link)));
}

/// The load order with the checkpoint that the worker is to take up.
pub(super) fn beside(order: Args, checkpoints: &Checkpoints) -> Args {
    match checkpoints.before() {
        Some(state) => order.with_tensors(vec![bytes(state)]),
        None => order,
    }
}

/// Lets a worker that has loaded its plugin already take up `state`.
pub(super) fn hand_over(link: &Link, state: &[u8], until: Instant) -> Result<()> {
    let answer = link.call(&Request {
        op: Op::Restore,
        tool: "",
        call_id: metrics::call_id(),
        args: &Args::default().with_tensors(vec![bytes(state)]),
        deadline: Some(until),
        progress: &|_, _| true,
    });
    let error = |fault: Fault| fault.to_error(&link.plugin, "restore");
    answer.map(|_| ()).map_err(error)
}

fn bytes(state: &[u8]) -> OwnedTensor {
    OwnedTensor {
        dtype: DType::U8,
        shape: vec![state.len() as i64],
        data: state.to_vec().into(),
    }
}
