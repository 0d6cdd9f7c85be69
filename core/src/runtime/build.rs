//! How a generation is built: import, construction, validation and probe.

use super::run::{Inside, panic_text};
use crate::call::{Args, BuildContext, Built, Call, Executor, Loader};
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, Probe, ToolSpec};
use crate::registry::{Plugin, Tool};
use crate::sandbox::{Handoff, Next, Pool};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A generation that was built: what runs its calls, and its tools.
type Made = (Arc<dyn Executor>, Vec<Tool>);

/// Import, construction, validation and probe; a panic is an error.
pub(crate) fn build_caught(
    plugin: &Plugin,
    loader: &dyn Loader,
    manifest: &Manifest,
    context: &BuildContext,
) -> Result<Made> {
    caught(|| build(plugin, loader, manifest, context))
}

fn build(
    plugin: &Plugin,
    loader: &dyn Loader,
    manifest: &Manifest,
    context: &BuildContext,
) -> Result<Made> {
    let _inside = Inside::enter(plugin.id)?;
    let Built { executor, tools } = loader.build(manifest, context)?;
    let made: Vec<Tool> = if tools.is_empty() {
        let specs = manifest.tools.iter().cloned();
        specs
            .map(|s| tool(plugin, s, None))
            .collect::<Result<_>>()?
    } else {
        tools
            .into_iter()
            .map(|t| tool(plugin, t.spec, t.handle))
            .collect::<Result<_>>()?
    };
    if let Some(state) = context.checkpoints.before() {
        if !loader.isolates() {
            context.checkpoints.clear();
        }
        executor.restore(state)?;
    }
    executor.validate()?;
    if let Some(golden) = &manifest.probe {
        let deadline = Instant::now() + context.timeout;
        probe(plugin, &*executor, &made, golden, deadline)?;
    }
    Ok((executor, made))
}

fn tool(
    plugin: &Plugin,
    spec: ToolSpec,
    handle: Option<Arc<dyn std::any::Any + Send + Sync>>,
) -> Result<Tool> {
    let latency = plugin.latency(&spec.id);
    Tool::new(spec, handle, latency)
}

fn probe(
    plugin: &Plugin,
    executor: &dyn Executor,
    tools: &[Tool],
    golden: &Probe,
    deadline: Instant,
) -> Result<()> {
    let refuse = |why: String| Error::new(Code::LoadProbe).with_message(why);
    let tool = tools
        .iter()
        .find(|t| t.spec.id == golden.tool)
        .ok_or_else(|| {
            refuse(format!(
                "the probe names a tool \"{}\" that is not there",
                golden.tool
            ))
        })?;
    let args = Args::from(golden.args.clone());
    tool.check_input(args.value())
        .map_err(|e| refuse(format!("its arguments: {}", e.message())))?;
    let call = Call {
        plugin: &plugin.name,
        tool,
        args: &args,
        deadline: Some(deadline),
        call_id: crate::metrics::call_id(),
        should_stop: &|| false,
        progress: &|_, _| true,
        reporter: None,
    };
    let reply = executor.call(&call).map_err(|fault| {
        let error = fault.to_error(&plugin.name, &golden.tool);
        let said = refuse(format!("{}: {}", error.kind(), error.message()));
        match error.traceback() {
            Some(text) => said.with_traceback(text),
            None => said,
        }
    })?;
    expected(&reply.value, golden.expect_schema.as_ref()).map_err(refuse)
}

fn expected(value: &Value, schema: Option<&Value>) -> std::result::Result<(), String> {
    let Some(schema) = schema else { return Ok(()) };
    let validator = jsonschema::validator_for(schema).map_err(|e| format!("expect_schema: {e}"))?;
    validator
        .validate(value)
        .map_err(|e| format!("its result: {e}"))
}

fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(Error::new(Code::LoadConstruct)
            .with_message(format!("it panicked: {}", panic_text(&*panic))))
    })
}

/// Runs `body` on the pool, at most for `limit`.
pub(super) fn bounded<T: Send + 'static>(
    pool: &Pool,
    limit: Duration,
    body: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let meeting: Arc<Handoff<Result<T>>> = Arc::default();
    let there = Arc::clone(&meeting);
    pool.submit(Box::new(move || {
        if there.begin() {
            let _ = there.finish(body());
        }
    }))?;
    match meeting.next(Some(Instant::now() + limit)) {
        Next::Done(result) => result,
        Next::Message(()) | Next::Deadline => {
            meeting.abandon();
            pool.abandon_one();
            Err(Error::new(Code::LoadConstruct).with_message(format!(
                "import and construction did not end within {}; their thread was abandoned",
                crate::call::ms(limit)
            )))
        }
    }
}
