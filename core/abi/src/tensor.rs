//! Frames and arrays in the shape of DLPack's `DLTensor`
//! (<https://dmlc.github.io/dlpack/latest/c_api.html>), so that a `DLTensor*` can be passed as is.

use core::ffi::c_void;

/// Where the data lives. `kind` 1 is the CPU, 2 CUDA, 3 pinned host memory (DLPack's numbers).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// DLPack's `DLDeviceType`.
    pub kind: i32,
    /// Which of them.
    pub id: i32,
}

/// Element type. `code` 0 is signed, 1 unsigned, 2 float, 4 bfloat, 6 bool (DLPack's numbers).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DType {
    /// DLPack's `DLDataTypeCode`.
    pub code: u8,
    /// Bits per element.
    pub bits: u8,
    /// Vector lanes, 1 for plain elements.
    pub lanes: u16,
}

impl DType {
    /// 8-bit unsigned: images.
    pub const U8: DType = DType {
        code: 1,
        bits: 8,
        lanes: 1,
    };
    /// 32-bit float.
    pub const F32: DType = DType {
        code: 2,
        bits: 32,
        lanes: 1,
    };
}

/// A borrowed view of an n-dimensional array; layout-compatible with `DLTensor`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Tensor {
    /// Start of the allocation; the first element is `byte_offset` bytes further.
    pub data: *mut c_void,
    /// Where the data lives.
    pub device: Device,
    /// Number of dimensions.
    pub ndim: i32,
    /// Element type.
    pub dtype: DType,
    /// `ndim` sizes, in elements.
    pub shape: *const i64,
    /// `ndim` strides in elements, or NULL for compact row-major.
    pub strides: *const i64,
    /// Distance from `data` to the first element, in bytes.
    pub byte_offset: u64,
}
