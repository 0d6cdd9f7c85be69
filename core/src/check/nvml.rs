//! The two NVIDIA driver libraries, reached by `dlopen`. The only unsafe file of the checker.
//!
//! What the host may do, and why:
//!
//! * **NVML** (`libnvidia-ml.so.1`) is the source. Its initialisation creates no CUDA context,
//!   starts no thread and allocates no device memory; after the shutdown nothing of it is left, so
//!   the host may fork afterwards. The library is closed again: a driver that is updated while the
//!   host runs is then seen with its new library, not for ever with the old one.
//! * **CUDA** (`libcuda.so.1`) is opened only where NVML cannot tell the CUDA version, and only for
//!   `cuDriverGetVersion`, which needs no `cuInit`. `cuInit` is never called: it would break
//!   `fork` in the host and fix `CUDA_VISIBLE_DEVICES` for the process. The library is left
//!   mapped (`RTLD_NODELETE`), since unloading it is not safe with every driver.
//!
//! `nvml-wrapper` was rejected: it covers half of the causes only (no `cuDriverGetVersion`, no
//! `CUDA_VISIBLE_DEVICES`), and a missing symbol of the ten needed here is a plain lookup away.

#![allow(unsafe_code, reason = "calls into the driver's C libraries")]

use libloading::Library;
use std::ffi::{OsStr, c_char, c_int, c_uint, c_void};
use std::path::Path;

/// `CUDA`'s and NVML's "no error".
const SUCCESS: c_int = 0;

/// Why a library could not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OpenError {
    /// There is no such library.
    Absent,
    /// It is there and cannot be used: the loader's words.
    Broken(String),
}

/// Why a driver function gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallError {
    /// The library has no such function.
    Missing(&'static str),
    /// The function answered this number.
    Status(i32),
}

/// A device as NVML knows it; valid while its [`Session`] lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handle(*mut c_void);

/// `nvmlMemory_t`, in bytes.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct MemoryInfo {
    pub(super) total: u64,
    pub(super) free: u64,
    pub(super) used: u64,
}

/// Opens a driver library by soname or path.
fn open(name: &OsStr) -> Result<Library, OpenError> {
    // SAFETY: opening runs the library's constructors. It is the NVIDIA driver's own library (or a
    // test's stand-in), whose constructors set up tables and touch no device.
    unsafe { Library::new(name) }.map_err(|error| open_error(name, &error))
}

/// Tells a library that is not there from one that is broken.
///
/// The loader's text may be translated, so only its beginning is looked at: it names the library
/// as it was asked for where that was not found, and the full path, or another library's name,
/// where something else went wrong.
fn open_error(name: &OsStr, error: &libloading::Error) -> OpenError {
    let text = match error {
        libloading::Error::DlOpen { source } => source.to_string(),
        other => other.to_string(),
    };
    let asked = name.to_string_lossy();
    let has_folder = asked.contains('/');
    let absent = if has_folder {
        !Path::new(name).exists()
    } else {
        text.starts_with(&format!("{asked}:")) && !text.contains("ELFCLASS")
    };
    if absent {
        OpenError::Absent
    } else {
        OpenError::Broken(text)
    }
}

/// Looks a function up. `F` is a function pointer type; a symbol whose address is null counts as
/// missing.
///
/// # Safety
/// `F` must be the type that the library's header declares for `name`.
unsafe fn function<F: Copy>(library: &Library, name: &'static str) -> Result<F, CallError> {
    // SAFETY: the caller vouches for the type; `Option` of a function pointer has the pointer's
    // layout, with null as `None`.
    match unsafe { library.get::<Option<F>>(name) } {
        Ok(symbol) => symbol.ok_or(CallError::Missing(name)),
        Err(_) => Err(CallError::Missing(name)),
    }
}

fn status(code: c_int) -> Result<(), CallError> {
    if code == SUCCESS {
        Ok(())
    } else {
        Err(CallError::Status(code))
    }
}

/// Text up to the first NUL, or the whole buffer where there is none.
fn text(buffer: &[u8]) -> String {
    let end = buffer
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(buffer.len());
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}

/// CUDA's version number, `12040` for 12.4; `None` for a number that is none.
fn cuda_version(number: c_int) -> Option<(u32, u32)> {
    let number = u32::try_from(number)
        .ok()
        .filter(|number| *number >= 1000)?;
    Some((number / 1000, number % 1000 / 10))
}

/// The CUDA version that `libcuda` serves, without initialising CUDA.
pub(super) fn cuda_driver_version(name: &OsStr) -> Result<Option<(u32, u32)>, OpenError> {
    use libloading::os::unix::{Library as Unix, RTLD_LAZY, RTLD_LOCAL};
    type DriverGetVersion = unsafe extern "C" fn(*mut c_int) -> c_int;
    /// glibc's and musl's `RTLD_NODELETE`.
    const RTLD_NODELETE: c_int = 0x1000;
    // SAFETY: as in `open`.
    let library = unsafe { Unix::open(Some(name), RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE) };
    let library = Library::from(library.map_err(|error| open_error(name, &error))?);
    // SAFETY: the type is cuda.h's: CUresult cuDriverGetVersion(int*).
    let Ok(ask) = (unsafe { function::<DriverGetVersion>(&library, "cuDriverGetVersion") }) else {
        return Ok(None);
    };
    let mut number = 0;
    // SAFETY: the pointer is valid for one int; the function needs no prior cuInit.
    let answer = unsafe { ask(&raw mut number) };
    Ok((answer == SUCCESS).then(|| cuda_version(number)).flatten())
}

/// NVML, opened and not yet initialised.
pub(super) struct Nvml(Library);

impl Nvml {
    /// Opens the library.
    pub(super) fn open(name: &OsStr) -> Result<Self, OpenError> {
        open(name).map(Self)
    }

    /// Initialises NVML until the session is dropped.
    pub(super) fn start(&self) -> Result<Session<'_>, CallError> {
        type Init = unsafe extern "C" fn() -> c_int;
        // SAFETY: nvml.h: nvmlReturn_t nvmlInit_v2(void).
        let init = unsafe { function::<Init>(&self.0, "nvmlInit_v2") }?;
        // SAFETY: takes nothing; calls are counted inside NVML and may come from any thread.
        status(unsafe { init() })?;
        Ok(Session(&self.0))
    }
}

/// NVML between its initialisation and its shutdown.
pub(super) struct Session<'a>(&'a Library);

impl Drop for Session<'_> {
    fn drop(&mut self) {
        type Shutdown = unsafe extern "C" fn() -> c_int;
        // SAFETY: nvml.h: nvmlReturn_t nvmlShutdown(void).
        if let Ok(shutdown) = unsafe { function::<Shutdown>(self.0, "nvmlShutdown") } {
            // SAFETY: pairs with the nvmlInit_v2 that made this session.
            let _ = unsafe { shutdown() };
        }
    }
}

impl Session<'_> {
    /// The driver's version, `550.54.15`.
    pub(super) fn driver_version(&self) -> Result<String, CallError> {
        type Ask = unsafe extern "C" fn(*mut c_char, c_uint) -> c_int;
        // SAFETY: nvml.h: nvmlSystemGetDriverVersion(char*, unsigned int).
        let ask = unsafe { function::<Ask>(self.0, "nvmlSystemGetDriverVersion") }?;
        let mut buffer = [0_u8; 96];
        // SAFETY: the length given is one less than the buffer's, so a NUL always remains.
        status(unsafe { ask(buffer.as_mut_ptr().cast(), 95) })?;
        Ok(text(&buffer))
    }

    /// The CUDA version that the installed `libcuda` serves. NVML opens that library for it.
    pub(super) fn cuda_version(&self) -> Result<Option<(u32, u32)>, CallError> {
        type Ask = unsafe extern "C" fn(*mut c_int) -> c_int;
        // SAFETY: nvml.h: nvmlSystemGetCudaDriverVersion_v2(int*).
        let ask = unsafe { function::<Ask>(self.0, "nvmlSystemGetCudaDriverVersion_v2") }?;
        let mut number = 0;
        // SAFETY: the pointer is valid for one int.
        status(unsafe { ask(&raw mut number) })?;
        Ok(cuda_version(number))
    }

    /// How many devices there are.
    pub(super) fn count(&self) -> Result<u32, CallError> {
        type Ask = unsafe extern "C" fn(*mut c_uint) -> c_int;
        // SAFETY: nvml.h: nvmlDeviceGetCount_v2(unsigned int*).
        let ask = unsafe { function::<Ask>(self.0, "nvmlDeviceGetCount_v2") }?;
        let mut count = 0;
        // SAFETY: the pointer is valid for one unsigned int.
        status(unsafe { ask(&raw mut count) })?;
        Ok(count)
    }

    /// The device at `index`, in PCI order.
    pub(super) fn device(&self, index: u32) -> Result<Handle, CallError> {
        type Ask = unsafe extern "C" fn(c_uint, *mut *mut c_void) -> c_int;
        // SAFETY: nvml.h: nvmlDeviceGetHandleByIndex_v2(unsigned int, nvmlDevice_t*).
        let ask = unsafe { function::<Ask>(self.0, "nvmlDeviceGetHandleByIndex_v2") }?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the pointer is valid for one handle.
        status(unsafe { ask(index, &raw mut handle) })?;
        Ok(Handle(handle))
    }

    /// The device's name, `NVIDIA H100 80GB HBM3`.
    pub(super) fn name(&self, device: Handle) -> Result<String, CallError> {
        self.device_text(device, "nvmlDeviceGetName")
    }

    /// The device's or partition's identifier, `GPU-...` or `MIG-...`.
    pub(super) fn uuid(&self, device: Handle) -> Result<String, CallError> {
        self.device_text(device, "nvmlDeviceGetUUID")
    }

    fn device_text(&self, device: Handle, name: &'static str) -> Result<String, CallError> {
        type Ask = unsafe extern "C" fn(*mut c_void, *mut c_char, c_uint) -> c_int;
        // SAFETY: nvml.h declares both callers' functions as (nvmlDevice_t, char*, unsigned int).
        let ask = unsafe { function::<Ask>(self.0, name) }?;
        let mut buffer = [0_u8; 128];
        // SAFETY: the handle came from this session; a NUL always remains in the buffer.
        status(unsafe { ask(device.0, buffer.as_mut_ptr().cast(), 127) })?;
        Ok(text(&buffer))
    }

    /// Total and free memory, without a CUDA context.
    pub(super) fn memory(&self, device: Handle) -> Result<MemoryInfo, CallError> {
        type Ask = unsafe extern "C" fn(*mut c_void, *mut MemoryInfo) -> c_int;
        // SAFETY: nvml.h: nvmlDeviceGetMemoryInfo(nvmlDevice_t, nvmlMemory_t*).
        let ask = unsafe { function::<Ask>(self.0, "nvmlDeviceGetMemoryInfo") }?;
        let mut memory = MemoryInfo::default();
        // SAFETY: the handle came from this session; the struct has nvmlMemory_t's layout.
        status(unsafe { ask(device.0, &raw mut memory) })?;
        Ok(memory)
    }

    /// The compute capability, `(9, 0)`.
    pub(super) fn compute(&self, device: Handle) -> Result<(u32, u32), CallError> {
        type Ask = unsafe extern "C" fn(*mut c_void, *mut c_int, *mut c_int) -> c_int;
        // SAFETY: nvml.h: nvmlDeviceGetCudaComputeCapability(nvmlDevice_t, int*, int*).
        let ask = unsafe { function::<Ask>(self.0, "nvmlDeviceGetCudaComputeCapability") }?;
        let (mut major, mut minor) = (0, 0);
        // SAFETY: the handle came from this session; both pointers are valid for one int.
        status(unsafe { ask(device.0, &raw mut major, &raw mut minor) })?;
        Ok((
            u32::try_from(major).unwrap_or(0),
            u32::try_from(minor).unwrap_or(0),
        ))
    }

    /// Whether the device is split into MIG partitions; false where the driver does not know MIG.
    pub(super) fn partitioned(&self, device: Handle) -> bool {
        type Ask = unsafe extern "C" fn(*mut c_void, *mut c_uint, *mut c_uint) -> c_int;
        // SAFETY: nvml.h: nvmlDeviceGetMigMode(nvmlDevice_t, unsigned int*, unsigned int*).
        let Ok(ask) = (unsafe { function::<Ask>(self.0, "nvmlDeviceGetMigMode") }) else {
            return false;
        };
        let (mut now, mut pending) = (0, 0);
        // SAFETY: the handle came from this session; both pointers are valid.
        let code = unsafe { ask(device.0, &raw mut now, &raw mut pending) };
        code == SUCCESS && now == 1
    }

    /// The highest number of partitions that the device may have.
    pub(super) fn partition_limit(&self, device: Handle) -> Result<u32, CallError> {
        type Ask = unsafe extern "C" fn(*mut c_void, *mut c_uint) -> c_int;
        // SAFETY: nvml.h: nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t, unsigned int*).
        let ask = unsafe { function::<Ask>(self.0, "nvmlDeviceGetMaxMigDeviceCount") }?;
        let mut count = 0;
        // SAFETY: the handle came from this session; the pointer is valid.
        status(unsafe { ask(device.0, &raw mut count) })?;
        Ok(count)
    }

    /// One partition of a device.
    pub(super) fn partition(&self, device: Handle, index: u32) -> Result<Handle, CallError> {
        type Ask = unsafe extern "C" fn(*mut c_void, c_uint, *mut *mut c_void) -> c_int;
        // SAFETY: nvml.h: nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t, unsigned int,
        // nvmlDevice_t*).
        let ask = unsafe { function::<Ask>(self.0, "nvmlDeviceGetMigDeviceHandleByIndex") }?;
        let mut handle = std::ptr::null_mut();
        // SAFETY: the handle came from this session; the pointer is valid for one handle.
        status(unsafe { ask(device.0, index, &raw mut handle) })?;
        Ok(Handle(handle))
    }
}
