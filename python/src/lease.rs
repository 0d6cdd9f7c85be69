//! Arrays in a worker's memory that a host fills in place.

use crate::buffers::Memory;
use crate::error::{OrRaise, exception};
use crate::runtime::Runtime;
use crate::tensors::dtype;
use plugward_core::error::{Code, Error};
use plugward_core::worker::Lease as CoreLease;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// An array in a worker's memory. It is filled in place and passed to the plugin without a copy.
///
/// It ends at the end of its `with` block, with its worker, or when nobody holds it. The array of a
/// lease that has ended may still be looked at; a call refuses it with `PW-WORKER-013`.
#[pyclass(frozen, module = "plugward")]
pub(crate) struct Lease {
    lease: CoreLease,
    array: Py<PyAny>,
}

impl Lease {
    pub(crate) fn new(
        py: Python<'_>,
        runtime: &Runtime,
        plugin: &str,
        shape: Vec<i64>,
        kind: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let numpy = py.import("numpy")?;
        let native = numpy
            .call_method1("dtype", (kind,))?
            .call_method1("newbyteorder", ("=",))?;
        let dtype = dtype(&native)?;
        let item = usize::from(dtype.bits / 8);
        let bytes = shape.iter().try_fold(item, |n, d| {
            usize::try_from(*d).ok().and_then(|d| n.checked_mul(d))
        });
        let bytes = bytes.ok_or_else(|| {
            PyValueError::new_err(format!("shape {shape:?} is negative or too large"))
        })?;
        let lease = py
            .detach(|| runtime.core().lease(plugin, bytes))
            .or_raise(py)?;
        let at = lease.data().as_ptr().expose_provenance();
        let array = Memory::new(at, true, dtype, shape, Box::new(lease.clone()))?.array(py)?;
        let array = array.unbind();
        Ok(Self { lease, array })
    }
}

#[pymethods]
impl Lease {
    /// The array itself.
    #[getter]
    fn array(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.lease.is_over() {
            false => Ok(self.array.clone_ref(py)),
            true => Err(exception(py, &Error::new(Code::WorkerLease))),
        }
    }

    /// Whether it has ended.
    #[getter]
    fn ended(&self) -> bool {
        self.lease.is_over()
    }

    /// Ends it. Calls refuse its array from now on.
    fn end(&self) {
        self.lease.end();
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.array(py)
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, pyo3::types::PyTuple>) {
        self.end();
    }
}
