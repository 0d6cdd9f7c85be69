//! One runtime of the core, as an object of JavaScript.

use crate::guard::{Thrown, guard, thrown};
use crate::heap;
use crate::leaving::Leaving;
use crate::loader::{Desk, GivenUp, NodeLoader};
use crate::packages;
use crate::seats::Seats;
use crate::signal::{Signal, Words};
use crate::ticket::{Facts, Open, Tickets};
use crate::words::{Answered, Options, Told, read};
use napi::Env;
use napi::bindgen_prelude::{Float64Array, Function};
use napi_derive::napi;
use parking_lot::Mutex;
use plugward_core::deadline::Expired;
use plugward_core::log::{LogSink, Record};
use plugward_core::manifest::{Kind, Manifest, Parsed};
use plugward_core::runtime::Interrupter;
use plugward_core::sandbox::Pool;
use plugward_core::{Code, Error, Result, Runtime as CoreRuntime};
use serde_json::json;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Threads for what may wait: loads, calls of native plugins, callers in a queue.
const HELPERS: u32 = 256;
/// The core bounds a load itself; JavaScript's part of it is given up a little later.
const GRACE: Duration = Duration::from_millis(250);

/// One runtime. `signal(kind, id, payload)` is called on this thread's event loop.
#[napi]
pub struct NativeRuntime {
    pub(crate) core: CoreRuntime,
    pub(crate) signal: Arc<Signal>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) seats: Arc<Seats>,
    pub(crate) helpers: Arc<Pool>,
    pub(crate) late: Arc<Mutex<HashMap<u64, Open>>>,
    pub(crate) leaving: HashMap<u64, Leaving>,
    pub(crate) tickets: Tickets,
    pub(crate) routes: Vec<(String, String)>,
    pub(crate) facts: Facts,
    pub(crate) error: Option<String>,
    pub(crate) patience: Duration,
}

struct Bell {
    signal: Arc<Signal>,
    seats: Arc<Seats>,
}

impl Interrupter for Bell {
    fn interrupt(&self, expired: &Expired) {
        if let Some(call_id) = self.seats.overdue(expired) {
            self.signal.send("deadline", call_id, String::new());
        }
    }
}

struct Sink(Arc<Signal>);

impl LogSink for Sink {
    fn write(&self, record: &Record) -> std::result::Result<(), String> {
        let text = serde_json::to_string(record).map_err(|e| e.to_string())?;
        self.0.send("log", 0, text);
        Ok(())
    }
}

#[napi]
impl NativeRuntime {
    /// `options` is JSON; with `logs`, log records are signalled too. `facts` takes four numbers.
    #[napi(constructor)]
    pub fn new(
        env: Env,
        options: String,
        logs: bool,
        signal: Function<'_, Words, ()>,
        facts: Float64Array,
    ) -> Result<Self, Thrown> {
        let signal =
            Arc::new(Signal::new(&signal).map_err(|e| {
                thrown(&Error::new(Code::RuntimeInternal).with_message(e.to_string()))
            })?);
        if let Ok(node) = env.get_node_version() {
            packages::note_node(format!("{}.{}.{}", node.major, node.minor, node.patch));
        }
        guard(|| {
            let mut options = read::<Options>(&options)?;
            let program = std::mem::take(&mut options.worker);
            let options = options.into_core()?;
            let patience = options.load_timeout + GRACE;
            let core = CoreRuntime::new(options)?;
            let seats = Arc::new(Seats::default());
            let desk = Arc::new(Desk::new(Arc::clone(&signal)));
            core.set_interrupter(Box::new(Bell {
                signal: Arc::clone(&signal),
                seats: Arc::clone(&seats),
            }));
            if logs {
                core.log()
                    .set_sink(Some(Arc::new(Sink(Arc::clone(&signal)))));
            }
            let helpers = Arc::new(Pool::new("node", HELPERS, None));
            let this = Self {
                core,
                signal,
                desk,
                seats,
                helpers,
                late: Arc::default(),
                leaving: HashMap::new(),
                tickets: Tickets::default(),
                routes: Vec::new(),
                facts: Facts::new(facts)?,
                error: None,
                patience,
            };
            this.core.set_loader(Kind::Node, this.loader(String::new()));
            offer_processes(&this.core, &program)?;
            Ok(this)
        })
    }

    /// Loads what is at `path`; signals `done` with the reports.
    #[napi]
    pub fn load_path(&self, id: f64, path: String) -> Result<(), Thrown> {
        let core = self.core.clone();
        self.aside(id, move || Ok(to_json(&core.load_path(Path::new(&path)))))
    }

    /// Loads a manifest given as JSON, of a JavaScript plugin that `tag` names to TypeScript.
    #[napi]
    pub fn load_manifest(
        &self,
        id: f64,
        manifest: String,
        dir: Option<String>,
        tag: Option<String>,
        assumptions: String,
    ) -> Result<(), Thrown> {
        let core = self.core.clone();
        let loader = tag.map(|tag| self.loader(tag));
        self.aside(id, move || {
            let mut parsed = Manifest::from_json_str(&manifest)?;
            parsed.manifest.dir = dir.map(PathBuf::from);
            for (key, message) in read::<Vec<(String, String)>>(&assumptions)? {
                parsed
                    .assumptions
                    .push(plugward_core::manifest::Assumption { key, message });
            }
            Ok(to_json(&match loader {
                Some(loader) => core.load_with(parsed, loader),
                None => core.load(parsed),
            }))
        })
    }

    /// Lists a plugin that cannot be loaded; `fault` is JSON.
    #[napi]
    pub fn load_broken(&self, name: String, fault: String) -> Result<String, Thrown> {
        guard(|| {
            Ok(to_json(
                &self
                    .core
                    .load_broken(&name, read::<Told>(&fault)?.into_error()),
            ))
        })
    }

    /// Reads the manifest at `path` without loading it.
    #[napi]
    pub fn parse(&self, path: String) -> Result<String, Thrown> {
        guard(|| {
            let Parsed {
                manifest,
                assumptions,
            } = Manifest::from_path(Path::new(&path))?;
            let dir = manifest.dir.clone();
            Ok(
                json!({"manifest": manifest.to_value(), "assumptions": assumptions, "dir": dir})
                    .to_string(),
            )
        })
    }

    /// Puts a new generation in the place of the present one; signals `done` with the report.
    #[napi]
    pub fn reload(&self, id: f64, name: String) -> Result<(), Thrown> {
        let core = self.core.clone();
        self.aside(id, move || {
            core.reload(&name).map(|report| to_json(&report))
        })
    }

    /// Stops a plugin in good order; signals `done` with the report.
    #[napi]
    pub fn stop(&self, id: f64, name: String) -> Result<(), Thrown> {
        let core = self.core.clone();
        self.aside(id, move || core.stop(&name).map(|report| to_json(&report)))
    }

    /// Begins a plugin's next generation; signals `done` with the report.
    #[napi]
    pub fn restart(&self, id: f64, name: String) -> Result<(), Thrown> {
        let core = self.core.clone();
        self.aside(id, move || {
            core.restart(&name).map(|report| to_json(&report))
        })
    }

    /// Ends a plugin and forgets it.
    #[napi]
    pub fn unload(&self, name: String) -> Result<(), Thrown> {
        guard(|| self.core.unload(&name))
    }

    /// Takes no further calls from now on, and ends everything in good order: plugins that others depend
    /// on come last. Signals `done` when that is so. False where somebody closes it already.
    #[napi]
    pub fn close(&self, id: f64) -> Result<bool, Thrown> {
        guard(|| {
            if !self.core.close_once() {
                return Ok(false);
            }
            let (core, desk) = (self.core.clone(), Arc::clone(&self.desk));
            let (helpers, signal) = (Arc::clone(&self.helpers), Arc::clone(&self.signal));
            let end = Arc::new(move || {
                let _ = guard(|| {
                    core.end();
                    desk.close();
                    helpers.close();
                    Ok(())
                });
                signal.send("done", id as u64, String::new());
            });
            // Not on the event loop: it is what plugins say goodbye on.
            let aside = Arc::clone(&end);
            let thread = std::thread::Builder::new().name("plugward-close".into());
            if thread.spawn(move || aside()).is_err() {
                end();
            }
            Ok(true)
        })
    }

    /// Answers a request that was signalled: `build` or `call`. False where nobody waits any more.
    #[napi]
    pub fn answer(&self, id: f64, answer: String) -> Result<bool, Thrown> {
        guard(|| Ok(self.desk.answer(id as u64, read::<Answered>(&answer)?)))
    }

    /// A plugin's worker is lost: that generation has failed. False when it was over already.
    #[napi]
    pub fn fail(&self, plugin: String, generation: u32, fault: String) -> Result<bool, Thrown> {
        guard(|| {
            let error = read::<Told>(&fault)?.into_error();
            Ok(self.core.registry().find(&plugin)?.fail(generation, &error))
        })
    }

    /// A worker is about to begin; its full heap is signalled as `heap` with this token.
    #[napi]
    pub fn expect_worker(&self, token: f64) {
        heap::expect(token as u64, &self.signal);
    }

    /// A worker has ended.
    #[napi]
    pub fn forget_worker(&self, token: f64) {
        heap::forget(token as u64);
    }

    fn loader(&self, tag: String) -> Arc<NodeLoader> {
        Arc::new(NodeLoader {
            desk: Arc::clone(&self.desk),
            tag,
            patience: self.patience,
            given_up: GivenUp::Left,
        })
    }

    pub(crate) fn aside(
        &self,
        id: f64,
        work: impl FnOnce() -> Result<String> + Send + 'static,
    ) -> Result<(), Thrown> {
        let signal = Arc::clone(&self.signal);
        guard(|| {
            self.core.usable()?;
            self.helpers.submit(Box::new(move || match guard(work) {
                Ok(text) => signal.send("done", id as u64, text),
                Err(error) => signal.send("error", id as u64, error.reason.to_string()),
            }))
        })
    }
}

/// Lets plugins that ask for a process of their own have one. It is not the default: a worker
/// writes only where its manifest allows, and a plugin must have been written with that in mind.
#[cfg(target_os = "linux")]
fn offer_processes(core: &CoreRuntime, program: &[String]) -> Result<()> {
    use plugward_core::worker::{Program, WorkerLoader};

    if let Some((path, args)) = program.split_first() {
        let loader = WorkerLoader::new(Program::new(path).with_args(args))?;
        let loader = loader.with_checks(packages::check);
        core.set_worker_loader(Kind::Node, Arc::new(loader), false);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn offer_processes(_: &CoreRuntime, _: &[String]) -> Result<()> {
    Ok(())
}

pub(crate) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// Panics on purpose, so that a test can see what becomes of it.
#[napi]
pub fn panic_on_purpose() -> Result<(), Thrown> {
    #[allow(clippy::panic, reason = "that is what it is for")]
    guard(|| panic!("on purpose"))
}

/// The addon's version, which must be the package's.
#[napi]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
