//! What a plugin asks of a GPU whose driver answers: visible devices, compute, memory, torch.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod fake_gpu;

use fake_gpu::{Machine, codes, only};
use plugward_core::Code;
use plugward_core::check::{GpuNeeds, TorchAsk, TorchSays};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn hidden_devices() {
    for (list, word) in [
        ("", "empty"),
        ("-1", "-1"),
        ("3", "names no device"),
        ("0,0", "twice"),
        ("GPU-ffff", "GPU-ffff"),
        ("MIG-part-100", "MIG-part"),
    ] {
        let findings = Machine::with_nvml(&[]).visible(list).check();
        only(&findings, Code::GpuHidden, word);
        assert!(findings[0].ok, "the driver itself is fine: {findings:?}");
    }
    for list in ["0", "0,7", "GPU-0", "0zero"] {
        assert_eq!(
            codes(&Machine::with_nvml(&[]).visible(list).check()),
            [],
            "{list}"
        );
    }
}

#[test]
fn different_cards_are_told_apart_only_in_a_sure_order() {
    let mut machine = Machine::with_nvml(&["-DCOUNT=2"]).visible("1");
    let device = |machine: &Machine| machine.check().remove(1);
    assert!(
        device(&machine).cause.contains("PCI_BUS_ID"),
        "{:?}",
        device(&machine)
    );
    machine.config.order = Some("PCI_BUS_ID".into());
    assert_eq!(device(&machine).message, "GPU 1 (NVIDIA L4)");
}

#[test]
fn partitions_count_instead_of_their_card() {
    let needs = GpuNeeds {
        min_memory_mb: Some(20_000),
        min_compute: None,
    };
    let machine = Machine::with_nvml(&["-DMIG=2"]);
    only(
        &machine.check_for(needs),
        Code::GpuMemory,
        "partition 0 of GPU 0",
    );
    let named = Machine::with_nvml(&["-DMIG=2"]).visible("MIG-part-100");
    assert_eq!(codes(&named.check()), []);
    only(
        &Machine::with_nvml(&["-DMIG=1"]).check(),
        Code::GpuHidden,
        "no partition",
    );
}

#[test]
fn demands_on_compute_and_memory() {
    let compute = GpuNeeds {
        min_memory_mb: None,
        min_compute: Some((7, 5)),
    };
    let old = Machine::with_nvml(&["-DMAJOR=6", "-DMINOR=1"]);
    only(&old.check_for(compute), Code::GpuComputeTooLow, "6.1");
    let memory = GpuNeeds {
        min_memory_mb: Some(2000),
        min_compute: None,
    };
    let busy = Machine::with_nvml(&["-DFREE_MB=1500ULL"]);
    only(&busy.check_for(memory), Code::GpuMemory, "1500 of 81559");
    let both = GpuNeeds {
        min_memory_mb: Some(90_000),
        min_compute: Some((9, 5)),
    };
    let findings = Machine::with_nvml(&[]).check_for(both);
    assert_eq!(
        codes(&findings),
        [Code::GpuComputeTooLow, Code::GpuMemory],
        "all are told"
    );
}

const TORCH_CUDA_12: &str = "__version__ = '2.6.0+cu124'\ncuda: Optional[str] = '12.4'\n";
const TORCH_CUDA_13: &str = "__version__ = '2.11.0+cu130'\ncuda: Optional[str] = '13.0'\n";
const TORCH_CPU: &str = "__version__ = '2.11.0+cpu'\ncuda: Optional[str] = None\nhip = None\n";

#[test]
fn torch_builds() {
    let findings = Machine::with_nvml(&[]).torch(TORCH_CUDA_12).check();
    assert_eq!(codes(&findings), [], "{findings:#?}");
    assert!(
        findings
            .last()
            .unwrap()
            .message
            .contains("built with CUDA 12.4")
    );
    let findings = Machine::with_nvml(&[]).torch(TORCH_CPU).check();
    only(&findings, Code::GpuTorchCpuBuild, "without CUDA");
    let findings = Machine::with_nvml(&[])
        .torch("__version__ = '2'\nhip = '6.2'\n")
        .check();
    only(&findings, Code::GpuTorchCpuBuild, "ROCm 6.2");
    let findings = Machine::with_nvml(&[]).torch(TORCH_CUDA_13).check();
    only(&findings, Code::GpuDriverTooOld, "serves CUDA up to 12.4");
    let older = Machine::with_nvml(&["-DCUDA=12000"])
        .torch(TORCH_CUDA_12)
        .check();
    assert_eq!(codes(&older), [], "the same major number is compatible");
}

#[test]
fn torch_with_missing_files() {
    let mut machine = Machine::with_nvml(&[]).torch(TORCH_CUDA_12);
    fs::remove_file(machine.path("torch/lib/libtorch_cuda.so")).unwrap();
    only(
        &machine.check(),
        Code::CheckPackageTransitive,
        "libtorch_cuda.so",
    );
    fs::remove_file(machine.path("torch/version.py")).unwrap();
    only(&machine.check(), Code::CheckPackageTransitive, "version.py");
    fs::write(machine.path("torch/build-version"), "2.11.0+cpu\n").unwrap();
    only(&machine.check(), Code::GpuTorchCpuBuild, "2.11.0+cpu");
    machine.config.torch = Some(machine.path("nowhere"));
    only(&machine.check(), Code::CheckPackageMissing, "nowhere");
}

#[test]
fn torch_without_code_for_the_card() {
    let machine = Machine::with_nvml(&["-DMAJOR=6", "-DMINOR=1"]).torch(TORCH_CUDA_12);
    let mut library = vec![0x7f, 0, 1, 2];
    library.extend(b"\0some sm_99 text\0sm_75 sm_80 sm_90 compute_90\0\xff\xfe");
    fs::write(machine.path("torch/lib/libc10_cuda.so"), library).unwrap();
    only(
        &machine.check(),
        Code::GpuTorchArch,
        "sm_75 sm_80 sm_90 compute_90",
    );
}

#[test]
fn torch_that_disagrees_with_the_driver() {
    let mut machine = Machine::with_nvml(&[]).torch(TORCH_CUDA_12);
    let error = "CUDA unknown error".to_owned();
    machine.config.torch_says = Some(TorchSays {
        available: false,
        error,
    });
    only(
        &machine.check(),
        Code::GpuTorchDisagrees,
        "CUDA unknown error",
    );
    machine.config.torch_says = Some(TorchSays {
        available: true,
        error: String::new(),
    });
    assert_eq!(codes(&machine.check()), []);
    let mut cpu = Machine::with_nvml(&[]).torch(TORCH_CPU);
    cpu.config.torch_says = Some(TorchSays {
        available: false,
        error: String::new(),
    });
    only(&cpu.check(), Code::GpuTorchCpuBuild, "without CUDA");
}

/// Asking torch takes seconds and starts CUDA, so it is asked only where nothing else tells.
#[test]
fn torch_is_asked_only_where_driver_and_files_say_yes() {
    let asked = Arc::new(AtomicUsize::new(0));
    let asking = |machine: &mut Machine, answer: Result<TorchSays, String>| {
        let count = Arc::clone(&asked);
        machine.config.torch_ask = Some(TorchAsk::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            answer.clone()
        }));
    };
    let no = || {
        Ok(TorchSays {
            available: false,
            error: "no kernel image".into(),
        })
    };
    let mut missing = Machine::new().torch(TORCH_CUDA_12);
    asking(&mut missing, no());
    only(&missing.check(), Code::GpuNoDriver, "neither");
    for text in [TORCH_CPU, TORCH_CUDA_13] {
        let mut machine = Machine::with_nvml(&[]).torch(text);
        asking(&mut machine, no());
        assert_eq!(codes(&machine.check()).len(), 1);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let mut machine = Machine::with_nvml(&[]).torch(TORCH_CUDA_12);
    asking(&mut machine, no());
    only(&machine.check(), Code::GpuTorchDisagrees, "no kernel image");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    asking(&mut machine, Err("died of SIGSEGV".into()));
    only(
        &machine.check(),
        Code::CheckPackageImport,
        "it died of SIGSEGV",
    );
}
