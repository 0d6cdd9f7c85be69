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
fn a_caller_in_the_queue_of_an_old_generation_takes_its_turn_in_the_new_one_at_once() {
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
    // It has not begun, so there is nothing stale about it.
    std::thread::spawn(move || tell.send(waiting.wait().map(|t| t.succeed().unwrap().generation)));
    let served = told.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(served.unwrap(), 2);
    assert_eq!(rt.plugin_health("p").unwrap().in_flight, 0);
    let (_, stale) = first.succeed().unwrap_err();
    assert_eq!(stale.code(), Code::LifecycleStale, "the one that had begun");
    assert!(
        rt.find("p", "t")
            .is_ok_and(|t| matches!(t.enter(None), Entry::Admitted(_)))
    );
}
