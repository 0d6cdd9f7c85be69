//! Callers that may leave before their call has ended, of plugins that do not run in this process's
//! JavaScript.

use crate::runtime::NativeRuntime;
use napi_derive::napi;
#[cfg(target_os = "linux")]
use plugward_core::runtime::Awaited;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How the core is told that a call's caller has left.
pub(crate) enum Leaving {
    /// No thread waits for it: it is withdrawn, or told to stop and ended after a grace.
    #[cfg(target_os = "linux")]
    Awaited(Awaited),
    /// A helper waits for it: the plugin hears of it when it next reports how far it is.
    OnHelper(Arc<AtomicBool>),
}

impl Leaving {
    fn leave(self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Awaited(awaited) => awaited.cancel(),
            Self::OnHelper(gone) => gone.store(true, Ordering::SeqCst),
        }
    }
}

#[napi]
impl NativeRuntime {
    /// Nobody wants the answer of `call` number `id` any more, and nobody may be told it.
    #[napi]
    pub fn leave(&mut self, id: f64) {
        if let Some(leaving) = self.leaving.remove(&(id as u64)) {
            leaving.leave();
        }
    }

    /// `call` number `id` has ended.
    #[napi]
    pub fn forget(&mut self, id: f64) {
        self.leaving.remove(&(id as u64));
    }
}
