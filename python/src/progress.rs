//! A progress callback of the caller, called by a plugin on another thread: the call travels to
//! the caller's thread, its answer or exception travels back.

use crate::meeting::Meeting;
use crate::names;
use plugward_core::call::Reporter;
use plugward_core::sandbox::{Handoff, Next};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

type Reply = Handoff<Option<PyResult<Py<PyAny>>>>;

/// One call of the callback, on its way to the caller's thread.
pub(crate) struct Report {
    args: Py<PyTuple>,
    kwargs: Option<Py<PyDict>>,
    /// Gone once it has been answered: a second answer would replace one that is not yet read.
    reply: Option<Arc<Reply>>,
}

impl Report {
    /// Calls the callback, on the thread that it belongs to.
    pub(crate) fn answer(mut self, py: Python<'_>, callback: &Bound<'_, PyAny>) {
        let kwargs = self.kwargs.as_ref().map(|k| k.bind(py));
        let answer = callback.call(self.args.bind(py), kwargs).map(Bound::unbind);
        if let Some(reply) = self.reply.take() {
            let _ = reply.finish(Some(answer));
        }
    }
}

impl Drop for Report {
    /// Nobody will answer: the plugin must not wait.
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            let _ = reply.finish(None);
        }
    }
}

/// What a plugin on another thread gets in place of its caller's callback.
#[pyclass(frozen, module = "plugward")]
pub(crate) struct Progress {
    meeting: Weak<Meeting>,
}

impl Progress {
    /// For the plugin's side of `meeting`.
    pub(crate) fn new(meeting: &Arc<Meeting>) -> Self {
        Self {
            meeting: Arc::downgrade(meeting),
        }
    }

    fn left(py: Python<'_>) -> PyErr {
        match names::deadline_exceeded(py).and_then(|c| c.call1(("the caller has left",))) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    }
}

#[pymethods]
impl Progress {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(
        &self,
        py: Python<'_>,
        args: Bound<'_, PyTuple>,
        kwargs: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let Some(meeting) = self.meeting.upgrade() else {
            return Err(Self::left(py));
        };
        let reply = Arc::new(Reply::default());
        reply.begin();
        let report = Report {
            args: args.unbind(),
            kwargs: kwargs.map(Bound::unbind),
            reply: Some(Arc::clone(&reply)),
        };
        let answer = py.detach(move || {
            // A report that is not taken is dropped, and so answers itself.
            let _ = meeting.post(report);
            drop(meeting);
            match reply.next(None) {
                Next::Done(answer) => answer,
                Next::Message(()) | Next::Deadline => None,
            }
        });
        answer.unwrap_or_else(|| Err(Self::left(py)))
    }
}

/// What a plugin in a worker process gets in place of its caller's callback: two numbers cross, the
/// current and the total, and nothing comes back but "stop".
#[pyclass(frozen, module = "plugward")]
pub(crate) struct WorkerProgress {
    report: Reporter,
    over: AtomicBool,
    stopped: AtomicBool,
}

impl WorkerProgress {
    pub(crate) fn new(report: Reporter) -> Self {
        Self {
            report,
            over: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        }
    }

    /// The call has ended; whether it was told to stop.
    pub(crate) fn end(&self) -> bool {
        self.over.store(true, Ordering::Release);
        self.stopped.load(Ordering::Acquire)
    }
}

/// Numbers of any kind; what is none counts as 0.
fn number(args: &Bound<'_, PyTuple>, at: usize) -> u64 {
    let found = args.get_item(at).and_then(|n| n.extract::<f64>());
    found.unwrap_or_default() as u64
}

#[pymethods]
impl WorkerProgress {
    #[pyo3(signature = (*args, **_kwargs))]
    fn __call__(
        &self,
        py: Python<'_>,
        args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let go_on =
            !self.over.load(Ordering::Acquire) && (self.report)(number(args, 0), number(args, 1));
        if go_on {
            return Ok(());
        }
        self.stopped.store(true, Ordering::Release);
        Err(Progress::left(py))
    }
}
