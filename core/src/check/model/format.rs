//! Which format a model has, and what stands in the place of a model.

use std::path::Path;

/// A container that can be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A TorchScript program: a zip archive with `constants.pkl`.
    TorchScript,
    /// Anything of torch: a zip archive, or the pickle of before version 1.6.
    Torch,
    /// A zip archive that nobody said anything about.
    Archive,
    /// The Hugging Face format of plain tensors.
    Safetensors,
    /// The exchange format of onnx.ai.
    Onnx,
    /// The format of ggml and llama.cpp.
    Gguf,
    /// Nothing is known about its inside.
    Other,
}

/// The first bytes of a zip archive's first file.
pub(super) const ZIP: &[u8] = b"PK\x03\x04";
/// The first byte of a pickle of protocol 2 or higher.
pub(super) const PICKLE: u8 = 0x80;

/// The format that the manifest declares, or that the name and the first bytes show.
pub(super) fn expected(declared: Option<&str>, path: &Path, head: &[u8]) -> Format {
    if let Some(declared) = declared {
        return match declared.to_ascii_lowercase().as_str() {
            "torchscript" => Format::TorchScript,
            "pytorch" | "torch" | "pt" | "pth" => Format::Torch,
            "safetensors" => Format::Safetensors,
            "onnx" => Format::Onnx,
            "gguf" => Format::Gguf,
            _ => Format::Other,
        };
    }
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("pt" | "pth" | "ts" | "jit" | "torchscript") => Format::Torch,
        Some("safetensors") => Format::Safetensors,
        Some("onnx") => Format::Onnx,
        Some("gguf") => Format::Gguf,
        _ if head.starts_with(b"GGUF") => Format::Gguf,
        _ if head.starts_with(ZIP) => Format::Archive,
        _ => Format::Other,
    }
}

/// What stands in the place of the model, if it is no model.
pub(super) fn placeholder(head: &[u8], length: u64, format: Format) -> Option<String> {
    let text = std::str::from_utf8(head).ok()?;
    if let Some(pointer) = lfs_pointer(text, length) {
        return Some(pointer);
    }
    let visible = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if format == Format::Other || !text.chars().all(visible) {
        return None;
    }
    let start = text.trim_start();
    let line: String = start
        .lines()
        .next()
        .unwrap_or("")
        .chars()
        .take(60)
        .collect();
    if start.is_empty() {
        return Some(format!("it holds {length} bytes of blank space"));
    }
    if start.starts_with('<') {
        return Some(format!(
            "it is a web page or an error answer that begins with {line:?}"
        ));
    }
    Some(format!("it holds text that begins with {line:?}"))
}

/// git-lfs keeps a text of three lines where the file itself was not fetched.
pub(super) fn lfs_pointer(text: &str, length: u64) -> Option<String> {
    let known = [
        "version https://git-lfs.github.com/spec/",
        "version https://hawser.github.com/",
    ];
    if length > 1024 || !known.iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let size = text
        .lines()
        .find_map(|line| line.strip_prefix("size "))
        .unwrap_or("unknown");
    Some(format!(
        "it is a git-lfs pointer to a file of {size} bytes that was not fetched"
    ))
}
