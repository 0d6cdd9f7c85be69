//! Manifests from Python: paths, dicts.

use crate::convert;
use crate::error::{OrRaise, exception};
use plugward_core::error::{Code, Error};
use plugward_core::manifest::{Isolation, Kind, Manifest, Parsed, SCHEMA, discover};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::path::PathBuf;

/// The manifest that `source` (a path, or a dict of data) means.
pub(crate) fn parsed(source: &Bound<'_, PyAny>) -> PyResult<Parsed> {
    let py = source.py();
    if source.is_instance_of::<PyDict>() {
        return Manifest::from_value(convert::to_value(source).value).or_raise(py);
    }
    let path: PathBuf = source.extract()?;
    py.detach(|| Manifest::from_path(&path)).or_raise(py)
}

/// The manifest of code in memory: `kind`, `entrypoint` and `name` need not be spelled out.
pub(crate) fn in_memory(data: &Bound<'_, PyDict>) -> PyResult<Parsed> {
    let py = data.py();
    let value = convert::to_value(data.as_any()).value;
    let name = value
        .get("name")
        .and_then(|n| n.as_str())
        .unwrap_or_default()
        .to_owned();
    if name.is_empty() {
        let error = Error::new(Code::ManifestMissingKey).with_message("a plugin needs a name");
        return Err(exception(py, &error));
    }
    let mut whole = Manifest::host(name).to_value();
    if let (Some(whole), Some(given)) = (whole.as_object_mut(), value.as_object()) {
        whole.extend(
            given
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k.clone(), v.clone())),
        );
    }
    Manifest::from_value(whole).or_raise(py)
}

/// The manifest at a path, or made of a dict: `{"manifest": ..., "assumptions": [...]}`.
///
/// Raises `PlugwardError` that lists every problem.
#[pyfunction]
pub(crate) fn read_manifest<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let found = parsed(source)?;
    let dict = PyDict::new(py);
    dict.set_item(
        "manifest",
        convert::to_python(py, &found.manifest.to_value())?,
    )?;
    dict.set_item("assumptions", convert::serialised(py, &found.assumptions)?)?;
    dict.set_item("dir", found.manifest.dir)?;
    Ok(dict)
}

/// What a plugin of that manifest (a path, or a dict) may do, and what enforces it on this machine:
/// `{"plugin", "manifest", "isolation", "confined", "clauses": [{"subject", "allowed", "values",
/// "text", "line", "mechanism", "enforced"}]}`. Nothing is loaded.
#[pyfunction]
pub(crate) fn describe_permissions<'py>(
    py: Python<'py>,
    source: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut found = parsed(source)?;
    // What this door's runtimes give to plugins that name none (see `worker::offer`).
    let by_default = matches!(found.manifest.kind, Kind::Python | Kind::Native);
    if cfg!(target_os = "linux") && by_default && found.manifest.isolation.is_none() {
        found.manifest.isolation = Some(Isolation::Process);
    }
    let described = py.detach(|| plugward_core::permissions::describe(&found.manifest));
    convert::serialised(py, &described)
}

/// Every plugin at a path, the unreadable ones included: `{"name", "path", "error"}`.
#[pyfunction]
pub(crate) fn discover_plugins(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for candidate in py.detach(|| discover(&path)) {
        let dict = PyDict::new(py);
        let name = candidate
            .result
            .as_ref()
            .map_or(&candidate.fallback_name, |p| &p.manifest.name);
        dict.set_item("name", name)?;
        dict.set_item("path", &candidate.path)?;
        match &candidate.result {
            Ok(_) => dict.set_item("error", py.None())?,
            Err(error) => dict.set_item("error", convert::to_python(py, &error.to_value())?)?,
        }
        list.append(dict)?;
    }
    Ok(list)
}

/// The published JSON Schema of a manifest, as text.
pub(crate) const PUBLISHED: &str = SCHEMA;
