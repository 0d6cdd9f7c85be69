//! Where a plugin's Python code will run: in the host's interpreter, or in one of its own.

use super::facts::{Interpreter, interpreter};
use super::site::PythonSite;
use super::{packages, torch};
use crate::names;
use plugward_core::check::{CheckOptions, Finding, Surroundings, TorchAsk, uses_torch};
use plugward_core::manifest::{Kind, Manifest};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

/// Names the torch package, or an unpacked libtorch, to plugins that link it.
const LIBTORCH: &str = "PLUGWARD_LIBTORCH";

/// One manifest's place.
pub(super) enum Place {
    /// The host's own interpreter.
    Host,
    /// The manifest's.
    Own(PathBuf, Arc<Interpreter>),
    /// The manifest's, which cannot be used.
    Broken(Box<Finding>),
}

impl Place {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let Some(program) = manifest.python_interpreter() else {
            return Self::Host;
        };
        match interpreter(&program) {
            Ok(found) => Self::Own(program, found),
            Err(finding) => Self::Broken(finding),
        }
    }

    /// What scripts are run with; `None` where there is no interpreter, as in a program that embeds
    /// Python.
    pub(super) fn site(&self) -> Option<PythonSite> {
        match self {
            Self::Host => Python::try_attach(|py| host_site(py).ok().flatten()).flatten(),
            Self::Own(program, _) => Some(PythonSite {
                program: program.clone(),
                path: None,
            }),
            Self::Broken(_) => None,
        }
    }

    /// torch's folder, found without importing it.
    fn torch(&self) -> Option<PathBuf> {
        match self {
            Self::Host => Python::try_attach(|py| {
                let found = names::package_folder(py).ok()?.call1(("torch",)).ok()?;
                found.extract::<Option<PathBuf>>().ok()?
            })
            .flatten(),
            Self::Own(_, found) => found.package("torch"),
            Self::Broken(_) => None,
        }
    }
}

fn host_site(py: Python<'_>) -> PyResult<Option<PythonSite>> {
    let sys = py.import("sys")?;
    let program: Option<PathBuf> = sys.getattr("executable")?.extract()?;
    let Some(program) = program.filter(|p| !p.as_os_str().is_empty()) else {
        return Ok(None);
    };
    let path = sys.getattr("path")?.cast_into::<PyList>()?;
    let path = path.iter().filter_map(|entry| entry.extract().ok());
    Ok(Some(PythonSite {
        program,
        path: Some(
            path.filter(|p: &PathBuf| !p.as_os_str().is_empty())
                .collect(),
        ),
    }))
}

/// The options of the core's checks in a place.
pub(super) fn options(manifest: &Manifest, place: &Place) -> CheckOptions {
    let mut options = CheckOptions::default();
    if !manifest.requires_gpu || !uses_torch(manifest) {
        return options;
    }
    // A native plugin may have been given a libtorch of its own; a Python plugin imports torch.
    if manifest.kind != Kind::Native || options.gpu.torch.is_none() {
        options.gpu.torch = place.torch();
        options.gpu.torch_ask = place
            .site()
            .filter(|_| options.gpu.torch.is_some())
            .map(|site| TorchAsk::new(move || torch::says(&site)));
    }
    options
}

/// The Python door's part in a runtime's checks.
pub(crate) struct PythonSurroundings;

impl Surroundings for PythonSurroundings {
    fn options(&self, manifest: &Manifest) -> CheckOptions {
        options(manifest, &Place::of(manifest))
    }

    /// A native plugin that links libtorch takes the torch of the interpreter that it was checked in,
    /// also where nothing in the environment says which that is, as in a venv that is not activated.
    fn environment(&self, manifest: &Manifest) -> Vec<(OsString, OsString)> {
        let set = std::env::var_os(LIBTORCH).is_some_and(|value| !value.is_empty());
        let torch = (!set).then(|| Place::of(manifest).torch()).flatten();
        let torch = torch.map(|folder| (LIBTORCH.into(), folder.into_os_string()));
        torch.into_iter().collect()
    }

    /// Native plugins may name Python packages as well; Python plugins' own loader checks theirs.
    fn findings(&self, manifest: &Manifest) -> Vec<Finding> {
        match manifest.kind {
            Kind::Native => packages(manifest),
            _ => Vec::new(),
        }
    }
}
