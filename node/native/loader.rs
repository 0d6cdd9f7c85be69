//! Builds plugins whose code is JavaScript: asks the event loop, and waits on a thread of the core.

use crate::signal::Signal;
use crate::words::Answered;
use parking_lot::Mutex;
use plugward_core::call::{BuildContext, Built, BuiltTool, Call, Executor, Fault, Loader, Reply};
use plugward_core::check::Finding;
use plugward_core::manifest::Manifest;
use plugward_core::{Code, Error, Result};
use serde_json::json;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// Requests to JavaScript that wait for their answer.
pub(crate) struct Desk {
    signal: Arc<Signal>,
    waiting: Mutex<HashMap<u64, Sender<Answered>>>,
    next: AtomicU64,
    /// The thread whose event loop answers: it must never wait for itself.
    home: ThreadId,
}

impl Desk {
    /// A desk of the calling thread.
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        let home = std::thread::current().id();
        Self {
            signal,
            waiting: Mutex::default(),
            next: AtomicU64::new(1),
            home,
        }
    }

    fn ask(&self, kind: &str, payload: String) -> Result<(u64, Receiver<Answered>)> {
        if self.is_home() {
            return Err(Error::new(Code::RuntimeReentrant).with_message(
                "the event loop would wait for itself; call from JavaScript instead",
            ));
        }
        Ok(self.put(kind, payload))
    }

    /// As [`ask`](Self::ask), for an answer that is waited for later, if at all.
    fn put(&self, kind: &str, payload: String) -> (u64, Receiver<Answered>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tx, rx) = channel();
        self.waiting.lock().insert(id, tx);
        self.signal.send(kind, id, payload);
        (id, rx)
    }

    fn is_home(&self) -> bool {
        std::thread::current().id() == self.home
    }

    /// JavaScript's answer; false where nobody waits for it any more.
    pub(crate) fn answer(&self, id: u64, answer: Answered) -> bool {
        let waiting = self.waiting.lock().remove(&id);
        waiting.is_some_and(|tx| tx.send(answer).is_ok())
    }

    fn forget(&self, id: u64) {
        self.waiting.lock().remove(&id);
    }

    /// Nobody answers any more: who waits is told at once.
    pub(crate) fn close(&self) {
        self.waiting.lock().clear();
    }
}

/// Makes the generations of one JavaScript plugin. `tag` is TypeScript's own word for it.
pub(crate) struct NodeLoader {
    pub(crate) desk: Arc<Desk>,
    pub(crate) tag: String,
    pub(crate) patience: Duration,
    pub(crate) given_up: GivenUp,
}

/// What becomes of a call that the core makes and that nobody wants the answer of any more. Its
/// plugin is told either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// The core goes on without it.
    Left,
    /// It stays under way until it ends: the host gives it a moment, and ends this process then.
    Awaited,
}

impl Loader for NodeLoader {
    fn check(&self, manifest: &Manifest) -> Vec<Finding> {
        crate::packages::check(manifest)
    }

    fn build(&self, manifest: &Manifest, context: &BuildContext) -> Result<Built> {
        let request = json!({
            "manifest": manifest.to_value(),
            "dir": manifest.dir,
            "generation": context.generation,
            "concurrency": manifest.effective_concurrency(),
            "tag": self.tag,
        });
        let executor = NodeExecutor {
            desk: Arc::clone(&self.desk),
            plugin: manifest.name.clone(),
            generation: context.generation,
            given_up: self.given_up,
            goodbye: Mutex::default(),
        };
        let (id, answer) = self.desk.ask("build", request.to_string())?;
        match answer.recv_timeout(self.patience) {
            Ok(Answered::Built { tools }) => {
                let tools = tools
                    .into_iter()
                    .map(|spec| BuiltTool { spec, handle: None })
                    .collect();
                Ok(Built {
                    executor: Arc::new(executor),
                    tools,
                })
            }
            Ok(Answered::Fault { fault }) => Err(fault.into_error()),
            Ok(Answered::Value { .. }) => Err(Error::new(Code::RuntimeInternal)),
            Err(gone) => {
                self.desk.forget(id);
                executor.stop();
                Err(not_built(gone, self.patience))
            }
        }
    }
}

fn not_built(gone: RecvTimeoutError, patience: Duration) -> Error {
    match gone {
        RecvTimeoutError::Disconnected => Error::new(Code::RuntimeClosed),
        RecvTimeoutError::Timeout => Error::new(Code::LoadConstruct).with_message(format!(
            "import and construction did not end within {} ms",
            patience.as_millis()
        )),
    }
}

/// Runs calls that the core itself makes: the probe, and every call in a worker process. In a host,
/// JavaScript's own calls take a ticket.
struct NodeExecutor {
    desk: Arc<Desk>,
    plugin: String,
    generation: u32,
    given_up: GivenUp,
    /// Answered once the generation has said goodbye, from when it is told to.
    goodbye: Mutex<Option<(u64, Receiver<Answered>)>>,
}

impl NodeExecutor {
    fn request(&self, call: &Call<'_>) -> String {
        json!({
            "plugin": self.plugin,
            "generation": self.generation,
            "tool": call.tool.spec.id,
            "args": call.args.value(),
        })
        .to_string()
    }
}

/// How often a waiting call looks whether its caller has given up.
const LOOK: Duration = Duration::from_millis(20);

impl Executor for NodeExecutor {
    fn call(&self, call: &Call<'_>) -> std::result::Result<Reply, Fault> {
        let (id, answer) = self
            .desk
            .ask("call", self.request(call))
            .map_err(Fault::Error)?;
        let limit = call
            .deadline
            .map(|d| d.saturating_duration_since(Instant::now()));
        let mut told = false;
        loop {
            match answer.recv_timeout(LOOK) {
                Ok(Answered::Value { value }) => return Ok(value.into()),
                Ok(Answered::Fault { fault }) => return Err(fault.into_fault(limit)),
                Ok(Answered::Built { .. }) => return Err(Fault::Cancelled),
                Err(RecvTimeoutError::Timeout) if told || !(call.should_stop)() => {}
                Err(RecvTimeoutError::Timeout) => {
                    told = true;
                    self.desk.signal.send("cancel", id, String::new());
                    if self.given_up == GivenUp::Left {
                        self.desk.forget(id);
                        return Err(Fault::Cancelled);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.desk.forget(id);
                    return Err(Fault::Cancelled);
                }
            }
        }
    }

    fn stop(&self) {
        let which = json!({"plugin": self.plugin, "generation": self.generation});
        *self.goodbye.lock() = Some(self.desk.put("stop", which.to_string()));
    }

    fn wait_ended(&self, until: Instant) {
        let goodbye = self.goodbye.lock().take().filter(|_| !self.desk.is_home());
        if let Some((id, answer)) = goodbye {
            let _ = answer.recv_timeout(until.saturating_duration_since(Instant::now()));
            self.desk.forget(id);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
