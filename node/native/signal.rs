//! The one way from Rust to JavaScript: `signal(kind, id, payload)` on the event loop of the thread
//! that made the runtime.

use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};

/// What JavaScript is told: kind, id and JSON.
pub(crate) type Words = FnArgs<(String, f64, String)>;
type Raw = ThreadsafeFunction<Words, (), Words, napi::Status, false, true, 0>;

/// Tells JavaScript. It does not keep the event loop alive: who waits does that.
pub(crate) struct Signal(Raw);

impl Signal {
    /// Takes the JavaScript function.
    pub(crate) fn new(function: &Function<'_, Words, ()>) -> napi::Result<Self> {
        let built = function.build_threadsafe_function::<Words>();
        Ok(Self(
            built.callee_handled::<false>().weak::<true>().build()?,
        ))
    }

    /// Queues one signal; never blocks. After the environment has ended nobody hears it.
    pub(crate) fn send(&self, kind: &str, id: u64, payload: String) {
        let words = FnArgs::from((kind.to_owned(), id as f64, payload));
        let _ = self.0.call(words, ThreadsafeFunctionCallMode::NonBlocking);
    }
}
