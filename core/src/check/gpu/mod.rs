//! GPU: is there one that the plugin can use, and if not, which of the many causes is it?
//!
//! The driver is asked (see [`nvml`](super::nvml) for what is safe in a host), never a command, and
//! what torch was built for is read from its files. A demand that cannot be verified counts as not
//! met: the finding says what could not be asked.

mod nodes;
mod nvidia;
mod probe;
mod torch;
mod visible;

pub use nvidia::NvidiaProbe;
pub use probe::{
    Device, GpuFacts, GpuFault, GpuProbe, Known, Memory, Partition, ProbeConfig, TorchAsk,
    TorchSays,
};
pub use torch::{TorchBuild, read_torch};

use super::bounded::{Answer, ask};
use super::finding::{Finding, Subject};
use crate::error::Code;
use std::sync::Arc;
use std::time::Instant;
use visible::{View, Visible, view};

/// What a plugin needs of a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GpuNeeds {
    /// Free memory, in MiB.
    pub min_memory_mb: Option<u64>,
    /// Compute capability, `(7, 5)`.
    pub min_compute: Option<(u32, u32)>,
}

/// Checks this machine's GPU.
#[must_use]
pub fn check_gpu(needs: &GpuNeeds) -> Vec<Finding> {
    check_gpu_at(needs, &ProbeConfig::default())
}

/// Checks the NVIDIA GPU that `config` leads to.
#[must_use]
pub fn check_gpu_at(needs: &GpuNeeds, config: &ProbeConfig) -> Vec<Finding> {
    check_gpu_with(needs, config, Arc::new(NvidiaProbe(config.clone())))
}

/// Checks the GPU through any probe. The driver gets `config.bound` to answer.
#[must_use]
pub fn check_gpu_with(
    needs: &GpuNeeds,
    config: &ProbeConfig,
    probe: Arc<dyn GpuProbe>,
) -> Vec<Finding> {
    let start = Instant::now();
    let place = format!("GPU driver {}", config.nvml.to_string_lossy());
    let facts = match ask(&place, config.bound, move |_| probe.facts()) {
        Answer::Done(Ok(facts)) => facts,
        Answer::Done(Err(fault)) => return vec![bad("driver", &fault).since(start)],
        Answer::Silent(time) => return vec![silent(time.as_secs_f64()).since(start)],
        Answer::Broke(why) => {
            let fault = GpuFault::new(Code::RuntimeInternal, why);
            return vec![bad("driver", &fault).since(start)];
        }
    };
    let mut findings = driver(&facts);
    findings
        .iter_mut()
        .for_each(|finding| *finding = finding.clone().since(start));
    findings.extend(devices(needs, config, &facts));
    findings
}

fn silent(seconds: f64) -> Finding {
    let fault = GpuFault::new(
        Code::GpuDriverError,
        format!("the driver did not answer for {seconds:.1} s"),
    );
    bad("driver", &fault)
}

fn bad(subject: &str, fault: &GpuFault) -> Finding {
    let finding = Finding::bad(Subject::Gpu, subject, fault.code).with_cause(&fault.cause);
    match &fault.remedy {
        Some(remedy) => finding.with_remedy(remedy),
        None => finding,
    }
}

/// The driver itself, and what keeps CUDA from starting.
fn driver(facts: &GpuFacts) -> Vec<Finding> {
    let mut findings: Vec<_> = facts
        .blockers
        .iter()
        .map(|fault| bad("driver", fault))
        .collect();
    if findings.is_empty() {
        let version = match facts.driver.as_str() {
            "" => "the NVIDIA driver answers".to_owned(),
            version => format!("NVIDIA driver {version}"),
        };
        let cuda = facts
            .cuda
            .map_or(String::new(), |(a, b)| format!(", serves CUDA {a}.{b}"));
        findings.push(Finding::ok(Subject::Gpu, "driver", version + &cuda));
    }
    findings
}

/// Everything that needs a driver which answers.
fn devices(needs: &GpuNeeds, config: &ProbeConfig, facts: &GpuFacts) -> Vec<Finding> {
    let start = Instant::now();
    let seen = view(
        &facts.devices,
        config.visible.as_deref(),
        config.order.as_deref(),
    );
    let mut findings = vec![visibility(facts, &seen).since(start)];
    if seen.seen.is_empty() {
        return findings;
    }
    let strong = compute(needs, &seen.seen, &mut findings);
    memory(needs, &strong, &mut findings);
    let start = Instant::now();
    findings.extend(
        torch_findings(config, facts, &seen.seen)
            .into_iter()
            .map(|f| f.since(start)),
    );
    findings
}

/// Whether a device is left to see.
fn visibility(facts: &GpuFacts, view: &View) -> Finding {
    if let Some(first) = view.seen.first() {
        let more = match view.seen.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let finding = Finding::ok(Subject::Gpu, "device", format!("{}{more}", first.label));
        let order = "CUDA may number these cards in another order, so any of them counts; set \
                     CUDA_DEVICE_ORDER=PCI_BUS_ID to be exact";
        return if view.unsure {
            finding.with_cause(order)
        } else {
            finding
        };
    }
    match facts.broken.first() {
        Some((_, fault)) if facts.devices.is_empty() => bad("device", fault),
        _ if view.hidden.is_empty() => Finding::bad(Subject::Gpu, "device", Code::GpuNoDevice),
        _ => Finding::bad(Subject::Gpu, "device", Code::GpuHidden).with_cause(&view.hidden),
    }
}

/// Keeps the devices that are new enough; all of them where none is, so that the next demand is
/// still looked at.
fn compute(needs: &GpuNeeds, seen: &[Visible], findings: &mut Vec<Finding>) -> Vec<Visible> {
    let Some(min) = needs.min_compute else {
        return seen.to_vec();
    };
    let start = Instant::now();
    let fits = |device: &&Visible| matches!(device.compute, Known::Yes(has) if has >= min);
    let strong: Vec<_> = seen.iter().filter(fits).cloned().collect();
    let found = strong
        .first()
        .or(seen.first())
        .map(|device| match &device.compute {
            Known::Yes((a, b)) => (
                format!("{} has compute capability {a}.{b}", device.label),
                true,
            ),
            Known::No(why) => (
                format!("compute capability of {}: {why}", device.label),
                false,
            ),
        });
    let (found, asked) = found.unwrap_or_default();
    let needed = format!("the manifest asks for {}.{} or higher", min.0, min.1);
    let finding = match (strong.is_empty(), asked) {
        (false, _) => Finding::ok(Subject::Gpu, "compute capability", found),
        (true, true) => Finding::bad(Subject::Gpu, "compute capability", Code::GpuComputeTooLow)
            .with_cause(format!("{found}; {needed}")),
        (true, false) => unverified("compute capability", &found, "gpu.min_compute"),
    };
    findings.push(finding.since(start));
    if strong.is_empty() {
        seen.to_vec()
    } else {
        strong
    }
}

/// Whether one of the devices has the memory.
fn memory(needs: &GpuNeeds, devices: &[Visible], findings: &mut Vec<Finding>) {
    let Some(min) = needs.min_memory_mb else {
        return;
    };
    let start = Instant::now();
    let known = devices.iter().filter_map(|device| match device.memory {
        Known::Yes(memory) => Some((device, memory)),
        Known::No(_) => None,
    });
    let Some((device, best)) = known.max_by_key(|(_, memory)| memory.free_mb) else {
        let why = match devices.first().map(|device| &device.memory) {
            Some(Known::No(why)) => why.as_str(),
            _ => "no device",
        };
        findings.push(unverified("memory", why, "gpu.min_memory_mb").since(start));
        return;
    };
    let found = format!(
        "{}: {} of {} MiB free",
        device.label, best.free_mb, best.total_mb
    );
    let finding = if best.free_mb >= min {
        Finding::ok(Subject::Gpu, "memory", found)
    } else {
        let finding = Finding::bad(Subject::Gpu, "memory", Code::GpuMemory)
            .with_cause(format!("{found}; the manifest asks for {min} MiB"));
        if best.total_mb < min {
            finding.with_remedy("use a card with more memory, or lower gpu.min_memory_mb")
        } else {
            finding
        }
    };
    findings.push(finding.since(start));
}

/// A demand that the driver could not be asked about.
fn unverified(subject: &str, why: &str, key: &str) -> Finding {
    let remedy = format!(
        "install the driver's NVML library (in a container: \
         NVIDIA_DRIVER_CAPABILITIES=compute,utility), or remove {key} from the manifest"
    );
    let fault = GpuFault::new(
        Code::GpuDriverError,
        format!("{key} cannot be verified: {why}"),
    )
    .with_remedy(remedy);
    bad(subject, &fault)
}

/// torch against the driver and against the devices.
fn torch_findings(config: &ProbeConfig, facts: &GpuFacts, seen: &[Visible]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut cuda_build = true;
    if let Some(folder) = &config.torch {
        let finding = match read_torch(folder) {
            Err(fault) => bad("torch", &fault),
            Ok(build) => {
                cuda_build = build.cuda.is_some();
                torch_build(&build, facts, seen)
            }
        };
        findings.push(finding);
    }
    let says = match (&config.torch_says, &config.torch_ask) {
        (Some(says), _) if cuda_build => Ok(says.clone()),
        // Where its files say why it cannot work, torch need not be asked.
        (None, Some(ask)) if facts.blockers.is_empty() && findings.iter().all(|f| f.ok) => {
            ask.ask()
        }
        _ => return findings,
    };
    findings.extend(torch_word(says));
    findings
}

/// What torch itself says, where that is news.
fn torch_word(says: Result<TorchSays, String>) -> Option<Finding> {
    match says {
        Ok(TorchSays {
            available: true, ..
        }) => None,
        Ok(TorchSays { error, .. }) => {
            let finding = Finding::bad(Subject::Gpu, "torch", Code::GpuTorchDisagrees);
            Some(match error.as_str() {
                "" => finding,
                error => finding.with_cause(format!("torch says: {error}")),
            })
        }
        Err(story) => {
            let finding = Finding::bad(Subject::Package, "torch", Code::CheckPackageImport);
            Some(finding.with_cause(format!(
                "asked for the GPU, torch gave no answer: it {story}"
            )))
        }
    }
}

fn torch_build(build: &TorchBuild, facts: &GpuFacts, seen: &[Visible]) -> Finding {
    let version = &build.version;
    let Some(cuda) = build.cuda else {
        let built = match &build.hip {
            Some(hip) => format!("torch {version} was built for ROCm {hip}, not for CUDA"),
            None => format!("torch {version} was built without CUDA"),
        };
        return Finding::bad(Subject::Gpu, "torch", Code::GpuTorchCpuBuild).with_cause(built);
    };
    let built = format!("torch {version}, built with CUDA {}.{}", cuda.0, cuda.1);
    if let Some(serves) = facts.cuda.filter(|serves| !served(cuda, *serves)) {
        return Finding::bad(Subject::Gpu, "torch", Code::GpuDriverTooOld).with_cause(format!(
            "{built}; the driver {} serves CUDA up to {}.{}",
            facts.driver, serves.0, serves.1
        ));
    }
    let runs = |device: &Visible| match device.compute {
        Known::Yes(compute) => build.runs_on(compute),
        Known::No(_) => true,
    };
    if !seen.iter().any(runs) {
        return Finding::bad(Subject::Gpu, "torch", Code::GpuTorchArch).with_cause(format!(
            "{built}, holds code for {}; {} is none of these",
            build.archs.join(" "),
            seen.first()
                .map_or("the device", |device| device.label.as_str())
        ));
    }
    Finding::ok(Subject::Gpu, "torch", built)
}

/// Whether a driver that serves CUDA `driver` runs a program built with CUDA `built`. From CUDA 11
/// on any driver of the same major number does (NVIDIA's "minor version compatibility").
fn served(built: (u32, u32), driver: (u32, u32)) -> bool {
    driver >= built || (built.0 >= 11 && driver.0 == built.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_serves_its_major_number_and_older_ones() {
        for (built, driver, fine) in [
            ((12, 4), (12, 4), true),
            ((12, 8), (12, 2), true),
            ((13, 0), (12, 8), false),
            ((11, 8), (12, 0), true),
            ((10, 2), (10, 1), false),
        ] {
            assert_eq!(served(built, driver), fine, "{built:?} on {driver:?}");
        }
    }
}
