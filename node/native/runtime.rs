//! One runtime of the core, as an object of JavaScript.

use crate::guard::{Thrown, guard, thrown};
use crate::heap;
use crate::loader::{Desk, NodeLoader};
use crate::seats::Seats;
use crate::signal::{Signal, Words};
use crate::ticket::Ticket;
use crate::words::{Answered, Options, Told, millis, read};
use napi::bindgen_prelude::Function;
use napi_derive::napi;
use parking_lot::Mutex;
use plugward_core::call::{Args, CallOptions, Entry, Target, Ticket as CoreTicket};
use plugward_core::deadline::Expired;
use plugward_core::lifecycle::Event;
use plugward_core::log::{Level, LogSink, Record};
use plugward_core::manifest::{Isolation, Kind, Manifest, Parsed};
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

/// What asking for admission led to.
#[napi(object, object_from_js = false)]
pub struct Entered {
    /// The call may begin.
    pub ticket: Option<Ticket>,
    /// It may not: the error as JSON.
    pub error: Option<String>,
    /// Ask again with the arguments as JSON: the tool has a schema.
    pub needs_args: bool,
    /// The plugin is full: ask again with `enterLater`.
    pub full: bool,
}

/// One runtime. `signal(kind, id, payload)` is called on this thread's event loop.
#[napi]
pub struct NativeRuntime {
    core: CoreRuntime,
    signal: Arc<Signal>,
    desk: Arc<Desk>,
    seats: Arc<Seats>,
    helpers: Pool,
    late: Arc<Mutex<HashMap<u64, Ticket>>>,
    patience: Duration,
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
    /// `options` is JSON; with `logs`, log records are signalled too.
    #[napi(constructor)]
    pub fn new(
        options: String,
        logs: bool,
        signal: Function<'_, Words, ()>,
    ) -> Result<Self, Thrown> {
        let signal =
            Arc::new(Signal::new(&signal).map_err(|e| {
                thrown(&Error::new(Code::RuntimeInternal).with_message(e.to_string()))
            })?);
        guard(|| {
            let options = read::<Options>(&options)?.into_core()?;
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
            let helpers = Pool::new("node", HELPERS, None);
            let this = Self {
                core,
                signal,
                desk,
                seats,
                helpers,
                late: Arc::default(),
                patience,
            };
            this.core.set_loader(Kind::Node, this.loader(String::new()));
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

    /// Ends everything. Idempotent.
    #[napi]
    pub fn close(&self) -> Result<(), Thrown> {
        guard(|| {
            self.core.close();
            self.desk.close();
            self.helpers.close();
            Ok(())
        })
    }

    /// Asks for admission; never blocks. `deadline_ms` of nothing means the plugin's own.
    #[napi]
    pub fn enter(
        &self,
        plugin: String,
        tool: String,
        deadline_ms: Option<f64>,
        args: Option<String>,
    ) -> Result<Entered, Thrown> {
        guard(|| {
            let asked = self.ask(&plugin, &tool, deadline_ms, args.as_deref());
            Ok(match asked {
                Ok(None) => Entered {
                    ticket: None,
                    error: None,
                    needs_args: true,
                    full: false,
                },
                Ok(Some(Entry::Admitted(ticket))) => admitted(self.seat(ticket)),
                Ok(Some(Entry::Full(_))) => Entered {
                    ticket: None,
                    error: None,
                    needs_args: false,
                    full: true,
                },
                Ok(Some(Entry::Refused(error))) | Err(error) => refused(&error),
            })
        })
    }

    /// As `enter`, but waits for its turn on another thread; signals `done`, then `takeTicket`.
    #[napi]
    pub fn enter_later(
        &self,
        id: f64,
        plugin: String,
        tool: String,
        deadline_ms: Option<f64>,
    ) -> Result<(), Thrown> {
        let (core, seats, late) = (
            self.core.clone(),
            Arc::clone(&self.seats),
            Arc::clone(&self.late),
        );
        self.aside(id, move || {
            let ticket = core.enter(&plugin, &tool, &options(deadline_ms)?)?;
            late.lock().insert(id as u64, seated(&core, &seats, ticket));
            Ok("null".into())
        })
    }

    /// The ticket that `enterLater` waited for.
    #[napi]
    pub fn take_ticket(&self, id: f64) -> Option<Ticket> {
        self.late.lock().remove(&(id as u64))
    }

    /// Calls a plugin that is no JavaScript; signals `done` with the outcome.
    #[napi]
    pub fn call(
        &self,
        id: f64,
        plugin: String,
        tool: String,
        args: String,
        deadline_ms: Option<f64>,
    ) -> Result<(), Thrown> {
        let core = self.core.clone();
        self.aside(id, move || {
            let outcome = core.call(
                &plugin,
                &tool,
                Args::from_text(&args)?,
                &options(deadline_ms)?,
            );
            Ok(outcome.to_value().to_string())
        })
    }

    /// Lists a plugin that the host executes itself.
    #[napi]
    pub fn register(
        &self,
        plugin: String,
        description: String,
        version: String,
    ) -> Result<(), Thrown> {
        guard(|| self.core.register(&plugin, &description, &version))
    }

    /// Says what happened to a plugin that the host executes itself; answers its state.
    #[napi]
    pub fn mark(&self, plugin: String, event: String, reason: String) -> Result<String, Thrown> {
        guard(|| {
            let state = self.core.mark(&plugin, event_of(&event)?, &reason)?;
            Ok(state.to_string())
        })
    }

    /// Counts one execution of a plugin that the host executes itself.
    #[napi]
    pub fn record(&self, plugin: String, ok: bool, elapsed_ms: Option<f64>) -> Result<(), Thrown> {
        guard(|| self.core.record(&plugin, ok, elapsed_ms))
    }

    /// Answers a request that was signalled: `build` or `call`.
    #[napi]
    pub fn answer(&self, id: f64, answer: String) -> Result<(), Thrown> {
        guard(|| {
            self.desk.answer(id as u64, read::<Answered>(&answer)?);
            Ok(())
        })
    }

    /// A plugin's worker is lost: that generation has failed. False when it was over already.
    #[napi]
    pub fn fail(&self, plugin: String, generation: u32, fault: String) -> Result<bool, Thrown> {
        guard(|| {
            let error = read::<Told>(&fault)?.into_error();
            Ok(self.core.registry().find(&plugin)?.fail(generation, &error))
        })
    }

    /// `node`, `python`, `native` or `host`; nothing where no such plugin is.
    #[napi]
    pub fn kind_of(&self, plugin: String) -> Option<String> {
        let found = self.core.registry().find(&plugin).ok()?;
        Some(found.manifest().kind.to_string())
    }

    /// Writes a log line under a plugin's name.
    #[napi]
    pub fn log(&self, plugin: Option<String>, level: String, text: String) {
        let level = match level.as_str() {
            "debug" => Level::Debug,
            "warn" => Level::Warn,
            "error" => Level::Error,
            _ => Level::Info,
        };
        self.core
            .log()
            .write(Record::new(level, plugin.as_deref(), text));
    }

    /// The latest log records, as JSON.
    #[napi]
    pub fn recent_logs(&self) -> String {
        to_json(&self.core.log().recent())
    }

    /// Health of every plugin, as a JSON array.
    #[napi]
    pub fn health(&self) -> String {
        self.core.health_json()
    }

    /// Health of one plugin as JSON, if it is there.
    #[napi]
    pub fn plugin_health(&self, plugin: String) -> Option<String> {
        self.core
            .plugin_health(&plugin)
            .map(|health| to_json(&health))
    }

    /// Counts by state, and readiness, as JSON.
    #[napi]
    pub fn summary(&self) -> String {
        to_json(&self.core.summary())
    }

    /// All figures as OpenMetrics text.
    #[napi]
    pub fn metrics(&self) -> String {
        self.core.metrics_text()
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
        })
    }

    fn aside(
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

    fn ask(
        &self,
        plugin: &str,
        tool: &str,
        deadline_ms: Option<f64>,
        args: Option<&str>,
    ) -> Result<Option<Entry>> {
        let target: Target = self.core.find(plugin, tool)?;
        let options = options(deadline_ms)?;
        match (target.tool().checks_input(), args) {
            (true, None) => return Ok(None),
            (true, Some(text)) => {
                self.core
                    .checked_input(&target, Args::from_text(text)?.value())?;
            }
            (false, _) => {}
        }
        let deadline = target.deadline(&options).or(self.core.default_deadline());
        Ok(Some(target.enter(deadline)))
    }

    fn seat(&self, ticket: CoreTicket) -> Ticket {
        seated(&self.core, &self.seats, ticket)
    }
}

/// Not a plugin's id: the core leaves the plugin's state to the door, which stops the worker first.
const NO_PLUGIN: u64 = u64::MAX;

fn seated(core: &CoreRuntime, seats: &Arc<Seats>, ticket: CoreTicket) -> Ticket {
    let inline = ticket.target().generation().isolation == Isolation::Inline;
    let subject = if inline { ticket.subject() } else { NO_PLUGIN };
    let sitting = ticket
        .deadline()
        .map(|due| seats.sit(core, due, subject, ticket.call_id()));
    Ticket::new(ticket, sitting)
}

fn admitted(ticket: Ticket) -> Entered {
    Entered {
        ticket: Some(ticket),
        error: None,
        needs_args: false,
        full: false,
    }
}

fn refused(error: &Error) -> Entered {
    let error = Some(error.to_value().to_string());
    Entered {
        ticket: None,
        error,
        needs_args: false,
        full: false,
    }
}

fn event_of(word: &str) -> Result<Event> {
    Ok(match word {
        "ready" => Event::Ready,
        "call_began" => Event::CallBegan,
        "call_ended" => Event::CallEnded,
        "fault" => Event::Fault,
        "dependency_missing" => Event::DependencyMissing,
        "restart" => Event::Restart,
        other => {
            let message = format!("there is no event \"{other}\"");
            return Err(Error::new(Code::AbiArgument).with_message(message));
        }
    })
}

fn options(deadline_ms: Option<f64>) -> Result<CallOptions> {
    let deadline = deadline_ms.map(|ms| millis(ms, "deadlineMs")).transpose()?;
    Ok(CallOptions {
        deadline,
        ..CallOptions::default()
    })
}

fn to_json(value: &impl serde::Serialize) -> String {
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
