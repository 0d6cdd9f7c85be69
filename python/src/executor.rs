//! Runs one generation of a Python plugin on the core's own (JSON) path: probe calls, other doors.

use crate::buffers::{Beside, Unfit, unpack};
use crate::call::PROGRESS;
use crate::fault::{Limit, classify};
use crate::interrupt::{Hold, Interrupts, Why, Worker};
use crate::invoke;
use crate::names;
use crate::own_loop::OwnLoop;
use crate::pack::{Way, pack};
use crate::progress::WorkerProgress;
use crate::tool::PyTool;
use crate::watchdog;
use plugward_core::call::{Call, Executor, Fault, Reply, TensorView};
use plugward_core::error::{Code, Error, Result};
use plugward_core::sync::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One generation.
pub(crate) struct PythonExecutor {
    /// What `plugward._loading.build` returned.
    built: Py<PyAny>,
    stopped: AtomicBool,
    /// The calls under way, by their numbers.
    running: Mutex<Vec<(u64, Arc<Worker>)>>,
    interrupts: Interrupts,
}

/// A call among those under way; dropping it takes it out.
struct Listed<'a>(&'a PythonExecutor, u64);

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mut running = self.0.running.lock();
        let at = running.iter().position(|(id, _)| *id == self.1);
        let gone = at.map(|at| running.swap_remove(at));
        drop(running);
        drop(gone);
    }
}

impl PythonExecutor {
    pub(crate) fn new(built: Py<PyAny>) -> Self {
        Self {
            built,
            stopped: AtomicBool::new(false),
            running: Mutex::default(),
            interrupts: Interrupts::default(),
        }
    }

    fn run(&self, call: &Call<'_>, beside: Beside<'_>) -> std::result::Result<Reply, Fault> {
        let gone = || Fault::Error(Error::new(Code::RuntimeClosed));
        let tool = PyTool::of(call.tool).ok_or_else(gone)?;
        let worker = Arc::<Worker>::default();
        let listed = (call.call_id, Arc::clone(&worker));
        self.running.lock().push(listed);
        let _listed = Listed(self, call.call_id);
        Python::try_attach(|py| on_values(py, call, tool, beside, &worker))
            .unwrap_or_else(|| Err(gone()))
    }

    /// The plugin's object.
    pub(crate) fn instance(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.built
            .bind(py)
            .getattr("instance")
            .ok()
            .map(Bound::unbind)
    }
}

impl Executor for PythonExecutor {
    fn call(&self, call: &Call<'_>) -> std::result::Result<Reply, Fault> {
        self.run(call, Beside::Owned(&call.args.tensors))
    }

    fn call_views(
        &self,
        call: &Call<'_>,
        views: &[TensorView<'_>],
    ) -> std::result::Result<Reply, Fault> {
        self.run(call, Beside::Views(views))
    }

    fn hears_cancel(&self) -> bool {
        true
    }

    fn cancel(&self, call_id: u64) {
        let running = self.running.lock();
        if let Some((_, worker)) = running.iter().find(|(id, _)| *id == call_id) {
            self.interrupts.worker(worker, Why::Cancelled);
        }
    }

    fn restore(&self, state: &[u8]) -> Result<bool> {
        Python::try_attach(|py| {
            let kept = PyBytes::new(py, state);
            let answer = names::restore(py).and_then(|f| f.call1((&self.built, kept)));
            let taken = step(py, answer)?;
            Ok(taken.is_truthy().unwrap_or(false))
        })
        .unwrap_or_else(|| Err(Error::new(Code::RuntimeClosed)))
    }

    fn validate(&self) -> Result<()> {
        Python::try_attach(|py| {
            let answer = names::validate(py).and_then(|f| f.call1((&self.built,)));
            step(py, answer).map(|_| ())
        })
        .unwrap_or_else(|| Err(Error::new(Code::RuntimeClosed)))
    }

    fn stop(&self) {
        if self.stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        Python::try_attach(|py| {
            let _ = names::stop(py).and_then(|f| f.call1((&self.built,)));
        });
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for PythonExecutor {
    /// A generation that was built and then refused has never been told to stop.
    fn drop(&mut self) {
        if *self.stopped.get_mut() {
            return;
        }
        Python::try_attach(|py| {
            let _ = names::discard(py).and_then(|f| f.call1((&self.built,)));
        });
    }
}

fn on_values(
    py: Python<'_>,
    call: &Call<'_>,
    tool: &PyTool,
    beside: Beside<'_>,
    worker: &Arc<Worker>,
) -> std::result::Result<Reply, Fault> {
    let internal = |e: PyErr| crate::call::internal(py, &e).fault;
    let given = unpack(py, call.args.value(), beside).map_err(|unfit| match unfit {
        Unfit::Here(why) => {
            let text = format!("{}: {why}", call.tool.spec.id);
            Fault::Error(Error::new(Code::CallInvalidInput).with_message(text))
        }
        Unfit::Wrong(error) => internal(error),
    })?;
    let kwargs = given.cast::<PyDict>().map_err(|_| Fault::RefusedInput {
        message: "the arguments must be an object".to_owned(),
    })?;
    let reports = match call.reporter.filter(|_| tool.names_progress) {
        Some(reporter) => {
            let reports = Bound::new(py, WorkerProgress::new(Arc::clone(reporter)));
            let reports = reports.map_err(internal)?;
            kwargs.set_item(PROGRESS, &reports).map_err(internal)?;
            Some(reports)
        }
        None => None,
    };
    let handler = tool.handler.bind(py);
    let driven = match tool.is_async {
        true => {
            let own = OwnLoop::open(py).map_err(internal)?;
            let run = own.run().map_err(internal)?;
            let args = (handler, kwargs, None::<f64>, Hold(Arc::clone(worker)));
            Some((own, run, args.into_pyobject(py).map_err(internal)?))
        }
        false => None,
    };
    // Who is cancelled from now on is interrupted; who was before has not begun.
    worker.begin();
    if (call.should_stop)() {
        worker.end(py);
        return Err(Fault::Cancelled);
    }
    let result = match &driven {
        Some((_, run, args)) => invoke::call(run, args, None),
        None => invoke::call(handler, names::no_args(py), Some(kwargs)),
    };
    let cancelled = worker.end(py);
    let told_to_stop = reports.is_some_and(|reports| reports.get().end()) || cancelled;
    let value = result.map_err(|raised| {
        if told_to_stop {
            return Fault::Cancelled;
        }
        watchdog::with(|dog| Some(classify(raised, tool, Limit::none(), dog).fault))
            .unwrap_or(Fault::Cancelled)
    })?;
    let packed = pack(&value, Way::Back).map_err(|refusal| {
        Fault::Error(Error::new(Code::CallUnserializable).with_message(format!(
            "the result of {}.{} cannot be handed over: {refusal}",
            call.plugin, call.tool.spec.id
        )))
    })?;
    Ok(Reply {
        value: packed.value,
        tensors: packed.tensors,
    })
}

/// A step of loading: `(value, None)` or `(None, (code, message, traceback))`.
pub(crate) fn step<'py>(
    py: Python<'py>,
    answer: PyResult<Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>> {
    type Told = (String, String, Option<String>);
    let told = answer.and_then(|a| a.extract::<(Bound<'py, PyAny>, Option<Told>)>());
    match told {
        Ok((value, None)) => Ok(value),
        Ok((_, Some((code, message, traceback)))) => {
            let code = Code::from_code(&code).unwrap_or(Code::LoadConstruct);
            let error = Error::new(code).with_message(message);
            Err(match traceback {
                Some(text) => error.with_traceback(text),
                None => error,
            })
        }
        Err(error) => {
            let text = watchdog::with(|d| Some(crate::describe::message(error.value(py), d)));
            Err(Error::new(Code::LoadConstruct).with_message(text.unwrap_or_default()))
        }
    }
}
