//! Calling a tool.

use crate::callback::{ProgressFn, User, progress};
use crate::error::Error;
use crate::guard::guard;
use crate::outcome::Outcome;
use crate::ownership::{Options, Out, Owned, Shared, Utf8, slice};
use crate::runtime::Runtime;
use plugward_abi::Tensor;
use plugward_core::call::{Args, CallOptions as CoreOptions, OwnedTensor};
use plugward_core::error::Result;
use plugward_core::native::lend_tensor;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

/// How one call is to be made. 0 and NULL are the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CallOptions {
    /// `sizeof(plugward_call_options)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// From now, in milliseconds; 0 takes the tool's, then the plugin's, then the runtime's.
    pub deadline_ms: u64,
    /// CPU tensors that go with the arguments. They must not change during the call; what goes to
    /// another thread or process is copied once, before the plugin is entered.
    pub tensors: *const Tensor,
    /// How many.
    pub tensor_count: usize,
    /// Told how far the call has come.
    pub progress: ProgressFn,
    /// Passed to `progress`.
    pub progress_user: *mut c_void,
}

// SAFETY: repr(C), `struct_size` first; zero is a value of every other member.
unsafe impl Options for CallOptions {
    const NAME: &'static str = "plugward_call_options";
    const FIRST_SIZE: usize = 16 + 4 * size_of::<usize>();
}

impl CallOptions {
    fn to_core(self) -> CoreOptions {
        let user = User::new(self.progress_user, None);
        CoreOptions {
            deadline: (self.deadline_ms != 0).then(|| Duration::from_millis(self.deadline_ms)),
            progress: self
                .progress
                .map(|f| -> Arc<dyn Fn(u64, u64) -> bool + Send + Sync> {
                    Arc::new(move |current, total| progress(f, &user, current, total))
                }),
        }
    }

    fn tensors(&self) -> Result<Vec<OwnedTensor>> {
        let views = slice(self.tensors, self.tensor_count, "options->tensors")?;
        // SAFETY: C promises that each view describes memory that is valid during the call.
        views
            .iter()
            .map(|view| unsafe { lend_tensor(view) })
            .collect()
    }
}

/// Calls a tool with `args`, one JSON object as text (empty for `{}`). `options` may be NULL.
///
/// The returned error speaks of the arguments of this function only; whatever the plugin does, and
/// every refusal (unknown plugin, deadline, a closed runtime), is in the outcome.
///
/// Thread: any; also from inside a plugin's call.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_call(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    tool: Utf8,
    args: Utf8,
    options: Shared<CallOptions>,
    out: Out<Owned<Outcome>>,
) -> Owned<Error> {
    guard("plugward_call", || {
        let out = out.open("out")?;
        // A clone: the plugin's code may free the handle.
        let runtime = runtime.get("runtime")?.0.clone();
        let (plugin, tool) = (plugin.read("plugin")?, tool.read("tool")?);
        let options = options.options()?;
        let tensors = options
            .as_ref()
            .map_or(Ok(Vec::new()), CallOptions::tensors)?;
        let args = Args::from_text(args.read("args")?)?.with_tensors(tensors);
        let options = options.map(CallOptions::to_core).unwrap_or_default();
        let outcome = runtime.call(plugin, tool, args, &options);
        out.set(Outcome::give(outcome));
        Ok(())
    })
}
