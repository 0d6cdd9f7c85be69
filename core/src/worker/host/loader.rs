//! Begins generations in worker processes.

use super::cgroup::{Cgroup, Roots};
use super::checkpoint;
use super::child::{Child, Reason};
use super::executor::WorkerExecutor;
use super::fork_servers::ForkServers;
use super::link::{Link, Making, Request};
use super::program::Program;
use super::reaper::Reaper;
use super::scratch::Scratch;
use super::spawn;
use super::tail::Tail;
use super::watch::Most;
use crate::call::{Args, BuildContext, Built, BuiltTool, Checkpoints, Fault, Loader};
use crate::check::Finding;
use crate::error::{Code, Error, Result};
use crate::manifest::{Limits, Manifest};
use crate::metrics;
use crate::permissions::{PAYLOAD_MB, RESULT_MB, default_memory_mb};
use crate::sync::Mutex;
use crate::worker::order::{Loaded, NO_CGROUP, Order};
use crate::worker::wire::{MAX_LANES, Op, Segment, Shape};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

type Checks = Box<dyn Fn(&Manifest) -> Vec<Finding> + Send + Sync>;
type Choice = Box<dyn Fn(&Manifest) -> Program + Send + Sync>;
type Started = (Arc<Link>, Order, bool);

/// Begins generations of one kind of plugin in worker processes.
pub struct WorkerLoader {
    program: Choice,
    reaper: Arc<Reaper>,
    forks: ForkServers,
    /// Workers that have not loaded their plugin yet.
    loading: Mutex<Vec<Weak<Link>>>,
    /// How often it was closed: who began to load before must not go on.
    closed: AtomicU32,
    payload_mb: u32,
    checks: Option<Checks>,
}

impl WorkerLoader {
    /// A loader of workers that run `program`, with a thread of its own that starts and watches
    /// them.
    ///
    /// # Errors
    /// [`Code::RuntimeThread`] where the system gives no thread or descriptor.
    pub fn new(program: Program) -> Result<Self> {
        Self::choosing(move |_| program.clone())
    }

    /// The same with a program for each plugin.
    ///
    /// # Errors
    /// As [`WorkerLoader::new`].
    pub fn choosing(
        program: impl Fn(&Manifest) -> Program + Send + Sync + 'static,
    ) -> Result<Self> {
        let reaper = Arc::new(Reaper::start()?);
        Ok(Self {
            program: Box::new(program),
            forks: ForkServers::new(Arc::clone(&reaper)),
            loading: Mutex::default(),
            closed: AtomicU32::new(0),
            reaper,
            payload_mb: PAYLOAD_MB,
            checks: None,
        })
    }

    /// Bounds the arguments of one call, in MiB. Default 256.
    #[must_use]
    pub fn with_max_payload(mut self, mb: u32) -> Self {
        self.payload_mb = mb.max(1);
        self
    }

    /// Checks dependencies that only this kind knows.
    #[must_use]
    pub fn with_checks(
        mut self,
        checks: impl Fn(&Manifest) -> Vec<Finding> + Send + Sync + 'static,
    ) -> Self {
        self.checks = Some(Box::new(checks));
        self
    }

    fn shape(&self, manifest: &Manifest) -> Shape {
        let lanes = manifest.effective_concurrency().clamp(1, MAX_LANES);
        let mib = |mb: u32| u64::from(mb) << 20;
        let result = manifest.limits.result_mb.unwrap_or(RESULT_MB);
        let payload = manifest.limits.payload_mb.unwrap_or(self.payload_mb);
        Shape::new(lanes, mib(payload), mib(result))
    }

    /// A worker that has been started, and whether it was forked. `cold`: it must not be.
    fn started(&self, manifest: &Manifest, context: &BuildContext, cold: bool) -> Result<Started> {
        let segment = Segment::create(self.shape(manifest))?;
        let scratch = Scratch::new(&manifest.name)?;
        let program = (self.program)(manifest);
        let place = scratch.path();
        let forked = (!cold).then(|| {
            self.forks
                .fork(&program, manifest, &segment, place, &context.log)
        });
        let mut was_forked = true;
        let spawned = match forked.flatten() {
            Some(spawned) => spawned,
            None => {
                was_forked = false;
                let (command, output) = spawn::command(&program, manifest, &segment, place)?;
                self.reaper.run(move || spawn::spawn(command, output))??
            }
        };
        let child = Arc::new(Child::adopt(spawned.pid)?);
        let shape = segment.shape();
        let memory = most_memory(manifest);
        let (cgroup, held) = grouped(manifest, memory, spawned.pid, shape.lanes);
        let mut order = Order::new(manifest, context.generation, scratch.path(), held);
        order.replaces = context.replaces;
        order.default_memory_mb = memory.filter(|m| m.by_default).map(|m| m.mb);
        let link = Link::new(Making {
            plugin: manifest.name.clone(),
            child,
            tail: Arc::new(Tail::new(spawned.output, context.log.clone())),
            limits: manifest.limits,
            memory,
            descends: manifest.permissions.subprocess,
            reaper: Arc::clone(&self.reaper),
            segment,
            scratch,
            cgroup,
            on_death: context.on_death.clone(),
        });
        Ok((link, order, was_forked))
    }

    /// A worker that has shaken hands. What is wrong with a forked one may be the fork.
    fn ready(
        &self,
        manifest: &Manifest,
        context: &BuildContext,
        deadline: Instant,
    ) -> Result<(WorkerExecutor, Order)> {
        let mut cold = false;
        let closed = self.closed.load(Ordering::SeqCst);
        loop {
            let (link, order, was_forked) = self.started(manifest, context, cold)?;
            self.loading.lock().push(Arc::downgrade(&link));
            // From here on the worker ends when the executor is dropped, on failure as well.
            let executor = WorkerExecutor {
                link,
                enforcement: serde_json::Value::Null,
            };
            if self.closed.load(Ordering::SeqCst) != closed {
                executor.link.child.kill(Reason::Stopped);
                return Err(Error::new(Code::RuntimeClosed));
            }
            match executor.link.shake_hands(deadline) {
                Err(error) if was_forked => {
                    let text = format!("a forked worker: {}; started cold", error.message());
                    context.log.write(crate::log::Level::Warn, text);
                    cold = true;
                }
                done => return done.map(|()| (executor, order)),
            }
        }
    }
}

/// The worker's control group, and what to report of it. The worker waits for its order meanwhile: the
/// plugin never runs outside it.
fn grouped(
    manifest: &Manifest,
    memory: Option<Most>,
    pid: u32,
    lanes: u32,
) -> (Option<Cgroup>, BTreeMap<String, String>) {
    let limits = &Limits {
        memory_mb: memory.map(|m| m.mb),
        ..manifest.limits
    };
    let result_mb = limits.result_mb.unwrap_or(RESULT_MB);
    match Cgroup::around(&Roots::default(), pid, limits, lanes, result_mb) {
        Ok(group) => {
            let holds = group.iter().flat_map(|g| g.holds.clone());
            let holds = holds.map(|(limit, how)| (limit.to_owned(), how)).collect();
            (group, holds)
        }
        Err(why) => (None, BTreeMap::from([(NO_CGROUP.to_owned(), why)])),
    }
}

/// What the manifest says, else half of what the machine has: no plugin takes it all by default.
fn most_memory(manifest: &Manifest) -> Option<Most> {
    let said = manifest.limits.memory_mb;
    let mb = said.or_else(default_memory_mb)?;
    let by_default = said.is_none();
    Some(Most { mb, by_default })
}

impl Loader for WorkerLoader {
    fn isolates(&self) -> bool {
        true
    }

    /// Workers that nobody knows yet must not load on: their plugin's code may hang.
    fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
        let loading = std::mem::take(&mut *self.loading.lock());
        for link in loading.iter().filter_map(Weak::upgrade) {
            link.child.kill(Reason::Stopped);
        }
        self.forks.close();
    }

    fn check(&self, manifest: &Manifest) -> Vec<Finding> {
        self.checks
            .as_ref()
            .map(|checks| checks(manifest))
            .unwrap_or_default()
    }

    fn build(&self, manifest: &Manifest, context: &BuildContext) -> Result<Built> {
        let deadline = Instant::now() + context.timeout;
        let (mut executor, order) = self.ready(manifest, context, deadline)?;
        let loaded = load(&executor.link, &order, &context.checkpoints, deadline);
        let ours = Arc::downgrade(&executor.link);
        let others = |link: &Weak<Link>| link.strong_count() > 0 && !link.ptr_eq(&ours);
        self.loading.lock().retain(others);
        let loaded = loaded?;
        executor.link.open_lanes();
        executor.enforcement = loaded.enforcement;
        let tools = loaded
            .tools
            .into_iter()
            .map(|spec| BuiltTool { spec, handle: None })
            .collect();
        Ok(Built {
            executor: Arc::new(executor),
            tools,
        })
    }
}

fn load(
    link: &Arc<Link>,
    order: &Order,
    checkpoints: &Checkpoints,
    deadline: Instant,
) -> Result<Loaded> {
    checkpoint::keep(link, checkpoints);
    let text = serde_json::to_value(order).map_err(|e| {
        Error::new(Code::RuntimeInternal).with_message(format!("the load order: {e}"))
    })?;
    let answer = link.call(&Request {
        op: Op::Load,
        tool: "",
        call_id: metrics::call_id(),
        args: &checkpoint::beside(Args::from(text), checkpoints),
        deadline: Some(deadline),
        progress: &|_, _| true,
    });
    let reply = answer.map_err(|fault| match fault {
        Fault::Deadline { .. } => Error::new(Code::LoadConstruct).with_message(
            "import and construction did not end in time; the worker process was killed",
        ),
        fault => fault.to_error(&order.manifest.name, "load"),
    })?;
    serde_json::from_value(reply.value).map_err(|e| {
        Error::new(Code::WorkerProtocol).with_message(format!("the worker's load report: {e}"))
    })
}
