//! Callers that wait for their turn while the plugin is restarted under them.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::{load, runtime};
use plugward_core::call::{Entry, Reply};
use plugward_core::error::Code;
use serde_json::json;
use std::sync::mpsc;
use std::time::Duration;

#[test]
fn a_caller_in_the_queue_of_an_old_generation_is_refused_at_once() {
    let rt = runtime();
    let limits = json!({"limits": {"concurrency": 1}});
    assert!(load(&rt, "p", limits, |_| Ok(Reply::default())).is_ok());
    let Entry::Admitted(first) = rt.find("p", "t").unwrap().enter(None) else {
        unreachable!("the plugin is free")
    };
    let Entry::Full(waiting) = rt.find("p", "t").unwrap().enter(None) else {
        unreachable!("the plugin is full")
    };
    assert!(rt.restart("p").unwrap().is_ok());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(waiting.wait().err().map(|e| e.code())));
    let refused = told.recv_timeout(Duration::from_secs(10));
    assert_eq!(refused, Ok(Some(Code::LifecycleStale)));
    assert_eq!(rt.plugin_health("p").unwrap().in_flight, 0);
    assert!(first.succeed().is_err());
    assert!(
        rt.find("p", "t")
            .is_ok_and(|t| matches!(t.enter(None), Entry::Admitted(_)))
    );
}
