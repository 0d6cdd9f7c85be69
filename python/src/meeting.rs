//! Where a caller and the pool thread that works for it meet.

use crate::ending;
use crate::fault::Answer;
use crate::progress::Report;
use plugward_core::sandbox::{Handoff, Next, Stage};
use plugward_core::sync::Mutex;
use pyo3::prelude::*;
use std::time::Instant;

/// The core's meeting point, and the callable that wakes an event loop in place of a thread.
#[derive(Default)]
pub(crate) struct Meeting {
    handoff: Handoff<Answer, Report>,
    notify: Mutex<Option<Py<PyAny>>>,
}

impl Meeting {
    /// A meeting whose caller is an event loop: `notify` is called on the pool thread.
    pub(crate) fn with_notify(notify: Py<PyAny>) -> Self {
        Self {
            handoff: Handoff::default(),
            notify: Mutex::new(Some(notify)),
        }
    }

    /// Begins the work; false when the caller has left already.
    pub(crate) fn begin(&self) -> bool {
        self.handoff.begin()
    }

    /// Hands the answer over; false when nobody waits for it.
    pub(crate) fn finish(&self, answer: Answer) -> bool {
        let taken = self.handoff.finish(answer).is_ok();
        if taken {
            self.wake();
        }
        taken
    }

    /// Sends a report to the caller's thread; false when nobody will take it.
    pub(crate) fn post(&self, report: Report) -> bool {
        let taken = self.handoff.post(report).is_ok();
        if taken {
            self.wake();
        }
        taken
    }

    /// Waits for what concerns the caller.
    pub(crate) fn next(&self, until: Option<Instant>) -> Next<Answer, Report> {
        self.handoff.next(until)
    }

    /// The caller leaves.
    pub(crate) fn abandon(&self) -> Stage {
        drop(self.notify.lock().take());
        self.handoff.abandon()
    }

    fn wake(&self) {
        if self.notify.lock().is_none() {
            return;
        }
        ending::attach(|py| {
            let notify = self.notify.lock().as_ref().map(|n| n.clone_ref(py));
            if let Some(notify) = notify {
                // It fails where the loop has been closed: then nobody waits any more.
                let _ = notify.bind(py).call0();
            }
        });
    }
}
