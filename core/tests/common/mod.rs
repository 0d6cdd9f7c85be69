//! A plugin made of a Rust closure, for the core's own tests.
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

use plugward_core::Error;
use plugward_core::call::{
    Args, BuildContext, Built, Call, CallOptions, Executor, Fault, Loader, Outcome, Reply,
};
use plugward_core::manifest::{Manifest, Parsed};
use plugward_core::runtime::{LoadReport, Runtime, RuntimeOptions};
use serde_json::{Value, json};
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub type Body = dyn Fn(&Call<'_>) -> Result<Reply, Fault> + Send + Sync;

pub struct Closure {
    pub body: Arc<Body>,
    pub validate: fn() -> Result<(), Error>,
}

impl Executor for Closure {
    fn call(&self, call: &Call<'_>) -> Result<Reply, Fault> {
        (self.body)(call)
    }
    fn validate(&self) -> Result<(), Error> {
        (self.validate)()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

pub struct ClosureLoader {
    pub body: Arc<Body>,
    pub validate: fn() -> Result<(), Error>,
}

impl Loader for ClosureLoader {
    fn build(&self, _: &Manifest, _: &BuildContext) -> Result<Built, Error> {
        let executor = Closure {
            body: Arc::clone(&self.body),
            validate: self.validate,
        };
        Ok(Built {
            executor: Arc::new(executor),
            tools: Vec::new(),
        })
    }
}

pub fn runtime() -> Runtime {
    Runtime::new(RuntimeOptions::default()).unwrap()
}

/// A manifest of kind host with one tool "t", merged with `more`.
pub fn manifest(name: &str, more: Value) -> Parsed {
    let mut value =
        json!({"name": name, "kind": "host", "entrypoint": "host", "tools": [{"id": "t"}]});
    for (key, item) in more.as_object().unwrap() {
        value[key] = item.clone();
    }
    Manifest::from_value(value).unwrap()
}

pub fn load(
    rt: &Runtime,
    name: &str,
    more: Value,
    body: impl Fn(&Call<'_>) -> Result<Reply, Fault> + Send + Sync + 'static,
) -> LoadReport {
    let loader = ClosureLoader {
        body: Arc::new(body),
        validate: || Ok(()),
    };
    rt.load_with(manifest(name, more), Arc::new(loader))
}

pub fn call(rt: &Runtime, plugin: &str) -> Outcome {
    call_with(rt, plugin, json!({}), None)
}

pub fn call_with(rt: &Runtime, plugin: &str, args: Value, deadline_ms: Option<u64>) -> Outcome {
    let options = CallOptions {
        deadline: deadline_ms.map(Duration::from_millis),
        progress: None,
    };
    rt.call(plugin, "t", Args::from(args), &options)
}

/// Waits at most a minute for `done`.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn raised(kind: &str) -> Fault {
    Fault::Raised {
        kind: kind.into(),
        message: "on purpose".into(),
        traceback: None,
    }
}
