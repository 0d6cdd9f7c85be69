//! Stopping one plugin, ending all, and who depends on whom.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{call, eventually, manifest, runtime};
use plugward_core::Error;
use plugward_core::call::{BuildContext, Built, Call, Executor, Fault, Loader, Reply};
use plugward_core::error::Code;
use plugward_core::lifecycle::State;
use plugward_core::manifest::Manifest;
use plugward_core::runtime::{LoadReport, Runtime};
use serde_json::{Value, json};
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

type Ends = Arc<Mutex<Vec<String>>>;

/// Calls with `{"wait": true}` wait for it.
static OPEN: AtomicBool = AtomicBool::new(false);

/// Writes down when it is stopped.
struct Sleeper(String, Ends);

impl Executor for Sleeper {
    fn call(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        if call.args.value()["wait"] == true {
            eventually("it is let go", || OPEN.load(Ordering::SeqCst));
        }
        Ok(json!(1).into())
    }

    fn stop(&self) {
        self.1.lock().unwrap().push(self.0.clone());
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Sleepers(Ends);

impl Loader for Sleepers {
    fn build(&self, manifest: &Manifest, _: &BuildContext) -> Result<Built, Error> {
        Ok(Built {
            executor: Arc::new(Sleeper(manifest.name.clone(), Arc::clone(&self.0))),
            tools: Vec::new(),
        })
    }
}

fn load(rt: &Runtime, ends: &Ends, name: &str, more: Value) -> LoadReport {
    rt.load_with(manifest(name, more), Arc::new(Sleepers(Arc::clone(ends))))
}

fn code(outcome: &plugward_core::call::Outcome) -> Code {
    outcome.result.as_ref().unwrap_err().code()
}

fn depends(on: &[&str]) -> Value {
    json!({"depends_on": on, "isolation": "thread"})
}

#[test]
fn a_stopped_plugin_finishes_its_calls_refuses_new_ones_and_comes_back() {
    for isolation in ["inline", "thread"] {
        let (rt, ends) = (runtime(), Ends::default());
        assert!(load(&rt, &ends, "p", json!({"isolation": isolation})).is_ok());
        std::thread::scope(|scope| {
            OPEN.store(false, Ordering::SeqCst);
            let long = scope.spawn(|| common::call_with(&rt, "p", json!({"wait": true}), None));
            while rt.plugin_health("p").unwrap().in_flight == 0 {
                std::thread::yield_now();
            }
            let stop = scope.spawn(|| rt.stop("p").unwrap());
            while rt.plugin_health("p").unwrap().state != State::Unavailable {
                std::thread::yield_now();
            }
            let refused = call(&rt, "p");
            assert_eq!(code(&refused), Code::LifecycleStopped);
            let error = refused.result.unwrap_err();
            assert_eq!(error.kind(), "PluginStopped");
            assert!(error.remedy().contains("restart"), "{}", error.remedy());
            assert!(ends.lock().unwrap().is_empty(), "a call is under way");
            OPEN.store(true, Ordering::SeqCst);
            assert!(long.join().unwrap().is_ok());
            let report = stop.join().unwrap();
            assert_eq!((report.state, report.cut_off), (State::Unavailable, 0));
        });
        assert_eq!(*ends.lock().unwrap(), ["p"]);
        assert!(rt.stop("p").unwrap().is_ok(), "again is no error");
        let health = rt.plugin_health("p").unwrap();
        assert!(health.reason.unwrap().contains("was stopped"));
        let report = rt.restart("p").unwrap();
        assert_eq!((report.state, report.generation), (State::Initialized, 2));
        assert!(call(&rt, "p").is_ok());
    }
}

#[test]
fn a_failed_plugin_can_be_stopped_and_reloaded() {
    let rt = runtime();
    common::load(&rt, "p", json!({}), |_| Err(common::raised("ValueError")));
    assert!(!call(&rt, "p").is_ok());
    let report = rt.stop("p").unwrap();
    assert_eq!((report.state, report.generation), (State::Unavailable, 2));
    assert_eq!(code(&call(&rt, "p")), Code::LifecycleStopped);
    assert!(rt.reload("p").unwrap().is_ok());
    assert_eq!(rt.plugin_health("p").unwrap().state, State::Initialized);
    assert_eq!(
        rt.stop("nobody").unwrap_err().code(),
        Code::RegistryUnknownPlugin
    );
}

#[test]
fn close_ends_dependants_before_what_they_depend_on() {
    let (rt, ends) = (runtime(), Ends::default());
    for (name, on) in [("base", vec![]), ("zeta", vec![]), ("mid", vec!["base"])] {
        assert!(load(&rt, &ends, name, depends(&on)).is_ok());
    }
    assert!(load(&rt, &ends, "alpha", depends(&["mid", "zeta"])).is_ok());
    rt.close();
    let order = ends.lock().unwrap().clone();
    let at = |name: &str| order.iter().position(|n| n == name).unwrap();
    assert_eq!(order.len(), 4);
    assert!(
        at("alpha") < at("mid") && at("mid") < at("base") && at("alpha") < at("zeta"),
        "{order:?}"
    );
}

#[test]
fn dependants_are_named_and_left_alone() {
    let (rt, ends) = (runtime(), Ends::default());
    assert!(load(&rt, &ends, "base", depends(&[])).is_ok());
    assert!(load(&rt, &ends, "mid", depends(&["base"])).is_ok());
    assert!(load(&rt, &ends, "top", depends(&["mid"])).is_ok());
    for report in [rt.restart("base"), rt.reload("base"), rt.stop("base")] {
        assert_eq!(report.unwrap().affected, ["mid", "top"]);
    }
    for name in ["mid", "top"] {
        let health = rt.plugin_health(name).unwrap();
        assert_eq!((health.state, health.generation), (State::Initialized, 1));
    }
}

#[test]
fn who_depends_on_somebody_who_is_not_there_is_unavailable_and_says_so() {
    let (rt, ends) = (runtime(), Ends::default());
    let report = load(&rt, &ends, "top", depends(&["base"]));
    let error = report.error.unwrap();
    assert_eq!(
        (report.state, error.code()),
        (State::Unavailable, Code::LoadDependsOn)
    );
    assert!(
        error.message().contains("\"base\", which is not loaded"),
        "{error}"
    );
    assert!(load(&rt, &ends, "base", depends(&[])).is_ok());
    assert!(rt.restart("top").unwrap().is_ok());
    rt.stop("base").unwrap();
    let report = rt.reload("top").unwrap();
    let error = report.error.unwrap();
    assert!(error.message().contains("which is UNAVAILABLE"), "{error}");
    assert_eq!(
        report.state,
        State::Initialized,
        "the old generation goes on"
    );
}

#[test]
fn a_circle_is_named_also_when_its_members_come_one_at_a_time() {
    let (rt, ends) = (runtime(), Ends::default());
    load(&rt, &ends, "a", depends(&["b"]));
    load(&rt, &ends, "b", depends(&["c"]));
    let error = load(&rt, &ends, "c", depends(&["a"])).error.unwrap();
    assert_eq!(error.code(), Code::RegistryDependencyCycle);
    assert!(error.message().contains("c -> a -> b -> c"), "{error}");
}
