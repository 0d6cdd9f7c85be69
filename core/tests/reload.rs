//! Hot swap: no call is lost, refused or answered by the wrong version.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::{call, manifest, runtime};
use plugward_core::Error;
use plugward_core::call::{BuildContext, Built, Call, Executor, Fault, Loader, Reply};
use plugward_core::error::Code;
use plugward_core::lifecycle::State;
use plugward_core::manifest::Manifest;
use plugward_core::runtime::{Runtime, RuntimeOptions};
use serde_json::{Value, json};
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What the versions of one plugin share, and what a test sets.
#[derive(Default)]
struct Stage {
    stopped: Mutex<Vec<u32>>,
    broken: AtomicBool,
    slow: AtomicBool,
    /// Calls with `{"wait": true}` wait for it, and slow builds.
    gate: Mutex<bool>,
    opened: Condvar,
    inside: AtomicU32,
}

impl Stage {
    fn open(&self) {
        *self.gate.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let gate = self.gate.lock().unwrap();
        let limit = Duration::from_secs(120);
        drop(self.opened.wait_timeout_while(gate, limit, |open| !*open));
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn wait_inside(&self, n: u32) {
        common::eventually(&format!("{n} inside"), || {
            self.inside.load(Ordering::SeqCst) == n
        });
    }
}

struct Versioned(Arc<Stage>);

struct Version {
    stage: Arc<Stage>,
    number: u32,
    ended: AtomicBool,
}

impl Loader for Versioned {
    fn build(&self, _: &Manifest, context: &BuildContext) -> Result<Built, Error> {
        if self.0.slow.load(Ordering::SeqCst) {
            self.0.pass();
        }
        if self.0.broken.load(Ordering::SeqCst) {
            return Err(Error::new(Code::LoadConstruct).with_message("broken on purpose"));
        }
        let executor = Arc::new(Version {
            stage: Arc::clone(&self.0),
            number: context.generation,
            ended: AtomicBool::new(false),
        });
        Ok(Built {
            executor,
            tools: Vec::new(),
        })
    }
}

impl Executor for Version {
    fn call(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        if self.ended.load(Ordering::SeqCst) {
            return Err(Fault::Panicked {
                message: format!("version {} was called after its end", self.number),
            });
        }
        let args = call.args.value();
        if args["wait"] == true {
            self.stage.pass();
        }
        if args["raise"] == true {
            return Err(common::raised("ValueError"));
        }
        Ok(json!({"version": self.number}).into())
    }

    fn stop(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.stage.stopped.lock().unwrap().push(self.number);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn loaded(rt: &Runtime, more: Value) -> Arc<Stage> {
    let stage = Arc::new(Stage::default());
    let loader = Arc::new(Versioned(Arc::clone(&stage)));
    let report = rt.load_with(manifest("p", more), loader);
    assert!(report.is_ok(), "{:?}", report.error);
    stage
}

fn state(rt: &Runtime) -> (State, u32) {
    let health = rt.plugin_health("p").unwrap();
    (health.state, health.generation)
}

fn ask(rt: &Runtime, args: Value) -> plugward_core::call::Outcome {
    common::call_with(rt, "p", args, Some(30_000))
}

fn version(outcome: &plugward_core::call::Outcome) -> &Value {
    &outcome.result.as_ref().unwrap().value["version"]
}

const LEVELS: [&str; 2] = ["inline", "thread"];

#[test]
fn under_load_from_eight_threads_not_one_call_is_lost() {
    for isolation in LEVELS {
        let rt = runtime();
        // Fewer turns than callers: some wait in the queue whenever the plugin is replaced.
        let limits = json!({"concurrency": 3, "queue": 64});
        let stage = loaded(&rt, json!({"isolation": isolation, "limits": limits}));
        let (done, calls) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        let outcome = ask(&rt, json!({}));
                        assert!(outcome.is_ok(), "{isolation}: {:?}", outcome.result);
                        assert_eq!(*version(&outcome), outcome.ended.generation);
                        calls.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            for n in 2..=30 {
                let report = rt.reload("p").unwrap();
                let told = (report.is_ok(), report.generation, report.cut_off);
                assert_eq!(told, (true, n, 0), "{:?}", report.error);
                let before = calls.load(Ordering::SeqCst);
                while calls.load(Ordering::SeqCst) < before + 20 {
                    std::thread::yield_now();
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        assert_eq!(state(&rt), (State::Initialized, 30));
        let health = rt.plugin_health("p").unwrap();
        let all = u64::from(calls.load(Ordering::SeqCst));
        assert_eq!((health.success_count, health.error_count), (all, 0));
        assert_eq!(health.late_results, 0);
        assert_eq!(*stage.stopped.lock().unwrap(), (1..30).collect::<Vec<_>>());
    }
}

#[test]
fn a_call_in_flight_ends_on_the_old_version_and_new_ones_go_to_the_new() {
    for isolation in LEVELS {
        let rt = runtime();
        let stage = loaded(&rt, json!({"isolation": isolation}));
        std::thread::scope(|scope| {
            let old = scope.spawn(|| ask(&rt, json!({"wait": true})));
            let raises = scope.spawn(|| ask(&rt, json!({"wait": true, "raise": true})));
            stage.wait_inside(2);
            let reload = scope.spawn(|| rt.reload("p").unwrap());
            while state(&rt).1 == 1 {
                std::thread::yield_now();
            }
            let outcome = ask(&rt, json!({}));
            assert_eq!(*version(&outcome), 2);
            assert!(
                stage.stopped.lock().unwrap().is_empty(),
                "it still has calls"
            );
            stage.open();
            let old = old.join().unwrap();
            assert_eq!((version(&old), old.ended.generation), (&json!(1), 1));
            let error = raises.join().unwrap().result.unwrap_err();
            assert_eq!(
                error.code(),
                Code::CallPluginError,
                "its own error, not a stale one"
            );
            assert_eq!(reload.join().unwrap().cut_off, 0);
        });
        assert_eq!(*stage.stopped.lock().unwrap(), [1]);
        assert_eq!(
            state(&rt),
            (State::Initialized, 2),
            "a fault of the old one is not the new one's"
        );
    }
}

#[test]
fn a_version_that_does_not_come_up_leaves_the_old_one_serving() {
    for isolation in LEVELS {
        let rt = runtime();
        let stage = loaded(&rt, json!({"isolation": isolation}));
        stage.broken.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            let report = rt.reload("p").unwrap();
            assert_eq!(report.error.unwrap().code(), Code::LoadConstruct);
            assert_eq!((report.state, report.generation), (State::Initialized, 1));
            assert_eq!(*version(&call(&rt, "p")), 1);
        }
        assert!(stage.stopped.lock().unwrap().is_empty());
        stage.broken.store(false, Ordering::SeqCst);
        assert!(rt.reload("p").unwrap().is_ok());
        assert_eq!(*version(&call(&rt, "p")), 2);
    }
}

#[test]
fn the_old_version_serves_while_the_new_one_is_built() {
    let rt = runtime();
    let stage = loaded(&rt, json!({"isolation": "thread"}));
    stage.slow.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| rt.reload("p").unwrap());
        stage.wait_inside(1);
        let outcome = call(&rt, "p");
        assert_eq!(*version(&outcome), 1, "the build of version 2 is under way");
        stage.open();
        assert!(reload.join().unwrap().is_ok());
    });
    assert_eq!(*version(&call(&rt, "p")), 2);
}

#[test]
fn what_overstays_the_drain_is_cut_off_and_its_result_is_stale() {
    let options = RuntimeOptions {
        drain_timeout: Duration::from_millis(50),
        ..RuntimeOptions::default()
    };
    let rt = Runtime::new(options).unwrap();
    let stage = loaded(&rt, json!({"isolation": "thread"}));
    std::thread::scope(|scope| {
        let old = scope.spawn(|| ask(&rt, json!({"wait": true})));
        stage.wait_inside(1);
        let report = rt.reload("p").unwrap();
        assert_eq!((report.is_ok(), report.cut_off), (true, 1));
        stage.open();
        let error = old.join().unwrap().result.unwrap_err();
        assert_eq!(error.code(), Code::LifecycleStale);
    });
    assert_eq!(rt.plugin_health("p").unwrap().late_results, 1);
}

#[test]
fn a_restart_still_makes_old_results_stale() {
    let rt = runtime();
    let stage = loaded(&rt, json!({"isolation": "thread"}));
    std::thread::scope(|scope| {
        let old = scope.spawn(|| ask(&rt, json!({"wait": true})));
        stage.wait_inside(1);
        assert!(rt.restart("p").unwrap().is_ok());
        stage.open();
        let error = old.join().unwrap().result.unwrap_err();
        assert_eq!(error.code(), Code::LifecycleStale);
    });
}

#[test]
fn a_failed_plugin_comes_back_by_a_reload_and_stays_failed_by_a_bad_one() {
    let rt = runtime();
    let stage = loaded(&rt, json!({"isolation": "inline"}));
    assert!(!ask(&rt, json!({"raise": true})).is_ok());
    stage.broken.store(true, Ordering::SeqCst);
    assert!(!rt.reload("p").unwrap().is_ok());
    assert_eq!(state(&rt), (State::Failed, 1));
    stage.broken.store(false, Ordering::SeqCst);
    assert!(rt.reload("p").unwrap().is_ok());
    assert_eq!(state(&rt), (State::Initialized, 2));
    assert!(call(&rt, "p").is_ok());
}

#[test]
fn who_cannot_be_reloaded_is_told_why() {
    let rt = runtime();
    assert_eq!(
        rt.reload("nobody").unwrap_err().code(),
        Code::RegistryUnknownPlugin
    );
    let inner = rt.clone();
    common::load(&rt, "p", json!({}), move |_| match inner.reload("p") {
        Err(error) => Err(Fault::Error(error)),
        Ok(_) => Ok(json!("reloaded itself").into()),
    });
    let error = call(&rt, "p").result.unwrap_err();
    assert_eq!(error.code(), Code::RuntimeReentrant);
    rt.close();
    assert_eq!(rt.reload("p").unwrap_err().code(), Code::RuntimeClosed);
}

#[test]
fn a_call_that_waits_for_its_turn_takes_it_in_the_new_version() {
    let rt = runtime();
    let limits = json!({"concurrency": 1, "queue": 4});
    let stage = loaded(&rt, json!({"isolation": "thread", "limits": limits}));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| ask(&rt, json!({"wait": true})));
        stage.wait_inside(1);
        let second = scope.spawn(|| ask(&rt, json!({})));
        while rt.plugin_health("p").unwrap().waiting == 0 {
            std::thread::yield_now();
        }
        let reload = scope.spawn(|| rt.reload("p").unwrap());
        assert_eq!(*version(&second.join().unwrap()), 2);
        stage.open();
        assert_eq!(*version(&first.join().unwrap()), 1);
        assert!(reload.join().unwrap().is_ok());
    });
}
