//! Runs the calls of one generation in its worker process.

use super::checkpoint;
use super::lease::Lease;
use super::link::{Link, Request};
use super::running::Running;
use crate::call::{Call, Executor, Fault, Reply, Underway};
use crate::error::Result;
use crate::worker::wire::Op;
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// Runs the calls of one generation in its worker process. Blocks the caller's thread, at most
/// until the call's deadline.
pub struct WorkerExecutor {
    pub(super) link: Arc<Link>,
    pub(super) enforcement: Value,
}

fn request<'a>(call: &'a Call<'_>) -> Request<'a> {
    Request {
        op: Op::Call,
        tool: &call.tool.spec.id,
        call_id: call.call_id,
        args: call.args,
        deadline: call.deadline,
        progress: call.progress,
    }
}

impl WorkerExecutor {
    /// Memory of the worker that is filled in place.
    ///
    /// # Errors
    /// As [`crate::Runtime::lease`].
    pub(crate) fn lease(&self, bytes: usize) -> Result<Lease> {
        Lease::new(&self.link.pool, &self.link.plugin, bytes)
    }
}

impl Executor for WorkerExecutor {
    fn call(&self, call: &Call<'_>) -> std::result::Result<Reply, Fault> {
        self.link.call(&request(call))
    }

    fn can_begin(&self) -> bool {
        crate::worker::can_wait_for_any()
    }

    fn begin(&self, call: &Call<'_>) -> Option<std::result::Result<Box<dyn Underway>, Fault>> {
        let begun = self.link.begin(&request(call));
        let running = |number| Running::new(&self.link, number, &call.tool.spec.id);
        Some(begun.map(|number| -> Box<dyn Underway> { Box::new(running(number)) }))
    }

    fn restore_late(&self, state: &[u8], until: Instant) -> Result<()> {
        checkpoint::hand_over(&self.link, state, until)
    }

    /// Calls under way are stale from now on; the process may take a moment to end them.
    fn stop(&self) {
        self.link.end();
    }

    fn wait_ended(&self, until: Instant) {
        if self.link.child.wait(until).is_some() {
            // Its owners may let go of it a moment later, when the process has ended.
            self.link.scratch.remove();
        }
    }

    fn pid(&self) -> Option<u32> {
        Some(self.link.child.pid())
    }

    fn is_alive(&self) -> bool {
        self.link.child.is_alive()
    }

    fn enforcement(&self) -> Option<&Value> {
        Some(&self.enforcement)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for WorkerExecutor {
    fn drop(&mut self) {
        self.link.end();
    }
}
