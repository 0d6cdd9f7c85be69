//! Loading, restarting, unloading, closing.
#![allow(missing_docs, reason = "tests")]

mod common;

use common::{ClosureLoader, call, load, manifest, runtime};
use plugward_core::call::{BuildContext, Built, Loader};
use plugward_core::lifecycle::{Event, State};
use plugward_core::manifest::Manifest;
use plugward_core::runtime::{Runtime, RuntimeOptions};
use plugward_core::{Code, Error};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

struct Broken(fn() -> Result<Built, Error>);

impl Loader for Broken {
    fn build(&self, _: &Manifest, _: &BuildContext) -> Result<Built, Error> {
        (self.0)()
    }
}

#[test]
fn a_plugin_that_cannot_be_built_is_listed_with_step_and_reason() {
    let rt = runtime();
    let import = || Err(Error::new(Code::LoadImport).with_message("No module named 'x'"));
    let report = rt.load_with(manifest("a", json!({})), Arc::new(Broken(import)));
    assert_eq!(
        (report.state, report.error.unwrap().code()),
        (State::Failed, Code::LoadImport)
    );
    let report = rt.load_with(
        manifest("b", json!({})),
        Arc::new(Broken(|| panic!("in the constructor"))),
    );
    assert!(
        report
            .error
            .unwrap()
            .message()
            .contains("in the constructor")
    );
    let states: Vec<_> = rt.health().into_iter().map(|h| (h.name, h.state)).collect();
    assert_eq!(
        states,
        [("a".into(), State::Failed), ("b".into(), State::Failed)]
    );
    assert!(
        rt.plugin_health("a")
            .unwrap()
            .reason
            .unwrap()
            .contains("No module named 'x'")
    );
}

#[test]
fn a_constructor_that_hangs_does_not_hang_the_host() {
    let options = RuntimeOptions {
        load_timeout: Duration::from_millis(100),
        ..Default::default()
    };
    let rt = Runtime::new(options).unwrap();
    let since = Instant::now();
    let hang = || {
        std::thread::sleep(Duration::from_secs(600));
        Err(Error::new(Code::LoadImport))
    };
    let report = rt.load_with(
        manifest("a", json!({"isolation": "thread"})),
        Arc::new(Broken(hang)),
    );
    assert!(since.elapsed() < Duration::from_secs(60));
    assert_eq!(report.state, State::Failed);
    assert!(
        report
            .error
            .unwrap()
            .message()
            .contains("did not end within")
    );
}

#[test]
fn validate_and_probe_catch_a_plugin_that_swallowed_its_trouble() {
    let rt = runtime();
    let unfit = || Err(Error::new(Code::LoadValidate).with_message("the model is None"));
    let loader = ClosureLoader {
        body: Arc::new(|_| Ok(json!(1).into())),
        validate: unfit,
    };
    let report = rt.load_with(manifest("a", json!({})), Arc::new(loader));
    assert_eq!(report.error.unwrap().code(), Code::LoadValidate);

    let probe = json!({"probe": {"tool": "t", "args": {}, "expect_schema": {"type": "object"}}});
    let report = load(&rt, "b", probe.clone(), |_| Ok(json!(1).into()));
    assert_eq!(
        (report.state, report.error.unwrap().code()),
        (State::Failed, Code::LoadProbe)
    );
    let report = load(&rt, "c", probe, |_| Ok(json!({}).into()));
    assert_eq!(report.state, State::Initialized);
    assert_eq!(
        rt.plugin_health("c").unwrap().success_count,
        0,
        "a probe is no user's call"
    );
}

#[test]
fn a_missing_dependency_is_unavailable_and_the_plugin_is_not_entered() {
    let rt = runtime();
    let built = Arc::new(AtomicU32::new(0));
    struct Counts(Arc<AtomicU32>);
    impl Loader for Counts {
        fn build(&self, _: &Manifest, _: &BuildContext) -> Result<Built, Error> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(Error::new(Code::LoadImport))
        }
    }
    let needs =
        json!({"models": {"m": "/nonexistent/model.pt"}, "env": ["PLUGWARD_TEST_SURELY_UNSET"]});
    let report = rt.load_with(manifest("a", needs), Arc::new(Counts(Arc::clone(&built))));
    assert_eq!(report.state, State::Unavailable);
    assert_eq!(built.load(Ordering::Relaxed), 0);
    let bad = report.findings.iter().filter(|f| !f.ok).count();
    assert_eq!(bad, 2, "all findings, not the first: {:?}", report.findings);
    let error = call(&rt, "a").result.unwrap_err();
    assert_eq!(error.kind(), "PluginUnavailable");
    assert!(!error.remedy().is_empty());
}

#[test]
fn process_isolation_is_refused_by_name_where_there_is_none() {
    let rt = runtime();
    let report = load(&rt, "a", json!({"isolation": "process"}), |_| {
        Ok(json!(1).into())
    });
    assert_eq!(report.state, State::Unavailable);
    assert_eq!(report.error.unwrap().code(), Code::LoadIsolation);
}

#[test]
fn duplicates_are_refused_and_the_first_is_untouched() {
    let rt = runtime();
    load(&rt, "a", json!({}), |_| Ok(json!(1).into()));
    let report = load(&rt, "a", json!({}), |_| Ok(json!(2).into()));
    assert_eq!(report.error.unwrap().code(), Code::RegistryDuplicate);
    assert_eq!(call(&rt, "a").result.unwrap().value, json!(1));
}

#[test]
fn a_folder_is_loaded_whole_in_order_and_broken_manifests_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join(name).join("manifest.json"), text).unwrap();
    };
    write(
        "a",
        r#"{"name": "a", "kind": "host", "entrypoint": "x", "depends_on": ["b"]}"#,
    );
    write("b", r#"{"name": "b", "kind": "host", "entrypoint": "x"}"#);
    write("c", r#"{"name": "c", "kind": "host", "entrypont": "x"}"#);
    write(
        "d",
        r#"{"name": "d", "kind": "host", "entrypoint": "x", "depends_on": ["e"]}"#,
    );
    write(
        "e",
        r#"{"name": "e", "kind": "host", "entrypoint": "x", "depends_on": ["d"]}"#,
    );
    let rt = runtime();
    let body: Arc<common::Body> = Arc::new(|_| Ok(json!(1).into()));
    let loader = ClosureLoader {
        body,
        validate: || Ok(()),
    };
    rt.set_loader(plugward_core::manifest::Kind::Host, Arc::new(loader));
    let reports = rt.load_path(dir.path());
    let good: Vec<_> = reports
        .iter()
        .filter(|r| r.is_ok())
        .map(|r| r.name.as_str())
        .collect();
    assert_eq!(good, ["b", "a"]);
    let of = |name: &str| {
        reports
            .iter()
            .find(|r| r.name == name)
            .unwrap()
            .error
            .clone()
            .unwrap()
    };
    assert_eq!(of("c").code(), Code::ManifestUnknownKey);
    assert!(of("c").to_string().contains("entrypoint"), "{}", of("c"));
    assert_eq!(of("d").code(), Code::RegistryDependencyCycle);
    assert!(of("d").message().contains("d, e"));
    assert_eq!(rt.health().len(), 5);
}

#[test]
fn a_closed_runtime_refuses_calls_but_shows_its_health() {
    let rt = runtime();
    load(&rt, "a", json!({}), |_| Ok(json!(1).into()));
    rt.close();
    rt.close();
    assert_eq!(
        call(&rt, "a").result.unwrap_err().code(),
        Code::RuntimeClosed
    );
    assert_eq!(rt.health().len(), 1);
    assert!(!rt.summary().ready);
}

#[test]
fn unloading_makes_room_and_old_targets_learn_it() {
    let rt = runtime();
    load(&rt, "a", json!({}), |_| Ok(json!(1).into()));
    let target = rt.find("a", "t").unwrap();
    rt.unload("a").unwrap();
    assert!(
        matches!(target.enter(None), plugward_core::call::Entry::Refused(e)
        if e.code() == Code::RegistryUnknownPlugin)
    );
    assert_eq!(
        rt.unload("a").unwrap_err().code(),
        Code::RegistryUnknownPlugin
    );
    assert!(load(&rt, "a", json!({}), |_| Ok(json!(2).into())).is_ok());
}

#[test]
fn a_plugin_cannot_restart_itself_from_inside_its_call() {
    let rt = runtime();
    let inner = rt.clone();
    load(&rt, "a", json!({}), move |_| {
        let code = inner.restart("a").unwrap_err().code();
        assert_eq!(inner.unload("a").unwrap_err().code(), code);
        Ok(json!(code.as_str()).into())
    });
    let value = call(&rt, "a").result.unwrap().value;
    assert_eq!(value, json!(Code::RuntimeReentrant.as_str()));
}

#[test]
fn plugins_that_the_host_runs_follow_the_same_table() {
    let rt = runtime();
    rt.register("a", "a description", "1.2").unwrap();
    assert_eq!(
        rt.register("a", "", "").unwrap_err().code(),
        Code::RegistryDuplicate
    );
    assert_eq!(
        rt.mark("a", Event::CallBegan, "").unwrap_err().code(),
        Code::LifecycleForbidden
    );
    assert_eq!(rt.mark("a", Event::Ready, "").unwrap(), State::Initialized);
    assert_eq!(rt.mark("a", Event::CallBegan, "").unwrap(), State::Running);
    rt.record("a", true, Some(12.5)).unwrap();
    assert_eq!(
        rt.mark("a", Event::Fault, "out of memory").unwrap(),
        State::Failed
    );
    assert_eq!(
        rt.mark("a", Event::Ready, "").unwrap_err().code(),
        Code::LifecycleForbidden
    );
    let health = rt.plugin_health("a").unwrap();
    assert_eq!(health.reason.as_deref(), Some("out of memory"));
    assert_eq!(health.last_execution_time_ms, Some(12.5));
    assert_eq!(rt.mark("a", Event::Restart, "").unwrap(), State::Loaded);
    let health = rt.plugin_health("a").unwrap();
    assert_eq!((health.generation, health.reason), (2, None));
}

#[test]
fn metrics_are_open_metrics_text_with_escaped_labels() {
    let rt = runtime();
    rt.register("we\"ird\\name", "", "").unwrap();
    load(&rt, "p", json!({}), |_| Err(common::raised("ValueError")));
    let _ = call(&rt, "p");
    let text = rt.metrics_text();
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains(r#"plugin="we\"ird\\name""#), "{text}");
    assert!(
        text.contains(r#"plugward_errors_total{plugin="p",code="PW-CALL-001"} 1"#),
        "{text}"
    );
    assert!(
        text.contains(r#"plugward_state{plugin="p",state="FAILED"} 1"#),
        "{text}"
    );
    assert!(text.contains("plugward_call_seconds_bucket"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1, "{text}");
}

/// Two restarts at once once built one generation twice, and the second wiped the reason of the
/// first one's failure.
#[test]
fn restarts_at_once_build_each_generation_once_and_keep_its_reason() {
    let rt = runtime();
    load(&rt, "a", json!({}), |_| Err(common::raised("ValueError")));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..300 {
                    let _ = call(&rt, "a");
                    let _ = rt.restart("a");
                }
                stop.store(true, Ordering::Relaxed);
            });
        }
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let health = rt.plugin_health("a").unwrap();
                assert_eq!(
                    health.state == State::Failed,
                    health.reason.is_some(),
                    "{health:?}"
                );
            }
        });
    });
    let health = rt.plugin_health("a").unwrap();
    assert_eq!(health.generation, health.restarts + 1, "{health:?}");
}
