//! What the plugin asks of the library that links libtorch: plain pointers and numbers.
//!
//! This file is compiled into both. C types, because the two are built apart and only meet at run
//! time, after libtorch has been found and its version checked.

use std::ffi::c_void;

/// The one libtorch that the back end is built for: `tch` 0.24 is made for 2.11.0.
pub const TORCH_VERSION: &str = "2.11.0";
/// Changes whenever this file does.
pub const BACKEND_ABI: u32 = 2;
/// The one symbol that the back end exports.
pub const BACKEND_SYMBOL: &[u8] = b"videotracker_backend\0";

/// All went well.
pub const DONE: i32 = 0;
/// libtorch raised an error; what it means is in its words.
pub const FAILED: i32 = 1;

/// Takes a text of `len` bytes; `context` is the caller's.
pub type Say = unsafe extern "C" fn(context: *mut c_void, text: *const u8, len: usize);
/// Takes a compact float array of `dims` dimensions.
pub type Take =
    unsafe extern "C" fn(context: *mut c_void, data: *const f32, shape: *const i64, dims: usize);

/// How a model is opened.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// -1 is the CPU, else the CUDA device's number.
    pub device: i32,
    /// Not 0: half precision, on CUDA only.
    pub half: i32,
    /// Threads of one operation; 0 leaves libtorch's choice.
    pub threads: i32,
}

/// What a model is run on.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// The first element; compact.
    pub data: *const f32,
    /// Batch, channels, rows, columns.
    pub shape: [i64; 4],
}

/// The back end's functions. All are safe to call from several threads.
#[repr(C)]
pub struct Table {
    /// [`BACKEND_ABI`].
    pub abi: u32,
    /// How many CUDA devices libtorch sees.
    pub cuda_devices: unsafe extern "C" fn() -> i64,
    /// Opens a TorchScript program that lies in memory.
    pub open: unsafe extern "C" fn(
        data: *const u8,
        len: usize,
        setup: Setup,
        model: *mut *mut c_void,
        say: Say,
        context: *mut c_void,
    ) -> i32,
    /// Runs it; `take` is called once, before the function returns.
    pub run: unsafe extern "C" fn(
        model: *mut c_void,
        input: *const Input,
        take: Take,
        say: Say,
        context: *mut c_void,
    ) -> i32,
    /// Frees it.
    pub close: unsafe extern "C" fn(model: *mut c_void),
}
