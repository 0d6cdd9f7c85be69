//! Copying arrays in and out: what is abandoned must own what it still reads.

use crate::call::{Data, OwnedTensor, TensorView};
use crate::error::{Code, Error, Result};
use plugward_abi::{DType, Tensor};
use std::sync::Arc;

/// The most dimensions that are accepted.
const MAX_DIMS: i32 = 32;

fn refuse(what: impl Into<String>) -> Error {
    Error::new(Code::AbiTensor).with_message(what)
}

/// Copies a borrowed tensor into a compact one.
///
/// # Errors
/// [`Code::AbiTensor`] naming the member that does not fit.
///
/// # Safety
/// `tensor` must be NULL or point to a `plugward_tensor` whose `shape` (and `strides`, if set) have
/// `ndim` entries and whose `data` covers what they describe.
pub unsafe fn copy(tensor: *const Tensor) -> Result<OwnedTensor> {
    // SAFETY: the caller's promise.
    let Some(view) = (unsafe { tensor.as_ref() }) else {
        return Err(refuse("the tensor is NULL"));
    };
    // SAFETY: the caller's promise.
    let (shape, bytes) = unsafe { described(view) }?;
    let size = item_size(view.dtype)?;
    let mut data = Vec::with_capacity(bytes);
    if bytes > 0 {
        if view.data.is_null() {
            return Err(refuse("data is NULL"));
        }
        let strides = if view.strides.is_null() {
            compact(&shape)
        } else {
            // SAFETY: the caller's promise on `strides`.
            unsafe { entries(view.strides, shape.len(), "strides")? }
        };
        // SAFETY: `data` covers what shape and strides describe, by the caller's promise.
        let start = unsafe { view.data.cast::<u8>().add(view.byte_offset as usize) };
        gather(start, &shape, &strides, size, &mut data);
    }
    Ok(OwnedTensor {
        dtype: view.dtype,
        shape,
        data: data.into(),
    })
}

/// The shape of a view and how many bytes it describes.
///
/// # Safety
/// As [`copy`]; the data are not looked at.
unsafe fn described(view: &Tensor) -> Result<(Vec<i64>, usize)> {
    if view.device.kind != OwnedTensor::DEVICE.kind {
        return Err(refuse(format!(
            "device {} is not the CPU",
            view.device.kind
        )));
    }
    if !(0..=MAX_DIMS).contains(&view.ndim) {
        return Err(refuse(format!(
            "ndim {} is not in 0..={MAX_DIMS}",
            view.ndim
        )));
    }
    let dims = view.ndim as usize;
    // SAFETY: the caller's promise on `shape` and `strides`.
    let shape = unsafe { entries(view.shape, dims, "shape")? };
    let size = item_size(view.dtype)?;
    let count = shape.iter().try_fold(1_usize, |n, d| {
        usize::try_from(*d).ok().and_then(|d| n.checked_mul(d))
    });
    let bytes = count
        .and_then(|n| n.checked_mul(size))
        .filter(|n| *n <= isize::MAX as usize);
    let Some(bytes) = bytes else {
        return Err(refuse(format!("shape {shape:?} is negative or too large")));
    };
    Ok((shape, bytes))
}

/// Somebody else's memory, by its promise that it stays what it is.
struct Lent {
    at: *const u8,
    len: usize,
}

// SAFETY: plain memory that belongs to no thread, by the promise of `lend`'s caller.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `lend` found that `len` bytes lie there, by the promise of its caller.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }
}

/// Looks at a borrowed tensor where it lies, if it is compact; copies it otherwise.
///
/// # Errors
/// As [`copy`].
///
/// # Safety
/// As [`copy`], and the data must stay valid and unchanged as long as the result lives. The core
/// copies what it leaves to another thread.
pub unsafe fn lend(tensor: *const Tensor) -> Result<OwnedTensor> {
    // SAFETY: the caller's promise.
    let plain = unsafe { tensor.as_ref() }.filter(|t| t.strides.is_null() && !t.data.is_null());
    let Some(view) = plain else {
        // SAFETY: the caller's promise.
        return unsafe { copy(tensor) };
    };
    // SAFETY: the caller's promise.
    let (shape, bytes) = unsafe { described(view) }?;
    // SAFETY: `data` covers what the shape describes, by the caller's promise.
    let at = unsafe { view.data.cast::<u8>().add(view.byte_offset as usize) };
    Ok(OwnedTensor {
        dtype: view.dtype,
        shape,
        data: Data::Elsewhere(Arc::new(Lent { at, len: bytes })),
    })
}

/// # Safety
/// `at` must be NULL or have `n` entries.
unsafe fn entries(at: *const i64, n: usize, what: &str) -> Result<Vec<i64>> {
    if n == 0 {
        return Ok(Vec::new());
    }
    if at.is_null() {
        return Err(refuse(format!("{what} is NULL")));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(at, n) }.to_vec())
}

fn item_size(dtype: DType) -> Result<usize> {
    let bits = usize::from(dtype.bits) * usize::from(dtype.lanes);
    if bits == 0 || bits % 8 != 0 {
        return Err(refuse(format!(
            "{} bits x {} lanes are no bytes",
            dtype.bits, dtype.lanes
        )));
    }
    Ok(bits / 8)
}

fn compact(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    strides
}

/// Appends the elements in row-major order; a compact rest is copied in one piece.
fn gather(start: *const u8, shape: &[i64], strides: &[i64], size: usize, out: &mut Vec<u8>) {
    if strides == compact(shape) {
        let bytes = shape.iter().product::<i64>() as usize * size;
        // SAFETY: a compact view covers `bytes` bytes from `start`.
        out.extend_from_slice(unsafe { std::slice::from_raw_parts(start, bytes) });
        return;
    }
    for at in 0..shape[0] {
        // SAFETY: `at` is within the first dimension; wrapping keeps negative strides defined.
        let row = start.wrapping_offset((at * strides[0]) as isize * size as isize);
        gather(row, &shape[1..], &strides[1..], size, out);
    }
}

/// The C form of a view, valid as long as the view is. The plugin must not write to it.
pub(super) fn of_view(view: &TensorView<'_>) -> Tensor {
    Tensor {
        data: view.data.as_ptr().cast_mut().cast(),
        device: OwnedTensor::DEVICE,
        ndim: view.shape.len() as i32,
        dtype: view.dtype,
        shape: view.shape.as_ptr(),
        strides: std::ptr::null(),
        byte_offset: 0,
    }
}

/// A view of an owned tensor, valid as long as the tensor is.
#[must_use]
pub fn borrow(tensor: &OwnedTensor) -> Tensor {
    Tensor {
        data: tensor.data.as_ptr().cast_mut().cast(),
        device: OwnedTensor::DEVICE,
        ndim: tensor.shape.len() as i32,
        dtype: tensor.dtype,
        shape: tensor.shape.as_ptr(),
        strides: std::ptr::null(),
        byte_offset: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(data: &[u8], shape: &[i64], strides: &[i64]) -> Tensor {
        Tensor {
            data: data.as_ptr().cast_mut().cast(),
            device: OwnedTensor::DEVICE,
            ndim: shape.len() as i32,
            dtype: DType::U8,
            shape: shape.as_ptr(),
            strides: if strides.is_empty() {
                std::ptr::null()
            } else {
                strides.as_ptr()
            },
            byte_offset: 1,
        }
    }

    #[test]
    fn strided_views_are_gathered() {
        let data = [9, 0, 1, 2, 3, 4, 5];
        // SAFETY: the views describe `data`.
        let plain = unsafe { copy(&view(&data, &[2, 3], &[])) }.unwrap();
        assert_eq!(*plain.data, [0, 1, 2, 3, 4, 5]);
        // SAFETY: as above.
        let turned = unsafe { copy(&view(&data, &[3, 2], &[1, 3])) }.unwrap();
        assert_eq!(*turned.data, [0, 3, 1, 4, 2, 5]);
        let back = borrow(&turned);
        // SAFETY: the view is of `turned`.
        assert_eq!(unsafe { copy(&back) }.unwrap(), turned);
    }

    #[test]
    fn contradictions_are_named() {
        let gpu = Tensor {
            device: plugward_abi::Device { kind: 2, id: 0 },
            ..view(&[0; 2], &[1], &[])
        };
        let negative = view(&[0; 2], &[-1], &[]);
        let huge = view(&[0; 2], &[i64::MAX, i64::MAX], &[]);
        let null = Tensor {
            shape: std::ptr::null(),
            ..view(&[0; 2], &[1], &[])
        };
        for (bad, word) in [
            (gpu, "CPU"),
            (negative, "negative"),
            (huge, "large"),
            (null, "shape"),
        ] {
            // SAFETY: nothing behind these views is read before they are refused.
            let error = unsafe { copy(&bad) }.unwrap_err();
            assert!(error.message().contains(word), "{error}");
        }
    }
}
