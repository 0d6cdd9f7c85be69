//! The way to libtorch, which this library does not link.
//!
//! First the torch package is found and its version compared (`find`), then its libraries are
//! opened by their absolute paths with their symbols global, then `libvideotracker_torch.so`, whose
//! needs are met by then: no LD_LIBRARY_PATH, and a wrong or missing libtorch is an error with a
//! remedy. Linking libtorch into this library was rejected: with another libtorch `dlopen` succeeds
//! and the first run segfaults, and without one it fails before any code of ours could say why.
//! All unsafe code that calls the back end is in this file.

#![allow(
    unsafe_code,
    reason = "dlopen of libtorch and the back end's table: one of the named unsafe addresses"
)]

pub mod find;
pub mod table;
pub mod words;

use crate::fault::{self, Fault, Result};
use crate::settings::Device;
use find::Libtorch;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use table::{BACKEND_ABI, BACKEND_SYMBOL, DONE, Input, Setup, Table};
use words::{Meaning, Phase, sort};

/// The library that links libtorch; it lies beside this one.
const LIBRARY: &str = "libvideotracker_torch.so";

/// Open libraries, never closed: libtorch does not survive that.
pub struct Backend {
    table: &'static Table,
    /// What was opened.
    pub libtorch: Libtorch,
}

impl Backend {
    /// Opens libtorch and the back end.
    ///
    /// # Errors
    /// [`fault::LIBTORCH_OPEN`] with the dynamic linker's words.
    pub fn open(libtorch: Libtorch, cuda: bool) -> Result<Arc<Self>> {
        sleep_while_waiting();
        let mut names = vec!["libc10.so", "libtorch_cpu.so"];
        if cuda && libtorch.cuda {
            // Without it libtorch says that there is no CUDA, whatever the machine has.
            names.extend(["libc10_cuda.so", "libtorch_cuda.so"]);
        }
        for name in names {
            let _ = library(&libtorch.library(name), RTLD_GLOBAL)?;
        }
        let opened = library(&beside(), RTLD_LOCAL)?;
        // SAFETY: the symbol is this plugin's own, of the type that both sides compile.
        let entry = unsafe { opened.get::<unsafe extern "C" fn() -> *const Table>(BACKEND_SYMBOL) }
            .map_err(|_| {
                let message = format!("{LIBRARY} was built without libtorch (make videotracker)");
                Fault::new(fault::LIBTORCH_OPEN, message)
            })?;
        // SAFETY: the back end answers its static table, and is never closed.
        let table = unsafe { &*entry() };
        if table.abi != BACKEND_ABI {
            let message = format!("{LIBRARY} belongs to another build of the plugin");
            return Err(Fault::new(fault::LIBTORCH_OPEN, message));
        }
        Ok(Arc::new(Self { table, libtorch }))
    }

    /// How many CUDA devices libtorch sees.
    #[must_use]
    pub fn cuda_devices(&self) -> i64 {
        // SAFETY: a function of an open library without preconditions.
        unsafe { (self.table.cuda_devices)() }
    }

    /// Opens a TorchScript program that lies in memory and was checked.
    ///
    /// # Errors
    /// [`fault::MODEL_LOAD`], [`fault::MEMORY`] or [`fault::DEVICE`], with libtorch's words.
    pub fn program(self: &Arc<Self>, bytes: &[u8], how: How) -> Result<Program> {
        let setup = Setup {
            device: how.device.number(),
            half: i32::from(how.half),
            threads: i32::from(how.threads),
        };
        let mut pointer = std::ptr::null_mut();
        let mut words = Words::default();
        // SAFETY: every pointer is valid for the length of the call.
        let status = unsafe {
            (self.table.open)(
                bytes.as_ptr(),
                bytes.len(),
                setup,
                &raw mut pointer,
                say,
                (&raw mut words).cast(),
            )
        };
        settle(status, &words, Phase::Open)?;
        Ok(Program {
            pointer,
            backend: Arc::clone(self),
            device: how.device,
        })
    }
}

/// Has libtorch's threads sleep between two operations, where nobody has said otherwise. By default they
/// spin for a while, on a processor that the decoder of the next frames has work for.
fn sleep_while_waiting() {
    const POLICY: &str = "OMP_WAIT_POLICY";
    if std::env::var_os(POLICY).is_none() {
        // SAFETY: a plugin is loaded on the worker's first thread, before the threads of its calls begin;
        // the worker's own do not look at the environment.
        unsafe { std::env::set_var(POLICY, "passive") };
    }
}

/// How a program is to run.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Where.
    pub device: Device,
    /// Half precision, on CUDA only.
    pub half: bool,
    /// Threads of one operation; 0 leaves libtorch's choice.
    pub threads: u16,
}

/// A TorchScript program on its device.
pub struct Program {
    pointer: *mut c_void,
    backend: Arc<Backend>,
    /// Where it runs.
    pub device: Device,
}

// SAFETY: the table's functions may be called from any thread, several at once.
unsafe impl Send for Program {}
// SAFETY: as above.
unsafe impl Sync for Program {}

/// What a program answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// Compact, row-major.
    pub data: Vec<f32>,
}

impl Program {
    /// Runs it on `batch` x 3 x `height` x `width` floats of 0 to 1.
    ///
    /// # Errors
    /// [`fault::MODEL_RUN`], [`fault::MEMORY`] or [`fault::DEVICE`]. A broken device ends the process: nothing else
    /// helps, and the supervisor starts the next one.
    pub fn run(&self, planes: &[f32], batch: usize, height: usize, width: usize) -> Result<Answer> {
        assert_eq!(planes.len(), batch * 3 * height * width, "the input's size");
        let shape = [batch, 3, height, width].map(|n| n as i64);
        let input = Input {
            data: planes.as_ptr(),
            shape,
        };
        let mut words = Words::default();
        // SAFETY: the program is open, and every pointer is valid for the length of the call.
        let status = unsafe {
            (self.backend.table.run)(
                self.pointer,
                &raw const input,
                take,
                say,
                (&raw mut words).cast(),
            )
        };
        settle(status, &words, Phase::Run)?;
        Ok(words.answer)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once.
        unsafe { (self.backend.table.close)(self.pointer) };
    }
}

/// Where the back end's texts and arrays arrive.
#[derive(Default)]
struct Words {
    text: String,
    answer: Answer,
}

unsafe extern "C" fn say(context: *mut c_void, text: *const u8, len: usize) {
    // SAFETY: `context` is the `Words` of the call under way, `text` has `len` bytes.
    let (words, bytes) = unsafe {
        (
            &mut *context.cast::<Words>(),
            std::slice::from_raw_parts(text, len),
        )
    };
    words.text = String::from_utf8_lossy(bytes).into_owned();
}

unsafe extern "C" fn take(context: *mut c_void, data: *const f32, shape: *const i64, dims: usize) {
    // SAFETY: `context` is the `Words` of the call under way, `shape` has `dims` entries.
    let (words, shape) = unsafe {
        (
            &mut *context.cast::<Words>(),
            std::slice::from_raw_parts(shape, dims),
        )
    };
    words.answer.shape = shape
        .iter()
        .map(|n| usize::try_from(*n).unwrap_or(0))
        .collect();
    let len = words.answer.shape.iter().product();
    if len > 0 {
        // SAFETY: a compact array of that shape.
        words.answer.data = unsafe { std::slice::from_raw_parts(data, len) }.to_vec();
    }
}

fn settle(status: i32, words: &Words, phase: Phase) -> Result<()> {
    if status == DONE {
        return Ok(());
    }
    let short = first_lines(&words.text);
    let code = match (sort(&words.text, phase), phase) {
        (Meaning::Memory, _) => fault::MEMORY,
        (Meaning::Unfit, _) => fault::DEVICE,
        (Meaning::Broken, _) => {
            // Every later call on this device would fail too, and some would hang.
            eprintln!("the GPU's context is broken, this process ends: {short}");
            std::process::abort()
        }
        (Meaning::Other, Phase::Open) => fault::MODEL_LOAD,
        (Meaning::Other, Phase::Run) => fault::MODEL_RUN,
    };
    Err(Fault::new(code, short))
}

/// libtorch appends its C++ stack to every message; the first lines say what happened.
fn first_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let kept: Vec<&str> = lines
        .take_while(|line| !line.starts_with("Exception raised from"))
        .take(12)
        .collect();
    kept.join("; ")
}

/// Opens a library for ever: what libtorch starts cannot be stopped.
fn library(path: &Path, flags: i32) -> Result<&'static Library> {
    // SAFETY: opening a library runs its initialisers; these are libtorch's, whose version was
    // compared, and the plugin's own.
    let opened = unsafe { Library::open(Some(path), RTLD_NOW | flags) }.map_err(|error| {
        let reason = std::error::Error::source(&error)
            .map_or_else(|| error.to_string(), ToString::to_string);
        let message = format!("{}: {reason}", path.display());
        Fault::new(fault::LIBTORCH_OPEN, message)
    })?;
    Ok(Box::leak(Box::new(opened)))
}

/// Where the library that links libtorch lies: beside this one.
fn beside() -> PathBuf {
    let here = beside as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let own = maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let number = |hex| usize::from_str_radix(hex, 16).ok();
        let within = (number(from)?..number(to)?).contains(&here);
        within.then(|| fields.nth(4).map(PathBuf::from))?
    });
    let folder = own.as_deref().and_then(Path::parent);
    folder.unwrap_or(Path::new("")).join(LIBRARY)
}
