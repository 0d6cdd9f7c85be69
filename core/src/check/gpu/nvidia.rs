//! The NVIDIA probe: turns what the driver's libraries, device nodes and `/proc` say into facts or
//! into the one cause that fits.

use super::super::nvml::{self, CallError, Handle, Nvml, OpenError, Session};
use super::nodes::{Node, Nodes};
use super::probe::{Device, GpuFacts, GpuFault, GpuProbe, Known, Memory, Partition, ProbeConfig};
use crate::error::Code;

/// More devices than any machine has; a driver that claims more is not believed.
const DEVICE_LIMIT: u32 = 256;
/// NVML's numbers that have a meaning of their own here (`nvmlReturn_t`).
mod number {
    pub(super) const NO_PERMISSION: i32 = 4;
    pub(super) const DRIVER_NOT_LOADED: i32 = 9;
    pub(super) const LIBRARY_NOT_FOUND: i32 = 12;
    pub(super) const OPERATING_SYSTEM: i32 = 17;
    pub(super) const LIB_RM_VERSION_MISMATCH: i32 = 18;
    pub(super) const UNKNOWN: i32 = 999;
}

/// Asks NVIDIA's driver.
#[derive(Debug, Clone, Default)]
pub struct NvidiaProbe(pub ProbeConfig);

impl GpuProbe for NvidiaProbe {
    fn facts(&self) -> Result<GpuFacts, GpuFault> {
        match Nvml::open(&self.0.nvml) {
            Ok(nvml) => self.ask(&nvml),
            Err(OpenError::Absent) => self.without_nvml(),
            Err(OpenError::Broken(why)) => Err(GpuFault::new(
                Code::GpuDriverError,
                format!("NVML cannot be opened: {why}"),
            )),
        }
    }
}

impl NvidiaProbe {
    fn ask(&self, nvml: &Nvml) -> Result<GpuFacts, GpuFault> {
        let nodes = Nodes::look(&self.0.dev);
        let session = nvml
            .start()
            .map_err(|error| self.start_fault(error, &nodes))?;
        let count = session
            .count()
            .map_err(|error| self.start_fault(error, &nodes))?;
        let mut facts = GpuFacts {
            driver: session.driver_version().unwrap_or_default(),
            ..GpuFacts::default()
        };
        match self.cuda(&session) {
            Ok(cuda) => facts.cuda = cuda,
            Err(fault) => facts.blockers.push(fault),
        }
        for index in 0..count.min(DEVICE_LIMIT) {
            match device(&session, index) {
                Ok(device) => facts.devices.push(device),
                Err(error) => facts
                    .broken
                    .push((index, device_fault(index, error, &nodes))),
            }
        }
        facts.blockers.extend(nodes.uvm_fault());
        if count == 0 {
            Err(nodes.denied_fault().unwrap_or_else(no_device))
        } else {
            Ok(facts)
        }
    }

    /// The CUDA that the driver serves; a fault where the CUDA library is not there.
    fn cuda(&self, session: &Session<'_>) -> Result<Option<(u32, u32)>, GpuFault> {
        let absent = || {
            let cause = "NVML answers, but the CUDA driver library libcuda.so.1 is not installed";
            GpuFault::new(Code::GpuNoDriver, cause).with_remedy(
                "install the driver's CUDA part; in a container set \
                 NVIDIA_DRIVER_CAPABILITIES=compute,utility",
            )
        };
        match session.cuda_version() {
            Ok(version) => Ok(version),
            Err(CallError::Status(number::LIBRARY_NOT_FOUND)) => Err(absent()),
            Err(_) => match nvml::cuda_driver_version(&self.0.cuda) {
                Ok(version) => Ok(version),
                Err(OpenError::Absent) => Err(absent()),
                Err(OpenError::Broken(why)) => Err(GpuFault::new(
                    Code::GpuDriverError,
                    format!("libcuda cannot be opened: {why}"),
                )),
            },
        }
    }

    /// Why NVML did not start.
    fn start_fault(&self, error: CallError, nodes: &Nodes) -> GpuFault {
        let number = match error {
            CallError::Missing(name) => {
                let cause = format!("the driver's NVML library has no function {name}");
                return GpuFault::new(Code::GpuDriverError, cause)
                    .with_remedy("reinstall the NVIDIA driver; the library is too old or no NVML");
            }
            CallError::Status(number) => number,
        };
        let says = nvml_says(number);
        match number {
            number::LIB_RM_VERSION_MISMATCH => GpuFault::new(Code::GpuVersionMismatch, says),
            number::NO_PERMISSION | number::OPERATING_SYSTEM => nodes
                .denied_fault()
                .unwrap_or_else(|| GpuFault::new(Code::GpuPermission, says)),
            number::DRIVER_NOT_LOADED => nodes.denied_fault().unwrap_or_else(|| {
                GpuFault::new(
                    Code::GpuNoDevice,
                    format!("{says}: no kernel module answers"),
                )
                .with_remedy("load it (modprobe nvidia), or pass the GPU to the container")
            }),
            number::UNKNOWN if nodes.none() => {
                let dev = self.0.dev.display();
                GpuFault::new(
                    Code::GpuNoDevice,
                    format!("{says}; no device node is in {dev}"),
                )
            }
            _ => nodes
                .denied_fault()
                .unwrap_or_else(|| GpuFault::new(Code::GpuDriverError, says)),
        }
    }

    /// Without NVML: either no driver at all, or a container that was given CUDA only.
    fn without_nvml(&self) -> Result<GpuFacts, GpuFault> {
        let cuda = match nvml::cuda_driver_version(&self.0.cuda) {
            Ok(cuda) => cuda,
            Err(OpenError::Absent) => return Err(self.no_driver()),
            Err(OpenError::Broken(why)) => {
                let cause = format!("libcuda cannot be opened: {why}");
                return Err(GpuFault::new(Code::GpuDriverError, cause));
            }
        };
        let nodes = Nodes::look(&self.0.dev);
        let devices = super::nodes::listed(&self.0.proc);
        if devices.is_empty() {
            return Err(nodes.denied_fault().unwrap_or_else(no_device));
        }
        let blockers = nodes.denied_fault().into_iter().collect();
        Ok(GpuFacts {
            cuda,
            devices,
            blockers,
            ..GpuFacts::default()
        })
    }

    fn no_driver(&self) -> GpuFault {
        let names = format!(
            "neither {} nor {} is installed",
            self.0.nvml.to_string_lossy(),
            self.0.cuda.to_string_lossy()
        );
        if !self.0.proc.join("version").exists() {
            return GpuFault::new(Code::GpuNoDriver, names);
        }
        let cause = format!("{names}, although the NVIDIA kernel module is loaded");
        GpuFault::new(Code::GpuNoDriver, cause).with_remedy(
            "start the container with the NVIDIA runtime (--gpus all), or install the driver's \
             libraries",
        )
    }
}

fn no_device() -> GpuFault {
    GpuFault::new(Code::GpuNoDevice, Code::GpuNoDevice.row().cause)
}

/// Everything about one device; only its handle is indispensable.
fn device(session: &Session<'_>, index: u32) -> Result<Device, CallError> {
    let handle = session.device(index)?;
    let split = session.partitioned(handle);
    Ok(Device {
        index,
        name: session.name(handle).unwrap_or_else(|_| "unnamed".into()),
        uuid: session.uuid(handle).unwrap_or_default(),
        compute: known(session.compute(handle)),
        memory: known(session.memory(handle).map(memory)),
        split,
        partitions: if split {
            partitions(session, handle)
        } else {
            Vec::new()
        },
    })
}

fn partitions(session: &Session<'_>, device: Handle) -> Vec<Partition> {
    let limit = session
        .partition_limit(device)
        .unwrap_or(0)
        .min(DEVICE_LIMIT);
    let handles = (0..limit).filter_map(|index| session.partition(device, index).ok());
    handles
        .map(|handle| Partition {
            uuid: session.uuid(handle).unwrap_or_default(),
            memory: known(session.memory(handle).map(memory)),
        })
        .collect()
}

fn memory(info: nvml::MemoryInfo) -> Memory {
    let mib = |bytes: u64| bytes >> 20;
    Memory {
        total_mb: mib(info.total),
        free_mb: mib(info.free.min(info.total)),
    }
}

fn known<T>(answer: Result<T, CallError>) -> Known<T> {
    match answer {
        Ok(value) => Known::Yes(value),
        Err(CallError::Missing(name)) => Known::No(format!("the driver has no function {name}")),
        Err(CallError::Status(number)) => Known::No(nvml_says(number)),
    }
}

fn device_fault(index: u32, error: CallError, nodes: &Nodes) -> GpuFault {
    match error {
        CallError::Missing(name) => GpuFault::new(
            Code::GpuDriverError,
            format!("the driver's NVML library has no function {name}"),
        ),
        CallError::Status(number::NO_PERMISSION | number::OPERATING_SYSTEM) => {
            nodes.denied_fault().unwrap_or_else(|| {
                GpuFault::new(
                    Code::GpuPermission,
                    format!("the driver refuses device {index}"),
                )
            })
        }
        CallError::Status(number) => GpuFault::new(
            Code::GpuDriverError,
            format!("device {index}: {}", nvml_says(number)),
        ),
    }
}

/// NVML's number with its meaning, as `nvml.h` has it.
fn nvml_says(number: i32) -> String {
    let meaning = match number {
        1 => "not initialised",
        2 => "invalid argument",
        3 => "not supported",
        4 => "insufficient permissions",
        6 => "not found",
        8 => "an external power cable is not attached",
        9 => "the driver is not loaded",
        10 => "timeout",
        11 => "interrupt problem",
        12 => "library not found",
        13 => "function not found",
        14 => "the card's infoROM is corrupted",
        15 => "the GPU has fallen off the bus",
        16 => "the GPU needs a reset",
        17 => "blocked by the operating system",
        18 => "driver library and kernel module have different versions",
        19 => "in use",
        20 => "out of memory",
        23 => "insufficient resources",
        999 => "unknown error",
        _ => "no text for this number",
    };
    format!("NVML answered {number} ({meaning})")
}

impl Nodes {
    /// The fault of a node that may not be opened.
    fn denied_fault(&self) -> Option<GpuFault> {
        let (path, why) = self.all().find_map(|(path, node)| match node {
            Node::Denied(why) => Some((path, why)),
            _ => None,
        })?;
        let cause = format!(
            "{} may not be opened for reading and writing: {why}",
            path.display()
        );
        Some(GpuFault::new(Code::GpuPermission, cause))
    }

    /// The same for the one node that NVML does not need and CUDA does.
    fn uvm_fault(&self) -> Option<GpuFault> {
        let Node::Denied(why) = &self.uvm.1 else {
            return None;
        };
        let cause = format!(
            "CUDA needs {}, which may not be opened: {why}",
            self.uvm.0.display()
        );
        Some(GpuFault::new(Code::GpuPermission, cause))
    }
}
