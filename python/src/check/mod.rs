//! Dependency findings: packages by Python's own metadata, the rest by the core.

mod facts;
mod imports;
mod site;
mod surroundings;
mod torch;

pub(crate) use surroundings::PythonSurroundings;

use crate::convert;
use crate::manifest;
use crate::names;
use plugward_core::check::{self, Finding, ModelOptions, Subject};
use plugward_core::error::Code;
use plugward_core::manifest::{Kind, Manifest};
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBytes, PyList};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use surroundings::Place;

/// `{kind, subject, ok, code, cause, message, remedy, took_us}` as Python tells it.
type Told = (
    String,
    String,
    bool,
    Option<String>,
    String,
    String,
    String,
    u64,
);
/// A foreign environment as Python takes it: import path, marker variables, version.
type Foreign<'a> = (
    &'a [PathBuf],
    &'a std::collections::BTreeMap<String, String>,
    &'a str,
);

/// Findings about the packages that a manifest asks for; nothing is imported.
pub(crate) fn packages(manifest: &Manifest) -> Vec<Finding> {
    in_place(manifest, &Place::of(manifest))
}

fn in_place(manifest: &Manifest, place: &Place) -> Vec<Finding> {
    let mut findings = Vec::new();
    match place {
        Place::Host => {}
        Place::Broken(finding) => return vec![(**finding).clone()],
        Place::Own(program, found) => {
            let message = format!("Python {} at {}", found.version, program.display());
            findings.push(Finding::ok(Subject::Platform, "interpreter", message));
        }
    }
    if manifest.dependencies.is_empty() && manifest.python_range().is_none() {
        return findings;
    }
    findings.extend(asked(|py| {
        let args = (
            &manifest.dependencies,
            manifest.python_range(),
            foreign(place),
            program(place),
        );
        names::check_packages(py)?.call1(args)?.extract()
    }));
    findings
}

/// Where a Python plugin's code is; nothing where its data came without a folder.
fn code(manifest: &Manifest, place: &Place) -> Vec<Finding> {
    let Some(dir) = manifest.dir.as_deref() else {
        return Vec::new();
    };
    if matches!(place, Place::Broken(_)) {
        return Vec::new();
    }
    asked(|py| {
        let args = (
            &manifest.entrypoint,
            dir.as_os_str(),
            foreign(place),
            program(place),
        );
        names::check_code(py)?.call1(args)?.extract()
    })
}

/// What Python tells; a checker that fails must not look like a clean bill.
fn asked(question: impl Fn(Python<'_>) -> PyResult<Vec<Told>>) -> Vec<Finding> {
    let start = Instant::now();
    let told = Python::try_attach(|py| question(py).map_err(|error| broken(py, &error, start)));
    match told {
        Some(Ok(told)) => told.into_iter().map(finding).collect(),
        Some(Err(finding)) => vec![*finding],
        None => Vec::new(),
    }
}

fn foreign(place: &Place) -> Option<Foreign<'_>> {
    match place {
        Place::Own(_, found) => Some((&found.path, &found.markers, &found.version)),
        _ => None,
    }
}

/// Whose pip a remedy names.
fn program(place: &Place) -> Option<&Path> {
    match place {
        Place::Own(program, _) => Some(program),
        _ => None,
    }
}

fn broken(py: Python<'_>, error: &PyErr, start: Instant) -> Box<Finding> {
    let text = crate::watchdog::with(|d| Some(crate::describe::message(error.value(py), d)));
    let finding = Finding::bad(Subject::Package, "packages", Code::RuntimeInternal)
        .with_message("the packages could not be checked")
        .with_cause(text.unwrap_or_default());
    Box::new(finding.since(start))
}

fn finding((kind, subject, ok, code, cause, message, remedy, took_us): Told) -> Finding {
    Finding {
        kind,
        subject,
        ok,
        code: code.as_deref().and_then(Code::from_code),
        cause,
        message,
        remedy,
        took_us,
    }
}

/// Imports every required package that is installed, each in a process of its own.
fn imported(manifest: &Manifest, place: &Place, bound: Duration) -> Vec<Finding> {
    let asked = |py: Python<'_>| -> PyResult<Vec<(String, Vec<String>)>> {
        let args = (&manifest.dependencies, foreign(place));
        names::package_modules(py)?.call1(args)?.extract()
    };
    let start = Instant::now();
    let told = Python::try_attach(|py| asked(py).map_err(|error| broken(py, &error, start)));
    let modules = match told {
        Some(Ok(modules)) => modules,
        Some(Err(finding)) => return vec![*finding],
        None => return Vec::new(),
    };
    let Some(site) = place.site() else {
        return Vec::new();
    };
    let tried =
        |(subject, modules): &(String, Vec<String>)| imports::tried(&site, subject, modules, bound);
    modules.iter().map(tried).collect()
}

/// All findings about a manifest: a path, or its data as a dict. `deep` imports the packages in
/// throw-away processes, each for at most `import_timeout` seconds; `progress(path, done, total)` is
/// told of large files that are read, on another thread.
#[pyfunction]
#[pyo3(name = "check_manifest", signature = (source, deep=false, import_timeout=60.0, progress=None))]
pub(crate) fn check_manifest<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
    deep: bool,
    import_timeout: f64,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let parsed = manifest::parsed(source)?;
    let bound = Duration::try_from_secs_f64(import_timeout).unwrap_or(Duration::from_secs(60));
    let findings = py.detach(|| whole(&parsed.manifest, deep.then_some(bound), progress));
    listed(py, &findings)
}

/// All findings about the GPU alone; about torch as well where `dependencies` name it. Quick: no
/// manifest is read for it, and without torch nothing is imported.
#[pyfunction]
#[pyo3(signature = (dependencies=Vec::new()))]
pub(crate) fn check_gpu(py: Python<'_>, dependencies: Vec<String>) -> PyResult<Bound<'_, PyList>> {
    let mut manifest = Manifest::host("check");
    (manifest.kind, manifest.requires_gpu) = (Kind::Python, true);
    manifest.dependencies = dependencies;
    let options = |manifest| surroundings::options(manifest, &Place::Host);
    let findings = py.detach(|| check::check_with(&manifest, &options(&manifest)));
    listed(py, &findings)
}

/// The first bytes of a file, its length, and whether it holds nothing but zeros; or why there is no
/// such file. A storage that does not answer is given up after a bound.
#[pyfunction]
pub(crate) fn read_head(
    py: Python<'_>,
    path: PathBuf,
) -> (Bound<'_, PyBytes>, u64, bool, Option<String>) {
    match py.detach(|| check::read_head(&path)) {
        Ok(head) => (PyBytes::new(py, &head.bytes), head.length, head.blank, None),
        Err(why) => (PyBytes::new(py, b""), 0, false, Some(why)),
    }
}

fn listed<'py>(py: Python<'py>, findings: &[Finding]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for finding in findings {
        list.append(convert::serialised(py, finding)?)?;
    }
    Ok(list)
}

fn whole(manifest: &Manifest, deep: Option<Duration>, progress: Option<Py<PyAny>>) -> Vec<Finding> {
    let place = Place::of(manifest);
    let mut options = surroundings::options(manifest, &place);
    options.model = ModelOptions {
        progress: progress.map(teller),
        ..ModelOptions::default()
    };
    let mut findings = check::check_with(manifest, &options);
    findings.extend(match manifest.kind {
        Kind::Python => code(manifest, &place),
        _ => check::check_beyond(manifest),
    });
    if manifest.kind == Kind::Node {
        findings.extend(check::check_node_packages(manifest, None));
        return findings;
    }
    findings.extend(in_place(manifest, &place));
    let deep = deep.map(|bound| imported(manifest, &place, bound));
    findings.extend(deep.unwrap_or_default());
    findings
}

/// What it raises is the callback's own affair.
fn teller(callback: Py<PyAny>) -> check::Progress {
    Arc::new(move |path, done, total| {
        let _ = Python::try_attach(|py| callback.call1(py, (path, done, total)).map(drop));
    })
}
