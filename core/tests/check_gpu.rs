//! Every cause of a missing GPU, told apart on a machine without one: stand-ins for the driver's
//! libraries (compiled here from `fake_gpu/`), for its device nodes and for torch's folder.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

use plugward_core::Code;
use plugward_core::check::{Finding, GpuNeeds, ProbeConfig, TorchSays, check_gpu, check_gpu_at};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A machine of stand-ins. At first it has nothing at all.
struct Machine {
    folder: TempDir,
    config: ProbeConfig,
}

impl Machine {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("dev")).unwrap();
        let config = ProbeConfig {
            nvml: at("libnvidia-ml.so.1").into(),
            cuda: at("libcuda.so.1").into(),
            dev: at("dev"),
            proc: at("proc"),
            visible: None,
            order: None,
            torch: None,
            torch_says: None,
            bound: Duration::from_secs(30),
        };
        Self { folder, config }
    }

    /// With device nodes and an NVML that answers as the flags say.
    fn with_nvml(flags: &[&str]) -> Self {
        let machine = Self::new();
        for node in ["nvidiactl", "nvidia-uvm", "nvidia0"] {
            fs::write(machine.config.dev.join(node), "").unwrap();
        }
        compile("nvml.c", Path::new(&machine.config.nvml), flags);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn torch(mut self, version_py: &str) -> Self {
        let folder = self.path("torch");
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::write(folder.join("version.py"), version_py).unwrap();
        fs::write(folder.join("lib/libtorch_cuda.so"), "").unwrap();
        self.config.torch = Some(folder);
        self
    }

    fn visible(mut self, list: &str) -> Self {
        self.config.visible = Some(list.into());
        self
    }

    fn check(&self) -> Vec<Finding> {
        self.check_for(GpuNeeds::default())
    }

    fn check_for(&self, needs: GpuNeeds) -> Vec<Finding> {
        check_gpu_at(&needs, &self.config)
    }
}

fn compile(source: &str, library: &Path, flags: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fake_gpu")
        .join(source);
    let output = Command::new("cc")
        .args([
            "-shared",
            "-fPIC",
            "-O0",
            "-Wall",
            "-Werror",
            "-Wno-format-security",
            "-o",
        ])
        .arg(library)
        .arg(source)
        .args(flags)
        .output()
        .expect("a C compiler is needed: apt-get install gcc");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The codes of what is wrong, in order.
fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().filter_map(|finding| finding.code).collect()
}

/// The one thing that is wrong, with a word of its cause.
#[track_caller]
fn only(findings: &[Finding], code: Code, word: &str) {
    assert_eq!(codes(findings), [code], "{findings:#?}");
    let bad = findings.iter().find(|finding| !finding.ok).unwrap();
    assert!(bad.cause.contains(word), "{word:?} is not in {bad:#?}");
    assert!(
        !bad.remedy.is_empty() && !bad.message.is_empty(),
        "{bad:#?}"
    );
}

#[test]
fn no_driver_is_answered_at_once() {
    let start = Instant::now();
    let findings = Machine::new().check();
    only(&findings, Code::GpuNoDriver, "neither");
    // The promise is 5 ms; a loaded machine gets a hundred times that.
    assert!(findings[0].took_us < 500_000, "{} us", findings[0].took_us);
    assert!(start.elapsed() < Duration::from_secs(2));
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
        forbid(&machine.config.dev.join(node));
        let findings = as_nobody(machine.folder.path(), || machine.check());
        only(&findings, Code::GpuPermission, node);
    }
}

fn forbid(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
}

/// Runs on a thread that is not root. The kernel keeps user ids by thread, and the checker's own
/// threads inherit theirs.
#[allow(
    unsafe_code,
    reason = "the system call that libc wraps for all threads at once"
)]
fn as_nobody<T: Send>(folder: &Path, f: impl FnOnce() -> T + Send) -> T {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let nobody: libc::c_long = 65_534;
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            for entry in fs::read_dir(folder.join("dev")).unwrap().flatten() {
                let mode = entry.metadata().unwrap().permissions().mode();
                if mode & 0o777 != 0 {
                    fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o666)).unwrap();
                }
            }
            // SAFETY: plain numbers; changes this thread only, which ends with this closure.
            let rc = unsafe { libc::syscall(libc::SYS_setresuid, -1_i64, nobody, -1_i64) };
            assert!(
                rc == 0 || nix_user() != 0,
                "root may not become another user here"
            );
            f()
        });
        run.join().unwrap()
    })
}

#[allow(unsafe_code, reason = "geteuid has no safe form in std")]
fn nix_user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
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
    let mut machine = Machine::with_nvml(&["-DHANG=30"]);
    machine.config.bound = Duration::from_millis(100);
    let start = Instant::now();
    only(&machine.check(), Code::GpuDriverError, "did not answer");
    assert!(start.elapsed() < Duration::from_secs(10));
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
