//! The driver's device nodes and its list under `/proc`.
//!
//! A node is tried by opening it, not by looking at its mode: only opening tells what a container's
//! device rules say. Opening these nodes alone changes nothing; NVML opens the same ones.

use super::probe::{Device, Known};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Whether a node can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// There is none, or no driver answers behind it.
    Absent,
    /// It can be opened.
    Open,
    /// This user may not open it: the system's words.
    Denied(String),
}

/// The nodes of the NVIDIA driver.
#[derive(Debug, Clone)]
pub(super) struct Nodes {
    pub(super) control: (PathBuf, Node),
    pub(super) uvm: (PathBuf, Node),
    pub(super) cards: Vec<(PathBuf, Node)>,
}

impl Nodes {
    /// Tries every node in the folder.
    pub(super) fn look(dev: &Path) -> Self {
        let tried = |path: PathBuf| {
            let node = attempt(&path);
            (path, node)
        };
        Self {
            control: tried(dev.join("nvidiactl")),
            uvm: tried(dev.join("nvidia-uvm")),
            cards: cards(dev).into_iter().map(tried).collect(),
        }
    }

    /// Every node with its path.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Path, &Node)> {
        [&self.control, &self.uvm]
            .into_iter()
            .chain(&self.cards)
            .map(|(p, n)| (p.as_path(), n))
    }

    /// Whether there is no node at all.
    pub(super) fn none(&self) -> bool {
        self.all().all(|(_, node)| *node == Node::Absent)
    }
}

/// `nvidia0`, `nvidia1`, ...
fn cards(dev: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dev) else {
        return Vec::new();
    };
    let is_card = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        let number = name.strip_prefix("nvidia").unwrap_or("");
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut cards: Vec<_> = entries
        .flatten()
        .map(|e| e.path())
        .filter(is_card)
        .collect();
    cards.sort();
    cards
}

fn attempt(path: &Path) -> Node {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    match options.open(path) {
        Ok(_) => Node::Open,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Node::Denied(error.to_string())
        }
        Err(_) => Node::Absent,
    }
}

/// The devices that the kernel module lists: `gpus/<bus>/information` with name, identifier and
/// number. Used where NVML is not installed.
pub(super) fn listed(proc: &Path) -> Vec<Device> {
    let Ok(entries) = fs::read_dir(proc.join("gpus")) else {
        return Vec::new();
    };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let read = |(index, folder): (usize, PathBuf)| {
        let mut text = String::new();
        let file = fs::File::open(folder.join("information")).ok()?;
        file.take(4096).read_to_string(&mut text).ok()?;
        Some(described(u32::try_from(index).ok()?, &text))
    };
    folders.into_iter().enumerate().filter_map(read).collect()
}

fn described(index: u32, text: &str) -> Device {
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.trim().strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
    };
    let unknown = "libnvidia-ml.so.1 (NVML) is not installed, so the driver cannot be asked";
    Device {
        index,
        name: value("Model").unwrap_or_else(|| "unnamed".into()),
        uuid: value("GPU UUID").unwrap_or_default(),
        compute: Known::No(unknown.into()),
        memory: Known::No(unknown.into()),
        ..Device::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let text = "Model: \t\t NVIDIA L4\nIRQ:   \t\t 0\nGPU UUID: \t GPU-1f3a\n";
        let device = described(3, text);
        assert_eq!((device.index, device.name.as_str()), (3, "NVIDIA L4"));
        assert_eq!(device.uuid, "GPU-1f3a");
    }
}
