//! Is the code there that the manifest names? Nothing is loaded or imported to find out.
//!
//! Only a report asks this. A load enters the code itself and has its own, fuller words for what
//! it meets there; the codes are the same.

use super::bounded::{Answer, ask};
use super::finding::{Finding, Subject};
use crate::error::Code;
use crate::manifest::{Kind, Manifest};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the plugin's folder may be silent.
const BOUND: Duration = Duration::from_secs(5);
/// Files beside a plugin that say how it is built.
const INSTRUCTIONS: [&str; 4] = ["README.md", "README.rst", "README", "Makefile"];
/// How the shared libraries of this system begin, where that is one word.
const MAGIC: &[u8] = if cfg!(target_os = "linux") {
    b"\x7fELF"
} else {
    b""
};

/// Looks for the file that a manifest's `entrypoint` names: the library, the script. `None` where
/// the manifest came without a folder, so that nobody knows where its code should be.
///
/// Which modules an interpreter finds only its own door knows; others get a finding that says so.
#[must_use]
pub fn check_code(manifest: &Manifest) -> Option<Finding> {
    let start = Instant::now();
    let entry = manifest.entrypoint.as_str();
    let finding = match manifest.kind {
        Kind::Host => return None,
        Kind::Native => library(manifest, place(manifest, entry)?),
        Kind::Node => file(entry, place(manifest, script(entry))?),
        Kind::Python => python(manifest, entry.split(':').next().unwrap_or(entry).trim())?,
    };
    Some(finding.since(start))
}

fn python(manifest: &Manifest, module: &str) -> Option<Finding> {
    if module.ends_with(".py") || module.contains('/') {
        return Some(file(module, place(manifest, module)?));
    }
    manifest.dir.as_ref()?;
    let message = format!("the module {module} was not looked at");
    let note = "this door runs no Python; ask the Python door";
    Some(Finding::ok(Subject::Entrypoint, module, message).with_cause(note))
}

/// The file of `plugin.js` or `plugin.js:Export`.
fn script(entry: &str) -> &str {
    const ENDINGS: [&str; 6] = [".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"];
    match entry.rsplit_once(':') {
        Some((file, _)) if ENDINGS.iter().any(|ending| file.ends_with(ending)) => file,
        _ => entry,
    }
}

/// Where a file of the manifest is; `None` where that depends on who asks.
fn place(manifest: &Manifest, entry: &str) -> Option<PathBuf> {
    match &manifest.dir {
        Some(dir) => Some(dir.join(entry)),
        None => Some(PathBuf::from(entry)).filter(|entry| entry.is_absolute()),
    }
}

fn file(entry: &str, path: PathBuf) -> Finding {
    let name = entry.to_owned();
    let bad = |cause| {
        Finding::bad(Subject::Entrypoint, entry, Code::LoadEntrypoint)
            .with_message(format!("the plugin's file {entry} is not there"))
            .with_cause(cause)
            .with_remedy("put the file there, or correct entrypoint in the manifest")
    };
    asked(path, &name, |path| met(path).map(|_| ())).unwrap_or_else(bad)
}

fn library(manifest: &Manifest, path: PathBuf) -> Finding {
    let (name, shown) = (&manifest.entrypoint, path.display().to_string());
    let near = [path.parent().map(Path::to_owned), manifest.dir.clone()];
    asked(path, name, is_library).unwrap_or_else(|cause| {
        Finding::bad(Subject::Entrypoint, name, Code::NativeOpen)
            .with_message(format!("the plugin's library {shown} cannot be opened"))
            .with_cause(cause)
            .with_remedy(how_to_build(&near))
    })
}

/// Where somebody has written down how the library is made.
fn how_to_build(near: &[Option<PathBuf>]) -> String {
    let files = near
        .iter()
        .flatten()
        .flat_map(|folder| INSTRUCTIONS.map(|name| folder.join(name)));
    let written = files.into_iter().find(|file| file.is_file());
    match written {
        Some(file) => format!(
            "build it, as {} says, or correct entrypoint in the manifest",
            tidy(&file).display()
        ),
        None => "build the library, or correct entrypoint in the manifest".into(),
    }
}

/// Without `..`, where the folder can be followed.
fn tidy(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A good finding, or the cause of a bad one; on a thread of its own, with a bound.
fn asked(
    path: PathBuf,
    name: &str,
    question: fn(&Path) -> Result<(), String>,
) -> Result<Finding, String> {
    let shown = path.display().to_string();
    match ask(&shown.clone(), BOUND, move |_| question(&path)) {
        Answer::Done(Ok(())) => Ok(Finding::ok(Subject::Entrypoint, name, shown)),
        Answer::Done(Err(cause)) => Err(format!("{shown}: {cause}")),
        Answer::Silent(time) => Err(format!(
            "{shown} did not answer for {:.1} s",
            time.as_secs_f64()
        )),
        Answer::Broke(why) => Err(why),
    }
}

fn met(path: &Path) -> Result<fs::Metadata, String> {
    let about = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    })?;
    match about.is_file() {
        true => Ok(about),
        false => Err("it is not a regular file".into()),
    }
}

fn is_library(path: &Path) -> Result<(), String> {
    met(path)?;
    let mut head = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut head))
        .map_err(|error| error.to_string())?;
    match head == MAGIC {
        true => Ok(()),
        false => Err("it is no shared library of this system".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(kind: Kind, entrypoint: &str, dir: Option<&Path>) -> Manifest {
        let mut manifest = Manifest::host("p");
        (manifest.kind, manifest.entrypoint) = (kind, entrypoint.into());
        manifest.dir = dir.map(Path::to_owned);
        manifest
    }

    fn code(kind: Kind, entrypoint: &str, dir: &Path) -> Option<Code> {
        let found = check_code(&with(kind, entrypoint, Some(dir))).unwrap();
        assert_eq!(found.kind, "entrypoint");
        assert_eq!(found.ok, found.remedy.is_empty(), "{found:?}");
        found.code
    }

    #[test]
    fn what_is_missing_is_told_by_the_code_of_its_load() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for (kind, entrypoint, expected) in [
            (Kind::Native, "lib.so", Code::NativeOpen),
            (Kind::Node, "index.js", Code::LoadEntrypoint),
            (Kind::Node, "index.js:Export", Code::LoadEntrypoint),
            (Kind::Python, "nothere.py:P", Code::LoadEntrypoint),
            (Kind::Python, "sub/nothere:P", Code::LoadEntrypoint),
        ] {
            assert_eq!(code(kind, entrypoint, dir), Some(expected), "{entrypoint}");
        }
        fs::write(dir.join("index.js"), "").unwrap();
        fs::write(dir.join("here.py"), "").unwrap();
        assert_eq!(code(Kind::Node, "index.js:Export", dir), None);
        assert_eq!(code(Kind::Python, "here.py:P", dir), None);
        fs::create_dir(dir.join("folder.js")).unwrap();
        assert!(code(Kind::Node, "folder.js", dir).is_some());
    }

    #[test]
    fn a_library_is_one_and_its_instructions_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = with(Kind::Native, "../lib.so", Some(&dir.path().join("cpu")));
        fs::create_dir(dir.path().join("cpu")).unwrap();
        fs::write(dir.path().join("README.md"), "make lib").unwrap();
        let finding = check_code(&manifest).unwrap();
        assert!(finding.remedy.contains("README.md says"), "{finding:?}");
        fs::write(dir.path().join("lib.so"), "text").unwrap();
        if !MAGIC.is_empty() {
            let finding = check_code(&manifest).unwrap();
            assert!(
                !finding.ok && finding.cause.contains("no shared library"),
                "{finding:?}"
            );
        }
        fs::write(dir.path().join("lib.so"), [MAGIC, b"rest"].concat()).unwrap();
        assert!(check_code(&manifest).unwrap().ok);
    }

    #[test]
    fn without_a_folder_nobody_knows_where_the_code_is() {
        assert_eq!(check_code(&with(Kind::Node, "index.js", None)), None);
        assert_eq!(check_code(&with(Kind::Python, "module:P", None)), None);
        let absolute = with(Kind::Native, "/no/such/lib.so", None);
        assert!(!check_code(&absolute).unwrap().ok);
    }
}
