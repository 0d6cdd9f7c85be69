//! Dependency findings: packages by Python's own metadata, the rest by the core.

use crate::convert;
use crate::manifest;
use crate::names;
use plugward_core::check::{self, Finding, Subject};
use plugward_core::error::Code;
use plugward_core::manifest::Manifest;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyList};
use std::time::Instant;

/// `{kind, subject, ok, code, cause, message, remedy, took_us}` as Python tells it.
type Told = (String, bool, Option<String>, String, String, String, u64);

/// Findings about the packages that a manifest asks for; nothing is imported.
pub(crate) fn packages(manifest: &Manifest) -> Vec<Finding> {
    if manifest.dependencies.is_empty() && manifest.python_range().is_none() {
        return Vec::new();
    }
    let start = Instant::now();
    Python::try_attach(|py| {
        let asked = (&manifest.dependencies, manifest.python_range());
        let told = names::check_packages(py)
            .and_then(|f| f.call1(asked))
            .and_then(|f| f.extract::<Vec<Told>>());
        match told {
            Ok(told) => told.into_iter().map(finding).collect(),
            Err(error) => vec![broken(py, &error, start)],
        }
    })
    .unwrap_or_default()
}

/// A checker that fails must not look like a clean bill.
fn broken(py: Python<'_>, error: &PyErr, start: Instant) -> Finding {
    let text = crate::watchdog::with(|d| Some(crate::describe::message(error.value(py), d)));
    Finding::bad(Subject::Package, "packages", Code::RuntimeInternal)
        .with_message("the packages could not be checked")
        .with_cause(text.unwrap_or_default())
        .since(start)
}

fn finding((subject, ok, code, cause, message, remedy, took_us): Told) -> Finding {
    let code = code.as_deref().and_then(Code::from_code);
    let mut found = match (ok, code) {
        (false, Some(Code::CheckPlatform)) => {
            Finding::bad(Subject::Platform, subject, Code::CheckPlatform)
        }
        (false, code) => Finding::bad(
            Subject::Package,
            subject,
            code.unwrap_or(Code::CheckPackageMissing),
        ),
        (true, _) => Finding::ok(Subject::Package, subject, ""),
    };
    found.message = message;
    if !ok {
        found.cause = cause;
        found.remedy = remedy;
    }
    found.took_us = took_us;
    found
}

/// All findings about a manifest: a path, or its data as a dict.
#[pyfunction]
#[pyo3(name = "check_manifest")]
pub(crate) fn check_manifest<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let parsed = manifest::parsed(source)?;
    let findings = py.detach(|| {
        let mut findings = check::check(&parsed.manifest);
        findings.extend(packages(&parsed.manifest));
        findings
    });
    let list = PyList::empty(py);
    for finding in &findings {
        list.append(convert::serialised(py, finding)?)?;
    }
    Ok(list)
}
