//! What a kind of plugin must be able to do.

use super::{Args, Checkpoints, Fault, OwnedTensor, Reply};
use crate::check::Finding;
use crate::error::{Error, Result};
use crate::log::Logger;
use crate::manifest::{Manifest, ToolSpec};
use crate::registry::Tool;
use crate::sandbox::ThreadHost;
use plugward_abi::DType;
use serde_json::Value;
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

/// A dense CPU array that lies somewhere else and must not be written.
#[derive(Clone, Copy)]
pub struct TensorView<'a> {
    /// Element type.
    pub dtype: DType,
    /// Sizes, in elements; compact row-major.
    pub shape: &'a [i64],
    /// Its bytes.
    pub data: &'a [u8],
    /// What keeps them where they are beyond the call, where anything can.
    pub keep: Option<&'a Keep>,
}

/// As long as one of its clones lives, the memory of a [`TensorView`] is not used for anything else.
pub type Keep = Arc<dyn Any + Send + Sync>;

/// Reports (current, total); false asks the plugin to stop.
pub type Reporter = Arc<dyn Fn(u64, u64) -> bool + Send + Sync>;

/// One call on its way to an executor.
pub struct Call<'a> {
    /// The plugin's name.
    pub plugin: &'a str,
    /// The tool.
    pub tool: &'a Tool,
    /// The arguments.
    pub args: &'a Args,
    /// When it must have ended.
    pub deadline: Option<Instant>,
    /// Unique in the process.
    pub call_id: u64,
    /// Whether the caller has given up or the deadline has passed.
    pub should_stop: &'a (dyn Fn() -> bool + Sync),
    /// Reports (current, total); false asks the plugin to stop.
    pub progress: &'a (dyn Fn(u64, u64) -> bool + Sync),
    /// The same for an object that may outlive the call, where there can be one.
    pub reporter: Option<&'a Reporter>,
}

/// How a call that was begun stands.
pub enum Look {
    /// Nothing new: sleep while the word still holds this.
    Waiting(u32),
    /// Its thread has ended, its process may take a moment longer: [`Underway::bury`] blocks.
    Dying,
    /// It has ended.
    Done(std::result::Result<Reply, Fault>),
}

/// A call that was begun and that no thread waits for.
pub trait Underway: Send {
    /// What changes when there is something to see: a futex that other processes may wake.
    fn word(&self) -> &AtomicU32;

    /// Looks, and hands progress on; never blocks. After [`Look::Done`] it must not be asked again.
    fn look(&mut self, progress: &(dyn Fn(u64, u64) -> bool + Sync)) -> Look;

    /// Waits for the end of a process whose thread has ended.
    fn bury(&mut self) -> Fault;

    /// Nobody wants the answer any more: the plugin is told to stop, and ended by force after a grace
    /// period where that harms no other call.
    fn cancel(&mut self);

    /// When it wants to be looked at, whether or not its word changes.
    fn wakes_at(&self) -> Option<Instant> {
        None
    }

    /// The deadline has passed: ends the call by force.
    fn expire(&mut self) -> Fault;
}

/// Runs one generation of a plugin. Dropped after its last call.
pub trait Executor: Send + Sync + 'static {
    /// Runs one tool. A panic is caught by the caller.
    ///
    /// # Errors
    /// The fault, as precisely as it can be told.
    fn call(&self, call: &Call<'_>) -> std::result::Result<Reply, Fault>;

    /// The same with arrays that lie in the memory that host and worker share; they are valid until
    /// it returns. Executors that can look at them in place should.
    ///
    /// # Errors
    /// As [`Executor::call`].
    fn call_views(
        &self,
        call: &Call<'_>,
        views: &[TensorView<'_>],
    ) -> std::result::Result<Reply, Fault> {
        let owned = |v: &TensorView<'_>| OwnedTensor {
            dtype: v.dtype,
            shape: v.shape.to_vec(),
            data: v.data.to_vec().into(),
        };
        let args = Args::from_checked_text(call.args.text().to_owned())
            .with_tensors(views.iter().map(owned).collect());
        self.call(&Call {
            args: &args,
            ..*call
        })
    }

    /// Whether calls can be begun and awaited without a thread.
    fn can_begin(&self) -> bool {
        false
    }

    /// Begins a call that needs no thread to wait for it; `None` where only [`Executor::call`] will
    /// do. The arguments are not needed any more once it returns.
    fn begin(&self, _call: &Call<'_>) -> Option<std::result::Result<Box<dyn Underway>, Fault>> {
        None
    }

    /// Whether [`Executor::cancel`] does anything.
    fn hears_cancel(&self) -> bool {
        false
    }

    /// Nobody wants the answer of a call that is under way: interrupts it, if it still is. Must not
    /// block. What looks at [`Call::should_stop`] or reports progress hears of it without.
    fn cancel(&self, _call_id: u64) {}

    /// The process that runs its calls, where there is one.
    fn pid(&self) -> Option<u32> {
        None
    }

    /// Whether it can take calls at all: false once the process that runs them has ended.
    fn is_alive(&self) -> bool {
        true
    }

    /// Which mechanism holds each limit and permission, where any does.
    fn enforcement(&self) -> Option<&Value> {
        None
    }

    /// Takes up the last checkpoint of the generation before; once, before [`Executor::validate`].
    /// False where the plugin knows of no such thing, or a worker has done it already.
    ///
    /// # Errors
    /// [`Code::LoadRestore`](crate::error::Code::LoadRestore) with the plugin's own words.
    fn restore(&self, _state: &[u8]) -> Result<bool> {
        Ok(false)
    }

    /// The same for a generation that was built before anybody knew the state: a warm spare.
    ///
    /// # Errors
    /// As [`Executor::restore`], or that it was not done by `until`.
    fn restore_late(&self, state: &[u8], _until: Instant) -> Result<()> {
        self.restore(state).map(|_| ())
    }

    /// The plugin's own word on whether it is fit.
    ///
    /// # Errors
    /// Why it is not.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// The generation ends; calls may still be on their way out.
    fn stop(&self) {}

    /// Waits until what [`Executor::stop`] began is over, at most until `until`.
    fn wait_ended(&self, _until: Instant) {}

    /// For a door that wants its own type back.
    fn as_any(&self) -> &dyn Any;
}

/// What a loader is told besides the manifest.
pub struct BuildContext {
    /// The generation that begins.
    pub generation: u32,
    /// Writes log lines under the plugin's name.
    pub log: Logger,
    /// How long the load may take in all.
    pub timeout: Duration,
    /// To be told of an end of the generation that no call sees.
    pub on_death: DeathNotice,
    /// Whether it takes the place of a generation that still serves: a hot swap.
    pub replaces: bool,
    /// Where its checkpoints go, and the one that the generation before left.
    pub checkpoints: Checkpoints,
}

/// Tells the runtime that a generation has ended outside a call.
#[derive(Clone, Default)]
pub struct DeathNotice(Option<Arc<Tell>>);

type Tell = dyn Fn(&Error) + Send + Sync;

impl DeathNotice {
    /// A notice that runs `tell`.
    #[must_use]
    pub fn new(tell: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(tell)))
    }

    /// The generation has ended, and this is why. Does not block.
    pub fn tell(&self, error: &Error) {
        if let Some(tell) = &self.0 {
            tell(error);
        }
    }
}

/// One tool of a built plugin, with whatever the door keeps for it.
pub struct BuiltTool {
    /// Its description.
    pub spec: ToolSpec,
    /// The door's own.
    pub handle: Option<Arc<dyn Any + Send + Sync>>,
}

/// A constructed plugin.
pub struct Built {
    /// Runs its calls.
    pub executor: Arc<dyn Executor>,
    /// Its tools; empty means the manifest's.
    pub tools: Vec<BuiltTool>,
}

/// Work that confines the thread it runs on, and every thread that one starts; answers by which
/// mechanisms.
pub type Confine = Box<dyn FnOnce() -> Result<Value> + Send>;

/// Makes generations of one kind of plugin, or of one plugin.
pub trait Loader: Send + Sync + 'static {
    /// Checks dependencies that only this kind knows (packages).
    fn check(&self, _manifest: &Manifest) -> Vec<Finding> {
        Vec::new()
    }

    /// Imports and constructs.
    ///
    /// # Errors
    /// With the code of the step that failed: `LoadEntrypoint`, `LoadImport`, `LoadConstruct`...
    fn build(&self, manifest: &Manifest, context: &BuildContext) -> Result<Built>;

    /// Runs `work` on the thread that will run the plugin's code, before it has seen any: some of
    /// the kernel's mechanisms hold one thread and those that it starts. Worker processes ask this.
    ///
    /// # Errors
    /// What `work` answers, or why it could not run.
    fn confined(&self, work: Confine) -> Result<Value> {
        work()
    }

    /// Where what runs its plugins finds modules and packages: a plugin may always read there. Worker
    /// processes ask this, before they confine themselves.
    fn code(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Whether its plugins run in processes of their own.
    fn isolates(&self) -> bool {
        false
    }

    /// The runtime is closed: no more generations will be asked for.
    fn close(&self) {}

    /// Prepares threads that run this kind of plugin.
    fn thread_host(&self) -> Option<Arc<dyn ThreadHost>> {
        None
    }
}
