//! Outcomes of awaited calls of worker processes, on their way to an event loop.
//!
//! The runtime's own threads put letters in and write one byte into a pipe that the loop reads; they
//! never wait for the interpreter. What lies in the box is delivered in one go. Rejected:
//! `call_soon_threadsafe` from those threads, which must take the interpreter first and so would be
//! late for other plugins' deadlines.

use crate::call::{self, Request};
use crate::outcome::Outcome;
use crate::runtime::Runtime;
use plugward_core::call::{CallOptions, Outcome as CoreOutcome};
use plugward_core::runtime::{Awaited, Begun};
use plugward_core::sync::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

enum Letter {
    Over(Py<PyAny>, Box<CoreOutcome>),
    Report(Arc<Reports>),
}

/// What a call has reported and its loop has not seen yet: the latest only.
struct Reports {
    callback: Py<PyAny>,
    current: AtomicU64,
    total: AtomicU64,
    posted: AtomicBool,
    stop: AtomicBool,
}

struct Post {
    letters: Mutex<Vec<Letter>>,
    reader: PipeReader,
    writer: PipeWriter,
}

impl Post {
    fn put(&self, letter: Letter) {
        let mut letters = self.letters.lock();
        if letters.is_empty() {
            // The pipe holds at most this one byte, so this cannot block.
            let _ = (&self.writer).write(&[1]);
        }
        letters.push(letter);
    }

    fn take(&self) -> Vec<Letter> {
        let mut letters = self.letters.lock();
        if !letters.is_empty() {
            let _ = (&self.reader).read(&mut [0]);
        }
        std::mem::take(&mut letters)
    }
}

/// One event loop's letters.
#[pyclass(frozen, module = "plugward._native")]
pub(crate) struct Mailbox(Arc<Post>);

/// How a call of a worker process begins.
#[derive(IntoPyObject)]
pub(crate) enum Sent {
    /// It is over.
    Over(Py<Outcome>),
    /// The future will be told.
    Away(Py<AwaitedCall>),
    /// A thread must wait for it.
    Thread(Option<()>),
}

#[pymethods]
impl Mailbox {
    #[new]
    fn new() -> PyResult<Self> {
        let (reader, writer) = std::io::pipe()?;
        Ok(Self(Arc::new(Post {
            letters: Mutex::default(),
            reader,
            writer,
        })))
    }

    /// What the loop watches for reading.
    fn fileno(&self) -> RawFd {
        self.0.reader.as_raw_fd()
    }

    /// Sets results and hands reports on; for the loop's thread.
    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        self.0
            .take()
            .into_iter()
            .try_for_each(|letter| match letter {
                Letter::Over(future, outcome) => resolve(future.bind(py), *outcome),
                Letter::Report(reports) => {
                    reports.hand_on(py);
                    Ok(())
                }
            })
    }

    /// Begins a call whose outcome `future` will hold.
    #[pyo3(signature = (runtime, future, plugin, tool, args, deadline_ms, progress))]
    #[allow(clippy::too_many_arguments, reason = "they are the call's own")]
    fn send<'py>(
        &self,
        py: Python<'py>,
        runtime: &Bound<'py, Runtime>,
        future: Py<PyAny>,
        plugin: &Bound<'py, PyString>,
        tool: &Bound<'py, PyString>,
        args: Option<&Bound<'py, PyAny>>,
        deadline_ms: Option<f64>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Sent> {
        let args = args.map(crate::convert::mapping).transpose()?;
        let ask = Request {
            plugin,
            tool,
            args: args.as_ref(),
            deadline_ms,
            progress,
        };
        self.sent(py, runtime.get(), future, &ask)
    }
}

impl Mailbox {
    fn sent<'py>(
        &self,
        py: Python<'py>,
        runtime: &Runtime,
        future: Py<PyAny>,
        ask: &Request<'_, 'py>,
    ) -> PyResult<Sent> {
        let over = |outcome| Py::new(py, outcome).map(Sent::Over);
        let prepared = call::deadline(ask.deadline_ms)
            .and_then(|d| Ok((d, call::foreign_args(runtime, ask)?)));
        let (deadline, args) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return over(Outcome::refused(ask.plugin, ask.tool, error)),
        };
        let reports = ask.progress.map(|callback| Reports::new(callback));
        let options = CallOptions {
            deadline,
            progress: reports.map(|r| r.reporter(&self.0)),
        };
        let post = Arc::clone(&self.0);
        let done = Box::new(move |outcome| post.put(Letter::Over(future, Box::new(outcome))));
        let core = runtime.core().clone();
        let (plugin, tool) = (ask.plugin.to_string(), ask.tool.to_string());
        let begun = py.detach(
            move || match core.start(&plugin, &tool, args, options, done) {
                Begun::Elsewhere(..) => None,
                begun => Some(begun),
            },
        );
        match begun {
            Some(Begun::Over(outcome)) => over(Outcome::of(py, outcome)?),
            Some(Begun::Awaited(awaited)) => Py::new(py, AwaitedCall(awaited)).map(Sent::Away),
            Some(Begun::Elsewhere(..)) | None => Ok(Sent::Thread(None)),
        }
    }
}

/// Whoever awaits it may have left, or its loop may have ended.
fn resolve(future: &Bound<'_, PyAny>, outcome: CoreOutcome) -> PyResult<()> {
    if future.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    let made = Outcome::of(future.py(), outcome)?;
    future.call_method1("set_result", (made,)).map(|_| ())
}

impl Reports {
    fn new(callback: &Bound<'_, PyAny>) -> Arc<Self> {
        Arc::new(Self {
            callback: callback.clone().unbind(),
            current: AtomicU64::new(0),
            total: AtomicU64::new(0),
            posted: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        })
    }

    /// What the core calls; false once a callback has raised.
    fn reporter(self: Arc<Self>, post: &Arc<Post>) -> Arc<dyn Fn(u64, u64) -> bool + Send + Sync> {
        let post = Arc::clone(post);
        Arc::new(move |current, total| {
            self.current.store(current, Ordering::Relaxed);
            self.total.store(total, Ordering::Relaxed);
            if !self.posted.swap(true, Ordering::AcqRel) {
                post.put(Letter::Report(Arc::clone(&self)));
            }
            !self.stop.load(Ordering::Relaxed)
        })
    }

    fn hand_on(&self, py: Python<'_>) {
        self.posted.store(false, Ordering::Release);
        let seen = (
            self.current.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        );
        if self.callback.bind(py).call1(seen).is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// A call of a worker process that an event loop waits for.
#[pyclass(frozen, module = "plugward._native")]
pub(crate) struct AwaitedCall(Awaited);

#[pymethods]
impl AwaitedCall {
    /// Nobody waits any more: withdrawn, or told to stop.
    fn cancel(&self) {
        self.0.cancel();
    }
}
