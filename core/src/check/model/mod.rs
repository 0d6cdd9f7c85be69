//! Models: is the file there, is it a model, is it the right one, and is its container whole?
//!
//! Nothing is loaded: a model file can run code or read out of bounds when a framework loads it.
//! The look goes as deep as lengths, offsets and checksums reach; whether the numbers inside are
//! good is only known from a pinned sha256. Memory is constant whatever the file's size, and
//! storage that does not answer is given up after a bound (see [`bounded`](super::bounded)).

mod format;
mod gguf;
mod hash;
mod onnx;
mod pickle;
mod problem;
mod safetensors;
mod source;
mod tensors;
mod torch;
mod zip;

pub use hash::{Progress, forget_checksums};

use super::bounded::{Answer, Pulse, ask};
use super::finding::{Finding, Subject};
use crate::error::Code;
use format::Format;
use problem::Problem;
use source::Source;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A model file that a plugin needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelNeed {
    /// Its name in the manifest.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The sha256 that it must have, in hex.
    pub sha256: Option<String>,
    /// `torchscript`, `pytorch`, `safetensors`, `onnx`, `gguf`; `text` for a file of text; anything
    /// else is not looked into.
    pub format: Option<String>,
}

/// How models are checked.
#[derive(Clone)]
pub struct ModelOptions {
    /// How long the storage may be silent while the file is found and its container looked at.
    pub bound: Duration,
    /// The same while a whole file is read for its checksum.
    pub read_bound: Duration,
    /// Told how far the reading of a whole file is. Called on the check's own thread.
    pub progress: Option<Progress>,
}

impl Default for ModelOptions {
    fn default() -> Self {
        Self {
            bound: Duration::from_secs(5),
            read_bound: Duration::from_secs(30),
            progress: None,
        }
    }
}

/// Checks one model.
#[must_use]
pub fn check_model(need: &ModelNeed) -> Vec<Finding> {
    check_model_with(need, &ModelOptions::default())
}

/// Checks one model: one finding, good or with the first thing that is wrong with it. A placeholder
/// is told before a checksum, and a file that is not the pinned one is not parsed.
#[must_use]
pub fn check_model_with(need: &ModelNeed, options: &ModelOptions) -> Vec<Finding> {
    let start = Instant::now();
    let place = need.path.to_string_lossy();
    let (theirs, settings) = (need.clone(), options.clone());
    let answer = ask(&place, options.bound, move |pulse| {
        inspect(&theirs, &settings, pulse)
    });
    let code_and_cause = match answer {
        Answer::Done(findings) => return findings,
        Answer::Silent(time) => (
            Code::ModelTimeout,
            format!(
                "nothing was heard of {place} for {:.1} s",
                time.as_secs_f64()
            ),
        ),
        Answer::Broke(why) => (Code::RuntimeInternal, why),
    };
    vec![bad(need, code_and_cause).since(start)]
}

fn bad(need: &ModelNeed, (code, cause): (Code, String)) -> Finding {
    let (what, place) = (code.row().message, need.path.display());
    Finding::bad(Subject::Model, &need.name, code)
        .with_message(format!("{what}: {place}"))
        .with_cause(cause)
}

/// Everything about one file, on the check's own thread.
fn inspect(need: &ModelNeed, options: &ModelOptions, pulse: &Pulse) -> Vec<Finding> {
    let start = Instant::now();
    let opened = match open(&need.path) {
        Ok(opened) => opened,
        Err(refusal) => return vec![bad(need, refusal).since(start)],
    };
    let format = format::expected(need.format.as_deref(), &need.path, &opened.head);
    if let Some(cause) = format::placeholder(&opened.head, opened.length, format) {
        return vec![bad(need, (Code::ModelPlaceholder, cause)).since(start)];
    }
    let mut notes = Vec::new();
    if let Some(pin) = &need.sha256 {
        pulse.allow(options.read_bound);
        match checksum(need, pin, &opened.file, options, pulse) {
            Ok(note) => notes.push(note),
            // What is not the pinned file is not parsed: it may be made to break a parser.
            Err(refusal) => return vec![bad(need, refusal).since(start)],
        }
    }
    pulse.allow(options.bound);
    match container(need, &opened, format, pulse) {
        Ok(note) => notes.insert(0, note),
        Err(problem) => return vec![bad(need, problem.explain()).since(start)],
    }
    let (path, length) = (need.path.display(), opened.length);
    let message = format!("{path} ({length} bytes): {}", notes.join("; "));
    vec![Finding::ok(Subject::Model, &need.name, message).since(start)]
}

/// A file that is there and can be read.
struct Opened {
    file: File,
    length: u64,
    head: Vec<u8>,
}

/// How many of the first bytes are looked at.
const HEAD: u64 = 1024;

/// Finds and opens the file without ever waiting for a pipe's other end.
fn open(path: &Path) -> Result<Opened, (Code, String)> {
    let metadata = fs::metadata(path).map_err(|error| not_found(path, &error))?;
    if !metadata.is_file() {
        return Err((Code::ModelNotAFile, sort_of(&metadata).into()));
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe that took the file's place since then is opened without waiting.
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    let file = options.open(path).map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err((Code::ModelNotAFile, sort_of(&metadata).into()));
    }
    let length = metadata.len();
    if length == 0 {
        return Err((Code::ModelEmpty, "it has 0 bytes".into()));
    }
    let mut head = Vec::new();
    (&file)
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(|error| unreadable(&error))?;
    Ok(Opened { file, length, head })
}

fn not_found(path: &Path, error: &io::Error) -> (Code, String) {
    match error.kind() {
        ErrorKind::NotFound if path.is_symlink() => {
            let target = fs::read_link(path).unwrap_or_default();
            (
                Code::ModelMissing,
                format!("it is a link to {}, which is missing", target.display()),
            )
        }
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            let known = path.ancestors().skip(1).find(|folder| folder.is_dir());
            let nearest = known
                .map(|folder| folder.display().to_string())
                .unwrap_or_default();
            let cause = match nearest.as_str() {
                "" => "there is no such file".to_owned(),
                folder => {
                    format!("there is no such file; the nearest folder that exists is {folder}")
                }
            };
            (Code::ModelMissing, cause)
        }
        ErrorKind::InvalidInput => (Code::ModelMissing, "the path holds a NUL byte".into()),
        _ => unreadable(error),
    }
}

fn unreadable(error: &io::Error) -> (Code, String) {
    (Code::ModelUnreadable, format!("the system says: {error}"))
}

/// What stands there instead of a file.
fn sort_of(metadata: &fs::Metadata) -> &'static str {
    if metadata.is_dir() {
        return "a folder is there";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let sort = metadata.file_type();
        if sort.is_fifo() {
            return "a pipe (FIFO) is there";
        }
        if sort.is_socket() {
            return "a socket is there";
        }
        if sort.is_block_device() || sort.is_char_device() {
            return "a device is there";
        }
    }
    "something that is no regular file is there"
}

/// Looks into the container; answers what it is.
fn container(
    need: &ModelNeed,
    opened: &Opened,
    format: Format,
    pulse: &Pulse,
) -> Result<String, Problem> {
    let (file, length) = (&opened.file, opened.length);
    let source = || Source::new(file, length, pulse);
    match format {
        Format::TorchScript | Format::Torch | Format::Archive => {
            torch::check(opened, format, need.sha256.is_some(), pulse)
        }
        Format::Safetensors => {
            safetensors::check(&mut source()?).map(|n| format!("safetensors with {n} tensors"))
        }
        Format::Onnx => onnx_model(&need.path, &mut source()?, pulse),
        Format::Gguf => gguf::check(&mut source()?)
            .map(|g| format!("GGUF version {} with {} tensors", g.version, g.tensors)),
        Format::Pickle => Ok("a pickle, which has no checksums".into()),
        Format::Text | Format::Other => {
            format::not_all_zero(&mut source()?).map(|()| "a format that is not looked into".into())
        }
    }
}

fn onnx_model(path: &Path, source: &mut Source<'_>, pulse: &Pulse) -> Result<String, Problem> {
    let model = onnx::check(source)?;
    let nodes = format!("ONNX with {} nodes", model.nodes);
    if model.files.is_empty() {
        return Ok(nodes);
    }
    let bytes = tensors::check(path, &model.files, || pulse.beat())?;
    let count = model.files.len();
    Ok(format!(
        "{nodes}, weights of {bytes} bytes in {count} files of their own"
    ))
}

fn checksum(
    need: &ModelNeed,
    pin: &str,
    file: &File,
    options: &ModelOptions,
    pulse: &Pulse,
) -> Result<String, (Code, String)> {
    let pin = pin.trim().to_ascii_lowercase();
    let pin = pin.strip_prefix("sha256:").unwrap_or(&pin);
    if pin.len() != 64 || !pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err((
            Code::ModelChecksum,
            format!("{pin:?} in the manifest is no sha256"),
        ));
    }
    let sum = hash::sha256(&need.path, file, options.progress.as_ref(), pulse)
        .map_err(|problem| problem.explain())?;
    if sum.hex != pin {
        let cause = format!("its sha256 is {}, and the manifest pins {pin}", sum.hex);
        return Err((Code::ModelChecksum, cause));
    }
    let again = if sum.remembered {
        " (known from an earlier check)"
    } else {
        ""
    };
    Ok(format!("sha256 as pinned{again}"))
}
