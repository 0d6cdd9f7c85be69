//! One runtime: made, closed, freed.

use crate::error::Error;
use crate::guard::guard;
use crate::ownership::{Options, Out, Owned, Shared};
use plugward_core::RuntimeOptions as CoreOptions;
use plugward_core::error::{Code, Error as CoreError, Result};
use std::time::Duration;

/// One instance of Plugward: plugins, calls, health, logs. Several may live in one process.
pub struct Runtime(pub(crate) plugward_core::Runtime);

impl Runtime {
    /// The runtime, where this process made it. A forked child may find any lock held by a thread
    /// that it does not have, so nothing is looked at there.
    pub(crate) fn here(&self) -> Result<&plugward_core::Runtime> {
        if self.0.is_foreign() {
            return Err(CoreError::new(Code::RuntimeForked));
        }
        Ok(&self.0)
    }
}

/// How a runtime is set up. 0 is the default of each member.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RuntimeOptions {
    /// `sizeof(plugward_runtime_options)`.
    pub struct_size: u32,
    /// Log records that may wait for the log callback. Default 1024.
    pub log_queue: u32,
    /// How long a writer waits for a registry lock, in milliseconds. Default 1000.
    pub lock_timeout_ms: u64,
    /// How long construction and validation of one plugin may take, in milliseconds. Default 60000.
    pub load_timeout_ms: u64,
    /// Deadline of calls where neither call, tool nor plugin names one, in milliseconds. Default
    /// none.
    pub default_deadline_ms: u64,
    /// How long closing waits for the log callback, in milliseconds. Default 500.
    pub close_patience_ms: u64,
    /// How long a reload or a stop waits for the calls under way, in milliseconds. Default 30000.
    pub drain_timeout_ms: u64,
}

// SAFETY: repr(C) of integers, `struct_size` first.
unsafe impl Options for RuntimeOptions {
    const NAME: &'static str = "plugward_runtime_options";
    const FIRST_SIZE: usize = 48;
}

impl RuntimeOptions {
    fn to_core(self) -> CoreOptions {
        let mut core = CoreOptions::default();
        let ms = |n: u64| (n != 0).then(|| Duration::from_millis(n));
        core.lock_timeout = ms(self.lock_timeout_ms).unwrap_or(core.lock_timeout);
        core.load_timeout = ms(self.load_timeout_ms).unwrap_or(core.load_timeout);
        core.default_deadline = ms(self.default_deadline_ms);
        core.close_patience = ms(self.close_patience_ms).unwrap_or(core.close_patience);
        core.drain_timeout = ms(self.drain_timeout_ms).unwrap_or(core.drain_timeout);
        if self.log_queue != 0 {
            core.log_queue = self.log_queue as usize;
        }
        core
    }
}

/// Makes a runtime and starts its timer thread. `options` may be NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_runtime_new(
    options: Shared<RuntimeOptions>,
    out: Out<Owned<Runtime>>,
) -> Owned<Error> {
    guard("plugward_runtime_new", || {
        let out = out.open("out")?;
        let options = options
            .options()?
            .map(RuntimeOptions::to_core)
            .unwrap_or_default();
        out.set(Owned::give(Runtime(plugward_core::Runtime::new(options)?)));
        Ok(())
    })
}

/// Takes no further calls, ends all plugins and flushes the log. A second time does nothing.
///
/// Calls under way are left to end; their results are refused as stale.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_runtime_close(runtime: Shared<Runtime>) -> Owned<Error> {
    guard("plugward_runtime_close", || {
        runtime.get("runtime")?.here()?.close();
        Ok(())
    })
}

/// Closes a runtime and ends it. NULL is nothing to end.
///
/// Plugin code that still runs on an abandoned thread keeps what it needs alive; `destroy` of its
/// callbacks follows when it has returned. In a forked child nothing is ended: what the runtime
/// holds belongs to the parent.
///
/// Thread: any, while no other thread is inside a function of this runtime.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_runtime_free(runtime: Owned<Runtime>) {
    guard("plugward_runtime_free", || {
        match runtime.take() {
            Some(runtime) if runtime.0.is_foreign() => std::mem::forget(runtime),
            Some(runtime) => runtime.0.close(),
            None => {}
        }
        Ok(())
    })
}
