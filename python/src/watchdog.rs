//! A timer thread for questions that belong to no runtime (an outcome may outlive its own).

use plugward_core::deadline::Watchdog;
use plugward_core::platform::fork_epoch;
use plugward_core::runtime::Interrupter;
use std::sync::{Arc, Mutex, PoisonError};

use crate::interrupt::Interrupts;

static SHARED: Mutex<Option<(u32, Arc<Watchdog>)>> = Mutex::new(None);

/// Runs `body` with the process's own timer thread, a new one in a forked child.
pub(crate) fn with<R>(body: impl FnOnce(&Watchdog) -> Option<R>) -> Option<R> {
    let epoch = fork_epoch();
    let dog = {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        match shared.as_ref() {
            Some((born, dog)) if *born == epoch => Arc::clone(dog),
            _ => {
                let interrupts = Interrupts::default();
                let made = Watchdog::start(Box::new(move |e| interrupts.interrupt(e))).ok()?;
                let dog = Arc::new(made);
                if let Some((_, old)) = shared.replace((epoch, Arc::clone(&dog))) {
                    // Its thread stayed in the parent; there is nothing to end here.
                    std::mem::forget(old);
                }
                dog
            }
        }
    };
    body(&dog)
}
