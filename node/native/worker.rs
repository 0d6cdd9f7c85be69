//! The addon inside a worker process: `node worker_process.js`, for one plugin.
//!
//! The protocol is the core's and runs on threads of its own; the event loop builds the plugin and
//! runs its calls, as it does in a host.

use crate::guard::{Thrown, guard, thrown};
use crate::heap;
use crate::loader::{Desk, GivenUp, NodeLoader};
use crate::signal::{Signal, Words};
use crate::view::level_of;
use crate::words::{Answered, read};
use napi::bindgen_prelude::Function;
use napi_derive::napi;
use parking_lot::Mutex;
use plugward_core::call::{BuildContext, Built, Confine, Loader};
use plugward_core::log::Logger;
use plugward_core::manifest::Manifest;
use plugward_core::{Code, Error, Result};
use serde_json::Value;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// The host keeps the time of a load: it kills this process.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

type Waiting = (Confine, SyncSender<Result<Value>>);

/// What the event loop and the protocol's threads share.
struct Shared {
    signal: Arc<Signal>,
    desk: Arc<Desk>,
    /// Waits for the event loop's thread.
    confine: Mutex<Option<Waiting>>,
    log: Mutex<Option<Logger>>,
}

/// Loads the plugin of this process.
struct ProcessLoader {
    shared: Arc<Shared>,
    inner: NodeLoader,
}

impl Loader for ProcessLoader {
    fn build(&self, manifest: &Manifest, context: &BuildContext) -> Result<Built> {
        *self.shared.log.lock() = Some(context.log.clone());
        self.inner.build(manifest, context)
    }

    /// The plugin's code runs on the event loop's thread and on those that it will start. Node's
    /// file threads are among them: none has begun before a file was read asynchronously.
    fn confined(&self, work: Confine) -> Result<Value> {
        let (tell, told) = sync_channel(1);
        *self.shared.confine.lock() = Some((work, tell));
        self.shared.signal.send("confine", 0, String::new());
        told.recv()
            .unwrap_or_else(|_| Err(Error::new(Code::RuntimeClosed)))
    }
}

/// The worker process, as an object of JavaScript.
#[napi]
pub struct NodeWorker {
    shared: Arc<Shared>,
}

#[napi]
impl NodeWorker {
    /// `signal(kind, id, payload)` is called on this thread's event loop: `confine`, `build`,
    /// `call`, `cancel`, `stop`, `heap` and, at the end, `exit` with the status as its id.
    #[napi(constructor)]
    pub fn new(signal: Function<'_, Words, ()>) -> Result<Self, Thrown> {
        let signal =
            Arc::new(Signal::new(&signal).map_err(|e| {
                thrown(&Error::new(Code::RuntimeInternal).with_message(e.to_string()))
            })?);
        Ok(Self {
            shared: Arc::new(Shared {
                desk: Arc::new(Desk::new(Arc::clone(&signal))),
                signal,
                confine: Mutex::default(),
                log: Mutex::default(),
            }),
        })
    }

    /// Begins to serve the host that started this process, on a thread of its own.
    #[napi]
    pub fn serve(&self) -> Result<(), Thrown> {
        guard(|| {
            let shared = Arc::clone(&self.shared);
            let loader = Arc::new(ProcessLoader {
                inner: NodeLoader {
                    desk: Arc::clone(&shared.desk),
                    tag: String::new(),
                    patience: PATIENCE,
                    given_up: GivenUp::Awaited,
                },
                shared: Arc::clone(&shared),
            });
            std::thread::Builder::new()
                .name("pw-lane-0".into())
                .spawn(move || {
                    let status = serve(loader);
                    shared.signal.send("exit", status as u64, String::new());
                })
                .map_err(|e| Error::new(Code::RuntimeThread).with_cause(e.to_string()))?;
            Ok(())
        })
    }

    /// The last thing before the process exits: ends what the plugin has started.
    #[napi]
    pub fn leave(&self) {
        #[cfg(target_os = "linux")]
        plugward_core::worker::leave();
    }

    /// Confines the calling thread: the answer to the signal `confine`.
    #[napi]
    pub fn confine(&self) -> Result<(), Thrown> {
        guard(|| {
            if let Some((work, tell)) = self.shared.confine.lock().take() {
                let _ = tell.send(work());
            }
            Ok(())
        })
    }

    /// Answers a request that was signalled: `build` or `call`. False where nobody waits any more.
    #[napi]
    pub fn answer(&self, id: f64, answer: String) -> Result<bool, Thrown> {
        guard(|| {
            let answer = read::<Answered>(&answer)?;
            Ok(self.shared.desk.answer(id as u64, answer))
        })
    }

    /// Writes a log line under the plugin's name.
    #[napi]
    pub fn log(&self, _plugin: Option<String>, level: String, text: String) {
        if let Some(log) = self.shared.log.lock().as_ref() {
            log.write(level_of(&level), text);
        }
    }

    /// A worker thread is about to begin; its full heap is signalled as `heap` with this token.
    #[napi]
    pub fn expect_worker(&self, token: f64) {
        heap::expect(token as u64, &self.shared.signal);
    }

    /// A worker thread has ended.
    #[napi]
    pub fn forget_worker(&self, token: f64) {
        heap::forget(token as u64);
    }
}

#[cfg(target_os = "linux")]
fn serve(loader: Arc<dyn Loader>) -> i32 {
    plugward_core::worker::serve(loader)
}

#[cfg(not(target_os = "linux"))]
fn serve(_: Arc<dyn Loader>) -> i32 {
    64
}
