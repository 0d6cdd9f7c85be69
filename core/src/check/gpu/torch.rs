//! What a torch package was built for, read from its files: nothing is imported or loaded.

use super::probe::GpuFault;
use crate::error::Code;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most that is read of a text file of torch, in bytes.
const TEXT_LIMIT: u64 = 64 * 1024;
/// The most that is read of `libc10_cuda`, in bytes; the real one is below 2 MiB.
const LIBRARY_LIMIT: u64 = 32 * 1024 * 1024;

/// What the files of a torch package say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TorchBuild {
    /// `2.11.0+cu130`
    pub version: String,
    /// The CUDA that it was built with; `None` for a CPU build.
    pub cuda: Option<(u32, u32)>,
    /// The ROCm that it was built with.
    pub hip: Option<String>,
    /// The GPU kinds that it holds code for: `sm_80`, `compute_120`. Empty where not known.
    pub archs: Vec<String>,
}

/// Reads a torch folder: the Python package, or an unpacked libtorch.
///
/// # Errors
/// The folder is missing, or a file in it is.
pub fn read_torch(folder: &Path) -> Result<TorchBuild, GpuFault> {
    if !folder.is_dir() {
        let cause = format!("there is no torch folder at {}", folder.display());
        return Err(GpuFault::new(Code::CheckPackageMissing, cause)
            .with_remedy("install torch, or correct the path to it"));
    }
    let mut build = match text(&folder.join("version.py")) {
        Some(text) => from_version_py(&text),
        None => text(&folder.join("build-version")).map(|text| from_tag(&text)),
    }
    .ok_or_else(|| incomplete(folder, "version.py"))?;
    if build.cuda.is_some() {
        if !folder.join("lib").join("libtorch_cuda.so").exists() {
            return Err(incomplete(folder, "lib/libtorch_cuda.so"));
        }
        build.archs = archs(&folder.join("lib").join("libc10_cuda.so"));
    }
    Ok(build)
}

fn incomplete(folder: &Path, file: &str) -> GpuFault {
    let cause = format!("{} is missing or unreadable in {}", file, folder.display());
    GpuFault::new(Code::CheckPackageTransitive, cause).with_remedy("reinstall torch")
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(TEXT_LIMIT)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

/// `version.py` assigns `__version__`, `cuda` and `hip`, with or without a type annotation.
fn from_version_py(text: &str) -> Option<TorchBuild> {
    let value = |name: &str| text.lines().find_map(|line| assigned(line, name));
    Some(TorchBuild {
        version: value("__version__")?.to_owned(),
        cuda: value("cuda").and_then(pair),
        hip: value("hip").map(str::to_owned),
        archs: Vec::new(),
    })
}

/// The text between the quotes of `name = '...'` or `name: type = '...'`.
fn assigned<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.trim().strip_prefix(name)?.trim_start();
    if !rest.starts_with([':', '=']) {
        return None;
    }
    let value = rest.split_once('=')?.1.trim();
    let quote = value.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    value[1..].split(quote).next()
}

/// A libtorch says `2.11.0+cu130` or `2.11.0+cpu`.
fn from_tag(text: &str) -> TorchBuild {
    let version = text.trim().to_owned();
    let tag = version.split_once('+').map_or("", |(_, tag)| tag);
    let digits = tag
        .strip_prefix("cu")
        .filter(|d| d.len() > 1 && d.is_ascii());
    let cuda = digits.and_then(|digits| {
        let (major, minor) = digits.split_at(digits.len() - 1);
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    let hip = tag.strip_prefix("rocm").map(str::to_owned);
    TorchBuild {
        version,
        cuda,
        hip,
        archs: Vec::new(),
    }
}

/// `12.4` or `12.4.1` as `(12, 4)`.
fn pair(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((
        parts.next()?.parse().ok()?,
        parts.next().unwrap_or("0").parse().ok()?,
    ))
}

/// The GPU kinds that torch lists in `libc10_cuda`, as text between other bytes.
fn archs(library: &Path) -> Vec<String> {
    let mut bytes = Vec::new();
    let read = File::open(library).map(|f| f.take(LIBRARY_LIMIT).read_to_end(&mut bytes));
    if !matches!(read, Ok(Ok(_))) {
        return Vec::new();
    }
    let runs = bytes
        .split(|byte| !(0x20..0x7f).contains(byte))
        .filter(|run| run.len() >= 5);
    let listed = runs
        .filter_map(|run| std::str::from_utf8(run).ok())
        .map(names);
    listed.max_by_key(Vec::len).unwrap_or_default()
}

fn names(run: &str) -> Vec<String> {
    run.split_ascii_whitespace()
        .filter(|word| kind(word).is_some())
        .map(str::to_owned)
        .collect()
}

/// What an entry of the list stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Machine code: this major number, this minor number or a higher one.
    Binary((u32, u32)),
    /// Machine code for this one kind (`sm_90a`).
    Exact((u32, u32)),
    /// Portable code: this kind and every newer one.
    Portable((u32, u32)),
}

fn kind(word: &str) -> Option<Kind> {
    let split = |digits: &str| -> Option<(u32, u32)> {
        if !(2..=4).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let (major, minor) = digits.split_at(digits.len() - 1);
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    if let Some(rest) = word.strip_prefix("compute_") {
        return split(rest.trim_end_matches(['a', 'f'])).map(Kind::Portable);
    }
    let rest = word.strip_prefix("sm_")?;
    match rest.strip_suffix('a') {
        Some(exact) => split(exact).map(Kind::Exact),
        None => split(rest.trim_end_matches('f')).map(Kind::Binary),
    }
}

impl TorchBuild {
    /// Whether it holds code that this GPU can run; true where the list is not known.
    #[must_use]
    pub fn runs_on(&self, (major, minor): (u32, u32)) -> bool {
        let fits = |kind| match kind {
            Kind::Binary((a, b)) => a == major && b <= minor,
            Kind::Exact(exact) => exact == (major, minor),
            Kind::Portable(oldest) => oldest <= (major, minor),
        };
        self.archs.is_empty() || self.archs.iter().filter_map(|word| kind(word)).any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_files_of_several_years() {
        let new = "from typing import Optional\n__all__ = ['__version__', 'cuda']\n\
                   __version__ = '2.11.0+cu130'\ndebug = False\ncuda: Optional[str] = '13.0'\n\
                   hip: Optional[str] = None\n";
        let build = from_version_py(new).unwrap();
        assert_eq!(
            (build.version.as_str(), build.cuda),
            ("2.11.0+cu130", Some((13, 0)))
        );
        let old = "__version__ = \"1.4.0\"\ncuda = None\nhip = '5.7'\n";
        let build = from_version_py(old).unwrap();
        assert_eq!((build.cuda, build.hip.as_deref()), (None, Some("5.7")));
        assert_eq!(from_version_py("nothing here"), None);
    }

    #[test]
    fn libtorch_tags() {
        assert_eq!(from_tag("2.11.0+cu130\n").cuda, Some((13, 0)));
        assert_eq!(from_tag("1.13.1+cu92").cuda, Some((9, 2)));
        for tag in ["2.11.0+cpu", "2.11.0", "2.11.0+cu", "2.11.0+cuß", ""] {
            assert_eq!(from_tag(tag).cuda, None, "{tag}");
        }
    }

    #[test]
    fn which_gpu_runs_what() {
        let archs = ["sm_75", "sm_86", "sm_90a", "compute_100"]
            .map(str::to_owned)
            .into();
        let build = TorchBuild {
            archs,
            ..TorchBuild::default()
        };
        for (gpu, runs) in [
            ((7, 5), true),
            ((7, 0), false),
            ((8, 0), false),
            ((8, 9), true),
            ((9, 0), true),
            ((6, 1), false),
            ((12, 0), true),
        ] {
            assert_eq!(build.runs_on(gpu), runs, "{gpu:?}");
        }
        assert!(TorchBuild::default().runs_on((3, 0)));
    }
}
