//! Which format a model has, and what stands in the place of a model.

use super::problem::{Problem, damaged};
use super::source::Source;
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
    /// A pickle of something else.
    Pickle,
    /// The Hugging Face format of plain tensors.
    Safetensors,
    /// The exchange format of onnx.ai.
    Onnx,
    /// The format of ggml and llama.cpp.
    Gguf,
    /// A format that is text: labels, a configuration, a model of decision trees.
    Text,
    /// Nothing is known about its inside.
    Other,
}

/// The first bytes of a zip archive's first file.
pub(super) const ZIP: &[u8] = b"PK\x03\x04";
/// The first byte of a pickle of protocol 2 or higher.
pub(super) const PICKLE: u8 = 0x80;
/// The number that begins a file of `torch.save` of before version 1.6, as a pickle of its own.
const OLD_TORCH: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// How many zero bytes in front make a file suspicious.
const ZEROS: u64 = 256 << 20;
/// How many places of the rest are looked at then, and how many bytes of each.
const PLACES: u64 = 1000;
const PLACE: u64 = 4096;

/// Formats of text, by extension or by the manifest's word. Models among them: LightGBM (`model`,
/// `lgb`), XGBoost (`json`), OpenVINO and PMML (`xml`), Caffe (`prototxt`), ncnn (`param`), Darknet
/// (`cfg`), word vectors (`vec`), language models (`arpa`).
const TEXT: &[&str] = &[
    "arpa",
    "bpe",
    "cfg",
    "conf",
    "csv",
    "dict",
    "ini",
    "json",
    "jsonl",
    "labels",
    "lgb",
    "lua",
    "md",
    "merges",
    "model",
    "names",
    "param",
    "pbtxt",
    "pmml",
    "properties",
    "prototxt",
    "py",
    "rst",
    "svg",
    "text",
    "toml",
    "tsv",
    "txt",
    "vec",
    "vocab",
    "xml",
    "yaml",
    "yml",
];

/// The format that the manifest declares, or that the name and the first bytes show.
pub(super) fn expected(declared: Option<&str>, path: &Path, head: &[u8]) -> Format {
    if let Some(declared) = declared {
        return match declared.to_ascii_lowercase().as_str() {
            "torchscript" => Format::TorchScript,
            "pytorch" | "torch" | "pt" | "pth" => Format::Torch,
            "safetensors" => Format::Safetensors,
            "onnx" => Format::Onnx,
            "gguf" => Format::Gguf,
            text if TEXT.contains(&text) => Format::Text,
            _ => Format::Other,
        };
    }
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase());
    let extension = extension.as_deref().unwrap_or_default();
    match extension {
        "pt" | "pth" | "ts" | "jit" | "torchscript" => Format::Torch,
        "safetensors" => Format::Safetensors,
        "onnx" => Format::Onnx,
        "gguf" => Format::Gguf,
        _ if head.starts_with(b"GGUF") => Format::Gguf,
        _ if head.starts_with(ZIP) => Format::Archive,
        _ if is_pickle(head) => match head.get(2..).is_some_and(|h| h.starts_with(OLD_TORCH)) {
            true => Format::Torch,
            false => Format::Pickle,
        },
        text if TEXT.contains(&text) => Format::Text,
        _ => Format::Other,
    }
}

fn is_pickle(head: &[u8]) -> bool {
    matches!(head, [PICKLE, 2..=5, ..])
}

/// What stands in the place of the model, if it is no model.
pub(super) fn placeholder(head: &[u8], length: u64, format: Format) -> Option<String> {
    let text = text(head, length)?;
    if let Some(pointer) = lfs_pointer(text, length) {
        return Some(pointer);
    }
    let start = text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
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
    let page = match format {
        Format::Text => is_page(start),
        _ => start.starts_with('<'),
    };
    if page {
        return Some(format!(
            "it is a web page or an error answer that begins with {line:?}"
        ));
    }
    (format != Format::Text).then(|| format!("it holds text that begins with {line:?}"))
}

/// The first bytes as text, if they are; the last letter may be cut by the end of the look.
fn text(head: &[u8], length: u64) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && (head.len() as u64) < length => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let visible = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(visible).then_some(text)
}

/// A page of HTML, where other text is welcome.
fn is_page(start: &str) -> bool {
    let start: String = start.chars().take(15).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

/// A file without a single bit set is one whose content never arrived. Other files are read only up
/// to the first byte that is none.
pub(super) fn not_all_zero(source: &mut Source<'_>) -> Result<(), Problem> {
    if !source.all_zero(ZEROS)? {
        return Ok(());
    }
    let length = source.length();
    if source.left() == 0 {
        return damaged(format!(
            "all its {length} bytes are zero: its content never arrived"
        ));
    }
    // A sparse file of a TiB takes hours to read: look at some places of it, the last among them.
    let step = source.left() / PLACES;
    while source.left() > 0 {
        let ahead = step.min(source.left()).saturating_sub(PLACE);
        source.skip(ahead, "a look ahead")?;
        if !source.all_zero(PLACE)? {
            return Ok(());
        }
    }
    damaged(format!(
        "it begins with {ZEROS} zero bytes, and {PLACES} places of the rest are zero: its content never arrived"
    ))
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
