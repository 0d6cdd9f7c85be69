//! Every cause of a missing GPU, told apart on a machine without one.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

mod fake_gpu;
mod nobody;

use fake_gpu::{Machine, codes, compile, only};
use nobody::as_nobody;
use plugward_core::Code;
use plugward_core::check::{GpuNeeds, check_gpu};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[test]
fn no_driver_is_answered_at_once() {
    let machine = Machine::new();
    let times = (0..20).map(|_| {
        let findings = machine.check();
        only(&findings, Code::GpuNoDriver, "neither");
        findings[0].took_us
    });
    // The promise is 5 ms. The best of twenty on a machine under load gets ten times that.
    let best = times.min().unwrap();
    assert!(best < 50_000, "{best} us");
}

#[test]
fn no_driver_in_a_container_whose_machine_has_one() {
    let machine = Machine::new();
    fs::create_dir(&machine.config.proc).unwrap();
    fs::write(machine.config.proc.join("version"), "NVRM version: ...").unwrap();
    let findings = machine.check();
    only(&findings, Code::GpuNoDriver, "kernel module is loaded");
    assert!(findings[0].remedy.contains("--gpus"), "{findings:?}");
}

#[test]
fn a_whole_machine_is_fine() {
    let machine = Machine::with_nvml(&[]);
    let needs = GpuNeeds {
        min_memory_mb: Some(2000),
        min_compute: Some((7, 0)),
    };
    let findings = machine.check_for(needs);
    assert_eq!(codes(&findings), [], "{findings:#?}");
    let told: Vec<_> = findings.iter().map(|f| f.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "NVIDIA driver 550.54.15, serves CUDA 12.4",
            "GPU 0 (NVIDIA H100 80GB HBM3)",
            "GPU 0 (NVIDIA H100 80GB HBM3) has compute capability 9.0",
            "GPU 0 (NVIDIA H100 80GB HBM3): 80000 of 81559 MiB free",
        ]
    );
}

#[test]
fn the_session_is_closed_again_and_cuda_is_never_started() {
    let log = TempDir::new().unwrap().keep().join("calls");
    let machine = Machine::with_nvml(&[&format!("-DLOG=\"{}\"", log.display())]);
    compile("cuda.c", Path::new(&machine.config.cuda), &[]);
    assert_eq!(codes(&machine.check()), []);
    assert_eq!(fs::read_to_string(&log).unwrap(), "init\nshutdown\n");
    fs::remove_dir_all(log.parent().unwrap()).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let own = machine.folder.path().to_str().unwrap();
    assert!(
        !maps.lines().any(|line| line.contains(own)),
        "a driver library is still mapped"
    );
    assert!(!maps.contains("libtorch"), "{maps}");
}

#[test]
fn a_driver_without_a_device() {
    only(
        &Machine::with_nvml(&["-DCOUNT=0"]).check(),
        Code::GpuNoDevice,
        "no device",
    );
    only(
        &Machine::with_nvml(&["-DINIT=9"]).check(),
        Code::GpuNoDevice,
        "not loaded",
    );
    let machine = Machine::with_nvml(&["-DINIT=999"]);
    fs::remove_dir_all(&machine.config.dev).unwrap();
    only(&machine.check(), Code::GpuNoDevice, "no device node");
}

#[test]
fn permission() {
    only(
        &Machine::with_nvml(&["-DINIT=4"]).check(),
        Code::GpuPermission,
        "permissions",
    );
    only(
        &Machine::with_nvml(&["-DINIT=17"]).check(),
        Code::GpuPermission,
        "operating system",
    );
    only(
        &Machine::with_nvml(&["-DHANDLE_RC=4"]).check(),
        Code::GpuPermission,
        "device 0",
    );
}

/// The nodes themselves, tried as a user who may not open them.
#[test]
fn permission_on_the_nodes() {
    for (node, flags) in [
        ("nvidiactl", "-DINIT=9"),
        ("nvidia0", "-DCOUNT=0"),
        ("nvidia-uvm", "-DINIT=0"),
    ] {
        let machine = Machine::with_nvml(&[flags]);
        for entry in fs::read_dir(&machine.config.dev).unwrap().flatten() {
            let mode = if entry.file_name() == node {
                0o000
            } else {
                0o666
            };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode)).unwrap();
        }
        let Some(findings) = as_nobody(machine.folder.path(), || machine.check()) else {
            return;
        };
        only(&findings, Code::GpuPermission, node);
    }
}

#[test]
fn library_and_kernel_module_do_not_match() {
    let findings = Machine::with_nvml(&["-DINIT=18"]).check();
    only(&findings, Code::GpuVersionMismatch, "18");
}

#[test]
fn other_driver_errors_keep_their_number() {
    only(
        &Machine::with_nvml(&["-DINIT=15"]).check(),
        Code::GpuDriverError,
        "15",
    );
    only(
        &Machine::with_nvml(&["-DINIT=999"]).check(),
        Code::GpuDriverError,
        "999",
    );
    only(
        &Machine::with_nvml(&["-DINIT=-7"]).check(),
        Code::GpuDriverError,
        "-7",
    );
    only(
        &Machine::with_nvml(&["-DHANDLE_RC=15"]).check(),
        Code::GpuDriverError,
        "fallen off",
    );
}

#[test]
fn a_library_without_a_function_is_a_finding() {
    for name in ["nvmlInit_v2", "nvmlDeviceGetCount_v2"] {
        let machine = Machine::with_nvml(&[&format!("-DWITHOUT_{name}")]);
        only(&machine.check(), Code::GpuDriverError, name);
    }
    let needs = GpuNeeds {
        min_memory_mb: Some(1),
        min_compute: Some((1, 0)),
    };
    for name in [
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetCudaComputeCapability",
    ] {
        let machine = Machine::with_nvml(&[&format!("-DWITHOUT_{name}")]);
        only(&machine.check_for(needs), Code::GpuDriverError, name);
        assert_eq!(
            codes(&machine.check()),
            [],
            "what nobody asks for may be missing"
        );
    }
}

#[test]
fn the_cuda_version_comes_from_libcuda_where_nvml_has_none() {
    let flag = "-DWITHOUT_nvmlSystemGetCudaDriverVersion_v2";
    only(
        &Machine::with_nvml(&[flag]).check(),
        Code::GpuNoDriver,
        "libcuda.so.1",
    );
    let machine = Machine::with_nvml(&[flag]);
    compile("cuda.c", Path::new(&machine.config.cuda), &["-DCUDA=11080"]);
    assert!(
        machine.check()[0].message.ends_with("serves CUDA 11.8"),
        "{:?}",
        machine.check()
    );
    let machine = Machine::with_nvml(&[flag]);
    compile(
        "cuda.c",
        Path::new(&machine.config.cuda),
        &["-DWITHOUT_cuDriverGetVersion"],
    );
    assert_eq!(codes(&machine.check()), []);
    only(
        &Machine::with_nvml(&["-DCUDA_RC=12"]).check(),
        Code::GpuNoDriver,
        "NVML answers",
    );
}

#[test]
fn cuda_without_nvml_as_in_a_compute_only_container() {
    let mut machine = Machine::new();
    compile("cuda.c", Path::new(&machine.config.cuda), &[]);
    only(&machine.check(), Code::GpuNoDevice, "no device");
    let folder = machine.config.proc.join("gpus/0000:01:00.0");
    fs::create_dir_all(&folder).unwrap();
    fs::write(
        folder.join("information"),
        "Model: \t NVIDIA L4\nGPU UUID: GPU-12\n",
    )
    .unwrap();
    assert_eq!(codes(&machine.check()), []);
    let needs = GpuNeeds {
        min_memory_mb: Some(1),
        min_compute: None,
    };
    only(
        &machine.check_for(needs),
        Code::GpuDriverError,
        "gpu.min_memory_mb cannot be verified",
    );
    machine.config.visible = Some("GPU-99".into());
    only(&machine.check(), Code::GpuHidden, "GPU-99");
}

#[test]
fn a_broken_library_is_told_from_a_missing_one() {
    let machine = Machine::new();
    fs::write(&machine.config.nvml, "no library").unwrap();
    only(
        &machine.check(),
        Code::GpuDriverError,
        "NVML cannot be opened",
    );
    let machine = Machine::new();
    fs::write(&machine.config.cuda, "\x7fELF").unwrap();
    only(
        &machine.check(),
        Code::GpuDriverError,
        "libcuda cannot be opened",
    );
    let mut machine = Machine::new();
    (machine.config.nvml, machine.config.cuda) =
        ("libno-nvml.so.9".into(), "libno-cuda.so.9".into());
    only(&machine.check(), Code::GpuNoDriver, "libno-nvml.so.9");
}

#[test]
fn wild_answers_do_no_harm() {
    let machine = Machine::with_nvml(&["-DWILD", "-DCOUNT=4000000000u", "-DCUDA=-5"]);
    let needs = GpuNeeds {
        min_memory_mb: Some(1),
        min_compute: Some((1, 0)),
    };
    assert_eq!(codes(&machine.check_for(needs)), []);
}

#[test]
fn a_driver_that_hangs_is_given_up() {
    let mut machine = Machine::with_nvml(&["-DHANG=600"]);
    machine.config.bound = Duration::from_millis(100);
    let start = Instant::now();
    only(&machine.check(), Code::GpuDriverError, "did not answer");
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// Whatever this machine has: an answer with a code or a device, in time, and no CUDA in here.
#[test]
fn this_very_machine() {
    let findings = check_gpu(&GpuNeeds::default());
    println!("{}", serde_json::to_string_pretty(&findings).unwrap());
    assert!(
        findings.iter().all(|f| f.ok == f.code.is_none()),
        "{findings:#?}"
    );
    assert!(
        !fs::read_to_string("/proc/self/maps")
            .unwrap()
            .contains("libtorch")
    );
}
