//! A call on a pool thread: the caller is back at its deadline, whatever the plugin does.
//!
//! The caller lets go of the interpreter before it hands the call over, so that the pool thread
//! can begin at once. What an abandoned thread answers later is discarded and counted; meanwhile
//! `DeadlineExceeded` (or `CallCancelled`) is raised in it, so that code that still reaches the interpreter ends.

use crate::call::{PROGRESS, internal};
use crate::ending;
use crate::fault::{Answer, Limit, Trouble, classify};
use crate::interrupt::{Interrupts, Why, Worker, on_main_thread};
use crate::invoke;
use crate::meeting::Meeting;
use crate::names;
use crate::own_loop::OwnLoop;
use crate::progress::Progress;
use crate::raw::SameThread;
use crate::runtime::Runtime;
use crate::tool::PyTool;
use plugward_core::Error;
use plugward_core::call::{Fault, Interruption, Target, Ticket};
use plugward_core::runtime::{Inside, panic_text};
use plugward_core::sandbox::{Next, Pool, Stage, ThreadHost};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often the main thread looks for signals while it waits.
const SIGNALS: Duration = Duration::from_millis(50);

/// Keeps one Python thread state for a pool thread's whole life: making one costs more than a call.
pub(crate) struct PythonThreads;

impl ThreadHost for PythonThreads {
    fn run(&self, body: &mut dyn FnMut()) {
        let body = SameThread::new(body);
        Python::try_attach(|py| py.detach(move || body.run()));
    }
}

/// Whose threads run a call.
#[derive(Clone)]
pub(crate) enum Threads {
    /// Its generation's own.
    Plugin(Target),
    /// The runtime's, for plugins that have none.
    Runtime(Arc<Pool>),
}

impl Threads {
    fn pool(&self) -> Option<&Pool> {
        match self {
            Threads::Plugin(target) => target.generation().pool.as_ref(),
            Threads::Runtime(pool) => Some(pool),
        }
    }
}

/// A call that a pool thread works on, as its caller sees it.
pub(crate) struct Away {
    meeting: Arc<Meeting>,
    worker: Arc<Worker>,
    threads: Threads,
    interrupts: Interrupts,
    limit: Limit,
}

/// What a pool thread is given.
struct Work {
    runtime: plugward_core::Runtime,
    target: Target,
    limit: Limit,
    /// Runs what it is given in the caller's context.
    run: Py<PyAny>,
    /// A function and `kwargs` are the call; without `kwargs`, a coroutine function and what its loop takes with it.
    args: Py<PyTuple>,
    kwargs: Option<Py<PyDict>>,
}

/// Runs a call on a pool thread and waits for it, at most until its deadline.
pub(crate) fn run<'py>(
    runtime: &Runtime,
    py: Python<'py>,
    ticket: &Ticket,
    tool: &PyTool,
    kwargs: Bound<'py, PyDict>,
) -> Answer {
    let threads = Threads::Plugin(ticket.target().clone());
    let callback = kwargs
        .get_item(PROGRESS)
        .ok()
        .flatten()
        .filter(|c| c.is_callable());
    let away = Away::new(runtime, ticket, threads, Meeting::default());
    let job = away
        .job(runtime, py, ticket, tool, &kwargs)
        .map_err(|e| internal(py, &e))?;
    py.detach(|| away.submit(job))?;
    away.wait(py, callback.as_ref())
}

type Job = Box<dyn FnOnce() + Send>;

impl Away {
    pub(crate) fn new(
        runtime: &Runtime,
        ticket: &Ticket,
        threads: Threads,
        meeting: Meeting,
    ) -> Self {
        Self {
            meeting: Arc::new(meeting),
            worker: Arc::default(),
            threads,
            interrupts: runtime.interrupts().clone(),
            limit: Limit::of(ticket),
        }
    }

    /// The work, ready to be handed over; a progress callback in `kwargs` is replaced.
    pub(crate) fn job<'py>(
        &self,
        runtime: &Runtime,
        py: Python<'py>,
        ticket: &Ticket,
        tool: &PyTool,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Job> {
        let replaced = kwargs.get_item(PROGRESS)?.is_some_and(|c| c.is_callable());
        let kwargs = if replaced {
            let own = kwargs.copy()?;
            own.set_item(PROGRESS, Py::new(py, Progress::new(&self.meeting))?)?;
            own
        } else {
            kwargs.clone()
        };
        let run = names::copy_context(py)?.call0()?.getattr("run")?.unbind();
        let handler = tool.handler.bind(py);
        let (args, kwargs) = if tool.is_async {
            let seconds = ticket.limit().map(|l| l.as_secs_f64());
            let args = (handler, kwargs, seconds);
            (args.into_pyobject(py)?.unbind(), None)
        } else {
            (PyTuple::new(py, [handler])?.unbind(), Some(kwargs.unbind()))
        };
        let (target, limit) = (ticket.target().clone(), self.limit);
        let work = Work {
            runtime: runtime.core().clone(),
            target,
            limit,
            run,
            args,
            kwargs,
        };
        Ok(self.package(work))
    }

    fn package(&self, work: Work) -> Job {
        let queued = Queued(Arc::clone(&self.meeting));
        let (worker, threads) = (Arc::clone(&self.worker), self.threads.clone());
        Box::new(move || {
            let meeting = &queued.0;
            if !meeting.begin() {
                return;
            }
            let plugin = Arc::clone(work.target.plugin());
            let answer = ending::attach(|py| work.caught(py, &worker));
            let answer = answer.unwrap_or_else(|| Err(Fault::Cancelled.into()));
            if !meeting.finish(answer) {
                plugin.stats.late_results.fetch_add(1, Ordering::Relaxed);
                if let Some(pool) = threads.pool() {
                    pool.returned_one();
                }
            }
        })
    }

    /// Hands the work over.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Trouble> {
        let pool = self.threads.pool().ok_or(Trouble::from(Fault::Cancelled))?;
        pool.submit(job)
            .map_err(|e: Error| Fault::NotStarted(e).into())
    }

    /// Waits until the deadline, handling on the way what must be handled on this thread.
    fn wait(&self, py: Python<'_>, callback: Option<&Bound<'_, PyAny>>) -> Answer {
        loop {
            let signals = on_main_thread().then(|| Instant::now() + SIGNALS);
            let until = [self.limit.at(), signals].into_iter().flatten().min();
            match py.detach(|| self.meeting.next(until)) {
                Next::Done(answer) => return answer,
                Next::Message(report) if !self.is_over() => {
                    if let Some(callback) = callback {
                        report.answer(py, callback);
                    }
                }
                Next::Message(_) | Next::Deadline if self.is_over() => {
                    if let Some(fault) = self.leave(py) {
                        return Err(fault.into());
                    }
                }
                _ => self.look_for_signals(py)?,
            }
        }
    }

    /// What the event loop was woken for: the answer, if it is there.
    pub(crate) fn poll(
        &self,
        py: Python<'_>,
        callback: Option<&Bound<'_, PyAny>>,
    ) -> Option<Answer> {
        loop {
            match py.detach(|| self.meeting.next(Some(Instant::now()))) {
                Next::Done(answer) => return Some(answer),
                Next::Deadline => return None,
                Next::Message(report) => {
                    if let Some(callback) = callback {
                        report.answer(py, callback);
                    }
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.limit.at().is_some_and(|at| Instant::now() >= at)
    }

    /// The caller leaves because its time is over; `None` when the answer came first.
    pub(crate) fn leave(&self, py: Python<'_>) -> Option<Fault> {
        match self.give_up(py, Why::Deadline) {
            Stage::Done => None,
            Stage::Running => Some(self.limit.passed(Interruption::Abandoned)),
            Stage::Queued | Stage::Abandoned => Some(self.limit.no_turn()),
        }
    }

    /// The caller leaves.
    pub(crate) fn give_up(&self, py: Python<'_>, why: Why) -> Stage {
        let stage = py.detach(|| self.meeting.abandon());
        if stage == Stage::Running {
            if let Some(pool) = self.threads.pool() {
                pool.abandon_one();
            }
            self.interrupts.worker(&self.worker, why);
        }
        stage
    }

    /// Ctrl-C is the host's own: its handler runs here, and what it raises leaves the call.
    fn look_for_signals(&self, py: Python<'_>) -> Result<(), Trouble> {
        let Err(raised) = py.check_signals() else {
            return Ok(());
        };
        self.give_up(py, Why::Cancelled);
        Err(Trouble {
            fault: Fault::Cancelled,
            exception: Some(raised.into_value(py)),
            of_host: true,
            text: None,
        })
    }
}

/// Answers `Cancelled` when the job is dropped before it began: the plugin was stopped.
struct Queued(Arc<Meeting>);

impl Drop for Queued {
    fn drop(&mut self) {
        if self.0.begin() {
            self.0.finish(Err(Fault::Cancelled.into()));
        }
    }
}

impl Work {
    fn caught(self, py: Python<'_>, worker: &Worker) -> Answer {
        catch_unwind(AssertUnwindSafe(|| self.done(py, worker))).unwrap_or_else(|panic| {
            Err(Fault::Panicked {
                message: panic_text(&*panic),
            }
            .into())
        })
    }

    /// A loop for the coroutine, and the arguments with which it is run.
    fn driven<'py>(&self, py: Python<'py>) -> PyResult<(OwnLoop<'py>, Bound<'py, PyTuple>)> {
        let own = OwnLoop::open(py)?;
        let args = self.args.bind(py).as_sequence().to_list()?;
        args.insert(0, own.run()?)?;
        Ok((own, args.to_tuple()))
    }

    fn done(self, py: Python<'_>, worker: &Worker) -> Answer {
        let inside = Inside::enter(self.target.plugin().id).map_err(Fault::NotStarted)?;
        let kwargs = self.kwargs.as_ref().map(|k| k.bind(py));
        let own = match kwargs {
            Some(_) => None,
            None => Some(self.driven(py).map_err(|e| internal(py, &e))?),
        };
        let args = own.as_ref().map_or(self.args.bind(py), |(_, args)| args);
        worker.begin();
        let result = invoke::call(self.run.bind(py), args, kwargs);
        worker.end(py);
        drop(own);
        drop(inside);
        let dog = self.runtime.watchdog();
        result
            .map(Bound::unbind)
            .map_err(|raised| match PyTool::of(self.target.tool()) {
                Some(tool) => classify(raised, tool, self.limit, dog),
                None => internal(py, &raised.into()),
            })
    }
}
