//! The one wall around every export: no panic crosses it.

use crate::error::Error;
use crate::ownership::{Owned, Shared};
use plugward_abi::Bytes;
use plugward_core::error::{Code, Error as CoreError, Result};
use plugward_core::runtime::panic_text;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What an export returns: made from a good answer or from an error.
pub(crate) trait Answer {
    /// What the body answers.
    type Good;
    /// All went well.
    fn good(value: Self::Good) -> Self;
    /// It did not; functions that return no error answer neutrally.
    fn bad(error: CoreError) -> Self;
}

impl Answer for Owned<Error> {
    type Good = ();
    fn good((): ()) -> Self {
        Self::NULL
    }
    fn bad(error: CoreError) -> Self {
        Self::give(Error::new(error))
    }
}

/// Types that are their own good answer, with their neutral value.
macro_rules! neutral {
    ($($type:ty = $value:expr;)*) => { $(
        impl Answer for $type {
            type Good = Self;
            fn good(value: Self) -> Self {
                value
            }
            fn bad(_: CoreError) -> Self {
                $value
            }
        }
    )* };
}

neutral! {
    () = ();
    Bytes = Bytes::EMPTY;
    Shared<Error> = Shared::NULL;
    bool = false;
    u32 = 0;
    u64 = 0;
    usize = 0;
    f64 = 0.0;
    i32 = plugward_abi::STATUS_ERROR;
    *mut u8 = std::ptr::null_mut();
}

/// Runs the body of the exported function `name`; a panic becomes [`Code::RuntimeInternal`].
pub(crate) fn guard<A: Answer>(name: &'static str, body: impl FnOnce() -> Result<A::Good>) -> A {
    let run = AssertUnwindSafe(|| {
        panic_if_asked(name);
        body()
    });
    match catch_unwind(run) {
        Ok(Ok(value)) => A::good(value),
        Ok(Err(error)) => A::bad(error),
        Err(panic) => A::bad(internal(name, &panic_text(&*panic))),
    }
}

fn internal(name: &str, text: &str) -> CoreError {
    CoreError::new(Code::RuntimeInternal).with_message(format!("{name} panicked: {text}"))
}

/// Panics where a test asks for it by name.
#[cfg(feature = "fault-injection")]
#[allow(clippy::panic, reason = "the injected fault")]
fn panic_if_asked(name: &str) {
    if std::env::var_os("PLUGWARD_TEST_PANIC").is_some_and(|asked| asked == name) {
        panic!("injected into {name}");
    }
}

#[cfg(not(feature = "fault-injection"))]
fn panic_if_asked(_: &str) {}
