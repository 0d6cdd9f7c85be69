//! Where a Python plugin's checkpoints go.

use crate::error::OrRaise;
use plugward_core::call::Checkpoints as Core;
use pyo3::prelude::*;

/// Keeps the last checkpoint of one generation; `plugward.context.Context` gives it its form.
#[pyclass(frozen, module = "plugward._native")]
pub(crate) struct Checkpoints(Core);

impl Checkpoints {
    pub(crate) fn new(core: Core) -> Self {
        Self(core)
    }
}

#[pymethods]
impl Checkpoints {
    /// Replaces the last one.
    fn save(&self, py: Python<'_>, state: &[u8]) -> PyResult<()> {
        py.detach(|| self.0.save(state)).or_raise(py)
    }
}
