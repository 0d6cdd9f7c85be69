//! One instance of Plugward in a host process.

#[cfg(target_os = "linux")]
mod awaited;
mod build;
mod check;
mod depends;
#[cfg(target_os = "linux")]
mod lease;
mod load;
mod options;
#[cfg(target_os = "linux")]
mod pump;
mod reload;
mod report;
mod run;
mod stop;
mod view;
mod workers;

#[cfg(target_os = "linux")]
pub use awaited::{Awaited, Begun, Done};
pub(crate) use build::build_caught;
pub use options::RuntimeOptions;
pub use report::LoadReport;
pub use run::{Inside, panic_text, unless_replaced};

use crate::call::{CallOptions, Entry, Loader, Target, Ticket};
use crate::check::Surroundings;
use crate::deadline::{Expired, Watchdog};
use crate::error::{Code, Error, Result};
use crate::log::LogHub;
use crate::manifest::Kind;
use crate::native::NativeLoader;
use crate::platform::fork_epoch;
use crate::registry::{Registry, Services, unknown};
use crate::sync::Mutex;
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Told of a call on its own thread whose deadline has passed; must not block. Python raises an
/// exception in the thread.
pub trait Interrupter: Send + Sync {
    /// Tries to stop the call. [`crate::deadline::Slot::deliver`] says whether it is still under
    /// way.
    fn interrupt(&self, expired: &Expired);
}

type Interrupt = ArcSwapOption<Box<dyn Interrupter>>;

/// One instance of Plugward: registry, calls, health, logs. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    registry: Arc<Registry>,
    services: Arc<Services>,
    watchdog: Watchdog,
    interrupter: Arc<Interrupt>,
    loaders: Mutex<HashMap<Kind, Arc<dyn Loader>>>,
    workers: Mutex<HashMap<Kind, workers::Offer>>,
    surroundings: ArcSwapOption<Arc<dyn Surroundings>>,
    options: RuntimeOptions,
    closed: AtomicBool,
    forks: u32,
    #[cfg(target_os = "linux")]
    pump: Mutex<Option<Arc<pump::Pump>>>,
}

#[cfg(target_os = "linux")]
impl Inner {
    /// What sees awaited calls to their end; its thread is started by the first of them.
    fn pump(&self) -> Result<Arc<pump::Pump>> {
        let mut pump = self.pump.lock();
        match &*pump {
            Some(pump) => Ok(Arc::clone(pump)),
            None => Ok(Arc::clone(pump.insert(pump::Pump::start()?))),
        }
    }
}

/// A runtime that may be gone.
pub(crate) struct WeakRuntime(std::sync::Weak<Inner>);

impl WeakRuntime {
    pub(crate) fn upgrade(&self) -> Option<Runtime> {
        self.0.upgrade().map(Runtime)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.services.log.close();
    }
}

impl Runtime {
    /// Makes a runtime and starts its timer thread.
    ///
    /// # Errors
    /// [`Code::RuntimeOption`] or [`Code::RuntimeThread`].
    pub fn new(options: RuntimeOptions) -> Result<Self> {
        options.check()?;
        #[cfg(target_os = "linux")]
        crate::worker::sweep();
        let forks = fork_epoch();
        let log = LogHub::new(options.log_queue);
        let services = Arc::new(Services::new(log, options.lock_timeout));
        let registry = Arc::new(Registry::new(Arc::clone(&services)));
        let interrupter = Arc::new(Interrupt::empty());
        let watchdog = Watchdog::start(on_expired(&registry, &interrupter))?;
        let native: Arc<dyn Loader> = Arc::new(NativeLoader);
        let loaders = Mutex::new(HashMap::from([(Kind::Native, native)]));
        let closed = AtomicBool::new(false);
        let inner = Inner {
            registry,
            services,
            watchdog,
            interrupter,
            loaders,
            workers: Mutex::default(),
            surroundings: ArcSwapOption::empty(),
            options,
            closed,
            forks,
            #[cfg(target_os = "linux")]
            pump: Mutex::default(),
        };
        let rt = Self(Arc::new(inner));
        let weak = rt.downgrade();
        rt.0.services.on_failed(Box::new(move |plugin, generation| {
            if let Some(rt) = weak.upgrade() {
                rt.generation_failed(plugin, generation);
            }
        }));
        Ok(rt)
    }

    pub(crate) fn downgrade(&self) -> WeakRuntime {
        WeakRuntime(Arc::downgrade(&self.0))
    }

    /// Which plugins there are.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The timer thread.
    #[must_use]
    pub fn watchdog(&self) -> &Watchdog {
        &self.0.watchdog
    }

    /// The log path.
    #[must_use]
    pub fn log(&self) -> &LogHub {
        &self.0.services.log
    }

    /// Loads plugins of `kind` with `loader` from now on.
    pub fn set_loader(&self, kind: Kind, loader: Arc<dyn Loader>) {
        self.0.loaders.lock().insert(kind, loader);
    }

    /// Stops calls on their own thread with `interrupter` from now on.
    pub fn set_interrupter(&self, interrupter: Box<dyn Interrupter>) {
        self.0.interrupter.store(Some(Arc::new(interrupter)));
    }

    /// Whether the runtime takes calls at all.
    ///
    /// # Errors
    /// [`Code::RuntimeForked`] in a forked child, [`Code::RuntimeClosed`] after `close`.
    pub fn usable(&self) -> Result<()> {
        if self.is_foreign() {
            return Err(Error::new(Code::RuntimeForked));
        }
        if self.0.closed.load(Ordering::Relaxed) {
            return Err(Error::new(Code::RuntimeClosed));
        }
        Ok(())
    }

    /// Whether this process was forked after the runtime was made.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.0.forks != fork_epoch()
    }

    /// Looks a tool up and sees whether its plugin admits calls now.
    ///
    /// # Errors
    /// Unknown names, the plugin's state, or an unusable runtime.
    pub fn find(&self, plugin: &str, tool: &str) -> Result<Target> {
        self.usable()?;
        let snapshot = self.0.registry.snapshot();
        let found = snapshot
            .get(plugin)
            .ok_or_else(|| unknown(plugin, &snapshot))?;
        // A second look where the next generation has just become fit.
        let present = || {
            let status = found.word.load();
            let generation = found.generation.load_full();
            let fit = generation.filter(|_| status.state.is_available());
            fit.or_else(|| found.awaited()).ok_or(status)
        };
        let generation = present()
            .or_else(|_| present())
            .map_err(|status| found.refusal(status))?;
        let tool = generation.tool_index(&found.name, tool)?;
        Ok(Target {
            plugin: Arc::clone(found),
            generation,
            tool,
        })
    }

    /// Admits a call, waiting for its turn if need be. For doors that run the code themselves and
    /// need neither validation nor a choice about blocking.
    ///
    /// # Errors
    /// As [`Runtime::find`], and a full queue.
    pub fn enter(&self, plugin: &str, tool: &str, options: &CallOptions) -> Result<Ticket> {
        unless_replaced(|| {
            let target = self.find(plugin, tool)?;
            let deadline = target.deadline(options).or(self.0.options.default_deadline);
            match target.enter(deadline) {
                Entry::Admitted(ticket) => Ok(ticket),
                Entry::Refused(error) => Err(error),
                Entry::Full(waiting) => waiting.wait(),
            }
        })
    }

    /// Takes no further calls from now on. True the first time: whoever is told so ends what is left.
    #[doc(hidden)]
    #[must_use]
    pub fn close_once(&self) -> bool {
        !self.is_foreign() && !self.0.closed.swap(true, Ordering::AcqRel)
    }

    /// How long import, construction and validation of one plugin may take.
    pub(crate) fn load_timeout(&self) -> Duration {
        self.0.options.load_timeout
    }

    /// The deadline of calls that name none anywhere.
    #[must_use]
    pub fn default_deadline(&self) -> Option<Duration> {
        self.0.options.default_deadline
    }
}

/// What the timer thread does with a call that overstays on its own thread: the plugin is FAILED
/// at once, so that nobody else enters it, and the door tries to stop the call.
fn on_expired(
    registry: &Arc<Registry>,
    interrupter: &Arc<Interrupt>,
) -> Box<crate::deadline::OnExpired> {
    let registry = Arc::downgrade(registry);
    let interrupter = Arc::clone(interrupter);
    Box::new(move |expired: &Expired| {
        let Some(registry) = registry.upgrade() else {
            return;
        };
        let (id, generation) = ((expired.subject >> 32) as u32, expired.subject as u32);
        if let Some(plugin) = registry.by_id(id) {
            let error = Error::new(Code::CallDeadline).with_message(format!(
                "a call of plugin \"{}\" on its caller's thread did not end before its deadline",
                plugin.name
            ));
            plugin.fail(generation, &error);
        }
        if let Some(interrupter) = interrupter.load_full() {
            interrupter.interrupt(expired);
        }
    })
}
