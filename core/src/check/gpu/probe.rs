//! What a GPU probe is asked and what it answers. NVIDIA is the one that exists; another maker's
//! driver would be a second implementation of [`GpuProbe`].

use crate::error::Code;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the probe looks. The default is the machine itself; tests point it at stand-ins.
#[derive(Debug, Clone)]
pub struct ProbeConfig {
    /// NVML's soname or path.
    pub nvml: OsString,
    /// The CUDA driver library's soname or path.
    pub cuda: OsString,
    /// The folder with the device nodes.
    pub dev: PathBuf,
    /// The driver's folder under `/proc`.
    pub proc: PathBuf,
    /// `CUDA_VISIBLE_DEVICES`; `None` where it is not set.
    pub visible: Option<String>,
    /// `CUDA_DEVICE_ORDER`; `None` where it is not set.
    pub order: Option<String>,
    /// The folder of the torch package (or of a libtorch), which is read and never loaded.
    pub torch: Option<PathBuf>,
    /// What torch itself said, where somebody has asked it already.
    pub torch_says: Option<TorchSays>,
    /// Asks torch itself. Used only where the driver answers and torch's files say that it should
    /// work, since it takes seconds.
    pub torch_ask: Option<TorchAsk>,
    /// How long the driver may be silent. A card that wakes up takes a second or two.
    pub bound: Duration,
}

/// torch's own answer to `torch.cuda.is_available()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorchSays {
    /// Whether torch can use the GPU.
    pub available: bool,
    /// torch's error text where it cannot; may be empty.
    pub error: String,
}

/// Asks torch in a process of its own, never in the host: it starts CUDA. A door knows how.
#[derive(Clone)]
pub struct TorchAsk(Arc<Ask>);

type Ask = dyn Fn() -> Result<TorchSays, String> + Send + Sync;

impl TorchAsk {
    /// `ask` answers what torch says, or in words why it gave no answer.
    pub fn new(ask: impl Fn() -> Result<TorchSays, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(super) fn ask(&self) -> Result<TorchSays, String> {
        (self.0)()
    }
}

impl fmt::Debug for TorchAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TorchAsk")
    }
}

impl Default for ProbeConfig {
    /// The machine as it is, with the environment of this process.
    fn default() -> Self {
        let variable = |name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned());
        Self {
            nvml: "libnvidia-ml.so.1".into(),
            cuda: "libcuda.so.1".into(),
            dev: "/dev".into(),
            proc: "/proc/driver/nvidia".into(),
            visible: variable("CUDA_VISIBLE_DEVICES"),
            order: variable("CUDA_DEVICE_ORDER"),
            torch: std::env::var_os("PLUGWARD_LIBTORCH").map(PathBuf::from),
            torch_says: None,
            torch_ask: None,
            bound: Duration::from_secs(10),
        }
    }
}

/// Looks at the machine's GPUs without using them.
pub trait GpuProbe: Send + Sync {
    /// What there is, or the one cause why nothing can be used.
    ///
    /// # Errors
    /// The fault that keeps every device from being used.
    fn facts(&self) -> Result<GpuFacts, GpuFault>;
}

/// Why something about the GPU does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuFault {
    /// The catalogue's code.
    pub code: Code,
    /// Why, this time.
    pub cause: String,
    /// What to do where the catalogue's remedy does not fit.
    pub remedy: Option<String>,
}

impl GpuFault {
    /// A fault with the catalogue's remedy.
    pub fn new(code: Code, cause: impl Into<String>) -> Self {
        Self {
            code,
            cause: cause.into(),
            remedy: None,
        }
    }

    /// The same with a remedy of its own.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// What the driver says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuFacts {
    /// The driver's version, `550.54.15`; empty where it is not known.
    pub driver: String,
    /// The newest CUDA that the driver serves.
    pub cuda: Option<(u32, u32)>,
    /// The devices that answer, in PCI order.
    pub devices: Vec<Device>,
    /// Devices that do not answer: number and fault.
    pub broken: Vec<(u32, GpuFault)>,
    /// Faults that keep CUDA from starting although devices answer.
    pub blockers: Vec<GpuFault>,
}

/// One GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// The driver's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `GPU-...`
    pub uuid: String,
    /// Compute capability, or why it is not known.
    pub compute: Known<(u32, u32)>,
    /// Memory, or why it is not known.
    pub memory: Known<Memory>,
    /// Whether it is split into MIG partitions. CUDA then uses a partition, never the whole.
    pub split: bool,
    /// The partitions.
    pub partitions: Vec<Partition>,
}

/// One MIG partition of a GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partition {
    /// `MIG-...`
    pub uuid: String,
    /// Memory, or why it is not known.
    pub memory: Known<Memory>,
}

/// Memory of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// All of it, in MiB.
    pub total_mb: u64,
    /// What is free now, in MiB.
    pub free_mb: u64,
}

/// A value, or the reason why the driver did not tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// The driver's answer.
    Yes(T),
    /// Why there is none.
    No(String),
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self::No("the driver was not asked".into())
    }
}
