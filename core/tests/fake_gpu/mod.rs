//! A machine of stand-ins: the driver's libraries (compiled here), its device nodes, torch's folder.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic"
)]

use plugward_core::Code;
use plugward_core::check::{Finding, GpuNeeds, ProbeConfig, check_gpu_at};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A machine of stand-ins. At first it has nothing at all.
pub(crate) struct Machine {
    pub(crate) folder: TempDir,
    pub(crate) config: ProbeConfig,
}

impl Machine {
    pub(crate) fn new() -> Self {
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
            torch_ask: None,
            bound: Duration::from_secs(30),
        };
        Self { folder, config }
    }

    /// With device nodes and an NVML that answers as the flags say.
    pub(crate) fn with_nvml(flags: &[&str]) -> Self {
        let machine = Self::new();
        for node in ["nvidiactl", "nvidia-uvm", "nvidia0"] {
            fs::write(machine.config.dev.join(node), "").unwrap();
        }
        compile("nvml.c", Path::new(&machine.config.nvml), flags);
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn torch(mut self, version_py: &str) -> Self {
        let folder = self.path("torch");
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::write(folder.join("version.py"), version_py).unwrap();
        fs::write(folder.join("lib/libtorch_cuda.so"), "").unwrap();
        self.config.torch = Some(folder);
        self
    }

    pub(crate) fn visible(mut self, list: &str) -> Self {
        self.config.visible = Some(list.into());
        self
    }

    pub(crate) fn check(&self) -> Vec<Finding> {
        self.check_for(GpuNeeds::default())
    }

    pub(crate) fn check_for(&self, needs: GpuNeeds) -> Vec<Finding> {
        check_gpu_at(&needs, &self.config)
    }
}

pub(crate) fn compile(source: &str, library: &Path, flags: &[&str]) {
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
pub(crate) fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().filter_map(|finding| finding.code).collect()
}

/// The one thing that is wrong, with a word of its cause.
#[track_caller]
pub(crate) fn only(findings: &[Finding], code: Code, word: &str) {
    assert_eq!(codes(findings), [code], "{findings:#?}");
    let bad = findings.iter().find(|finding| !finding.ok).unwrap();
    assert!(bad.cause.contains(word), "{word:?} is not in {bad:#?}");
    assert!(
        !bad.remedy.is_empty() && !bad.message.is_empty(),
        "{bad:#?}"
    );
}
