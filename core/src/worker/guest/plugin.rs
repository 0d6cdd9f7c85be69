//! The plugin inside a worker, and its calls.

use super::arrays::Arrays;
use super::lane::{Guest, Incoming};
use super::{checkpoint, confine};
use super::{output, parent};
use crate::call::{Args, BuildContext, Built, Call, DeathNotice, Executor, Fault, Reply, Reporter};
use crate::error::{Code, Error, Result};
use crate::log::Logger;
use crate::manifest::ToolSpec;
use crate::registry::Tool;
use crate::worker::denial;
use crate::worker::order::{Loaded, Order};
use parking_lot::RwLock;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The plugin inside a worker.
pub(super) struct Plugin {
    name: String,
    /// Empty once the host said stop.
    executor: RwLock<Option<Arc<dyn Executor>>>,
    tools: HashMap<String, Tool>,
}

impl Plugin {
    /// Confines the process, then imports, constructs and validates.
    pub(super) fn load(
        guest: &'static Guest,
        request: &Incoming<'static>,
    ) -> Result<(Self, Value)> {
        let garbled = |e: &dyn std::fmt::Display| {
            Error::new(Code::WorkerProtocol).with_message(format!("the load order: {e}"))
        };
        let body = request.parts.body(request.slot);
        let mut order = Order::read(&body).map_err(|e| garbled(&e))?;
        order.code = guest.loader.code();
        let manifest = order.manifest.clone();
        if manifest.permissions.subprocess {
            let host = guest.segment.header().host_pid.load(Ordering::Relaxed);
            parent::take_children_along(host)?;
        }
        let (order, lanes) = (Arc::new(order), guest.segment.shape().lanes);
        let held = Arc::clone(&order);
        let enforcement = guest
            .loader
            .confined(Box::new(move || confine::confine(&held, lanes)))?;
        denial::hold(&order);
        let timeout = request
            .control
            .deadline
            .map(|d| d.saturating_duration_since(Instant::now()));
        let context = BuildContext {
            generation: order.generation,
            log: Logger::new(&output::hub(), &manifest.name),
            timeout: timeout.unwrap_or(Duration::MAX),
            on_death: DeathNotice::default(),
            replaces: order.replaces,
            checkpoints: checkpoint::of(guest, request)?,
        };
        let Built { executor, tools } = guest
            .loader
            .build(&manifest, &context)
            .map_err(denial::told_in_load)?;
        if let Some(state) = context.checkpoints.before() {
            context.checkpoints.clear();
            executor.restore(state).map_err(denial::told_in_load)?;
        }
        executor.validate().map_err(denial::told_in_load)?;
        let specs: Vec<ToolSpec> = tools.iter().map(|t| t.spec.clone()).collect();
        let all = match tools.is_empty() {
            true => manifest
                .tools
                .iter()
                .map(|spec| (spec.clone(), None))
                .collect(),
            false => tools
                .into_iter()
                .map(|t| (t.spec, t.handle))
                .collect::<Vec<_>>(),
        };
        let tools = all
            .into_iter()
            .map(|(spec, handle)| {
                // The host has checked the input and will check the output.
                let bare = ToolSpec {
                    input_schema: None,
                    output_schema: None,
                    ..spec
                };
                Ok((bare.id.clone(), Tool::new(bare, handle, Arc::default())?))
            })
            .collect::<Result<_>>()?;
        let loaded = Loaded {
            tools: specs,
            enforcement,
        };
        let report = serde_json::to_value(loaded).map_err(|e| garbled(&e))?;
        Ok((
            Self {
                name: manifest.name,
                executor: RwLock::new(Some(executor)),
                tools,
            },
            report,
        ))
    }

    /// Runs one tool.
    pub(super) fn call(&self, request: &Incoming<'static>) -> std::result::Result<Reply, Fault> {
        let (head, control) = (&request.parts.head, &request.control);
        let garbled = || Fault::Error(Error::new(Code::WorkerProtocol));
        let tool = self.tools.get(&head.tool).ok_or_else(garbled)?;
        let body = request
            .slot
            .view(request.parts.body_at, request.parts.body_len);
        let text = body
            .and_then(|b| std::str::from_utf8(b).ok())
            .ok_or_else(garbled)?;
        let args = Args::from_checked_text(text.to_owned());
        let beyond = *control;
        let reporter: Reporter = Arc::new(move |n, of| beyond.progress(n, of));
        let call = Call {
            plugin: &self.name,
            tool,
            args: &args,
            deadline: request.control.deadline,
            call_id: head.call_id,
            should_stop: &|| control.should_stop(),
            progress: &|n, of| control.progress(n, of),
            reporter: Some(&reporter),
        };
        let arrays = Arrays::of(request).ok_or_else(garbled)?;
        let views: Vec<_> = arrays.views().collect();
        let executor = self.executor.read().clone().ok_or(Fault::Cancelled)?;
        let answer = match views.is_empty() {
            true => executor.call(&call),
            false => executor.call_views(&call, &views),
        };
        answer.map_err(|fault| denial::told(plainer(fault)))
    }

    /// Whether it wants to be told of cancelled calls.
    pub(super) fn hears_cancel(&self) -> bool {
        let executor = self.executor.read();
        executor.as_ref().is_some_and(|e| e.hears_cancel())
    }

    /// A call that is under way was cancelled.
    pub(super) fn cancel(&self, call_id: u64) {
        let executor = self.executor.read().clone();
        if let Some(executor) = executor {
            executor.cancel(call_id);
        }
    }

    /// Takes up a checkpoint after it was loaded: it was a spare.
    pub(super) fn restore(&self, request: &Incoming<'static>) -> std::result::Result<Reply, Fault> {
        let state = checkpoint::beside(request).map_err(Fault::Error)?;
        let executor = self.executor.read().clone().ok_or(Fault::Cancelled)?;
        let taken = executor.restore(&state.unwrap_or_default());
        taken.map(|t| Value::Bool(t).into()).map_err(Fault::Error)
    }

    /// Ends the plugin in good order; calls under way keep it until they are done.
    pub(super) fn stop(&self) {
        if let Some(executor) = self.executor.write().take() {
            executor.stop();
        }
    }
}

/// An allocation that was refused is a matter of memory, whatever the language calls it.
fn plainer(fault: Fault) -> Fault {
    match fault {
        Fault::Raised { kind, message, .. } if kind == "MemoryError" => Fault::Memory {
            message: format!("the plugin ran out of memory: {kind} {message}"),
        },
        Fault::Panicked { message } if message.contains("bad_alloc") => Fault::Memory {
            message: format!("the plugin ran out of memory: {message}"),
        },
        other => other,
    }
}
