//! Memory of a worker that a host fills in place.

use super::Runtime;
use crate::error::{Code, Error, Result};
use crate::registry::unknown;
use crate::worker::{Lease, WorkerExecutor};

impl Runtime {
    /// Memory of `plugin`'s worker process: an argument that lies in it is not copied. It ends with
    /// the worker, with [`Lease::end`], or when the last clone is dropped.
    ///
    /// # Errors
    /// Unknown names and the plugin's state; [`Code::WorkerLease`] where it has no worker,
    /// [`Code::WorkerPayload`] for more than one call may bring, [`Code::WorkerKept`] when leases and
    /// what the plugin keeps have used its memory up.
    pub fn lease(&self, plugin: &str, bytes: usize) -> Result<Lease> {
        self.usable()?;
        let snapshot = self.0.registry.snapshot();
        let found = snapshot
            .get(plugin)
            .ok_or_else(|| unknown(plugin, &snapshot))?;
        let status = found.word.load();
        let generation = found.generation.load_full();
        let Some(generation) = generation.filter(|_| status.state.is_available()) else {
            return Err(found.refusal(status));
        };
        let executor = generation.executor.as_any();
        match executor.downcast_ref::<WorkerExecutor>() {
            Some(executor) => executor.lease(bytes),
            None => Err(Error::new(Code::WorkerLease).with_message(format!(
                "plugin \"{plugin}\" has no worker process: pass the array itself"
            ))),
        }
    }
}
