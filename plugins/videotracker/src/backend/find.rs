//! Where libtorch is, and whether it is the one: nothing is opened or imported to find out.

use super::table::TORCH_VERSION;
use crate::fault::{self, Fault, Result};
use crate::settings::Configured;
use std::path::{Path, PathBuf};

/// Names another folder of libtorch: the torch package, or an unpacked libtorch.
pub const VARIABLE: &str = "PLUGWARD_LIBTORCH";

/// A torch folder of the right version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Libtorch {
    /// The torch package, or an unpacked libtorch.
    pub folder: PathBuf,
    /// Whether it was built with CUDA.
    pub cuda: bool,
}

impl Libtorch {
    /// One of its libraries.
    #[must_use]
    pub fn library(&self, name: &str) -> PathBuf {
        self.folder.join("lib").join(name)
    }
}

/// The environment, as far as it matters here.
pub trait Environment {
    /// A variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<PathBuf>;
}

/// This process's.
pub struct Process;

impl Environment for Process {
    fn variable(&self, name: &str) -> Option<PathBuf> {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    }
}

/// The libtorch that the manifest, the environment or the plugin's Python environment names.
///
/// # Errors
/// It is not there, incomplete, or of another version.
pub fn find(configured: &Configured, environment: &dyn Environment) -> Result<Libtorch> {
    let named = configured.settings.libtorch.as_deref();
    let named = named.map(|path| ("config.libtorch", configured.path(path)));
    let named = named.or_else(|| environment.variable(VARIABLE).map(|path| (VARIABLE, path)));
    if let Some((who, folder)) = named {
        return look(&folder)?.ok_or_else(|| {
            missing(format!(
                "{who} is {}, and that is no torch folder",
                folder.display()
            ))
        });
    }
    let places = packages(environment);
    for place in &places {
        if let Some(found) = look(&place.join("torch"))? {
            return Ok(found);
        }
    }
    let looked: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
    Err(missing(format!("looked in {}", looked.join(", "))))
}

fn missing(how: String) -> Fault {
    let message = format!("torch=={TORCH_VERSION} is needed: {how}");
    Fault::new(fault::LIBTORCH_MISSING, message)
}

/// The package folders of the plugin's Python environment, and of the system's Python.
pub fn packages(environment: &dyn Environment) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = environment
        .variable("PYTHONPATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let prefixes = environment
        .variable("VIRTUAL_ENV")
        .into_iter()
        .chain(["/usr/local", "/usr"].map(PathBuf::from));
    for prefix in prefixes {
        let pythons = std::fs::read_dir(prefix.join("lib")).into_iter().flatten();
        let pythons = pythons
            .filter_map(std::result::Result::ok)
            .map(|e| e.path());
        for python in pythons.filter(|p| is_python(p)) {
            places.push(python.join("site-packages"));
            places.push(python.join("dist-packages"));
        }
    }
    places
}

fn is_python(path: &Path) -> bool {
    path.file_name()
        .and_then(|n| n.to_str())
        .is_some_and(|n| n.starts_with("python3"))
}

/// The libtorch in `folder`; `None` where there is none at all.
fn look(folder: &Path) -> Result<Option<Libtorch>> {
    let Some((version, cuda)) = version(folder) else {
        return Ok(None);
    };
    let plain = version.split('+').next().unwrap_or_default();
    if plain != TORCH_VERSION {
        let message = format!(
            "torch {version} lies in {}, and torch=={TORCH_VERSION} is needed",
            folder.display()
        );
        return Err(Fault::new(fault::LIBTORCH_VERSION, message));
    }
    let found = Libtorch {
        folder: folder.to_owned(),
        cuda,
    };
    for name in ["libc10.so", "libtorch_cpu.so"] {
        let file = found.library(name);
        if !file.is_file() {
            let message = format!("{} is missing", file.display());
            return Err(Fault::new(fault::LIBTORCH_OPEN, message));
        }
    }
    Ok(Some(found))
}

/// `2.11.0+cu130` and whether it was built with CUDA, from the package's own files.
fn version(folder: &Path) -> Option<(String, bool)> {
    if let Ok(text) = std::fs::read_to_string(folder.join("version.py")) {
        let value = |name: &str| text.lines().find_map(|line| assigned(line, name));
        return Some((value("__version__")?, value("cuda").is_some()));
    }
    let tag = std::fs::read_to_string(folder.join("build-version")).ok()?;
    let tag = tag.trim().to_owned();
    let cuda = tag.contains("+cu");
    Some((tag, cuda))
}

/// The text between the quotes of `name = '...'` or `name: type = '...'`.
fn assigned(line: &str, name: &str) -> Option<String> {
    let rest = line.trim().strip_prefix(name)?.trim_start();
    if !rest.starts_with([':', '=']) {
        return None;
    }
    let value = rest.split_once('=')?.1.trim();
    let quote = value.chars().next().filter(|c| "'\"".contains(*c))?;
    value[1..].split(quote).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    struct Fixed(HashMap<&'static str, PathBuf>);

    impl Environment for Fixed {
        fn variable(&self, name: &str) -> Option<PathBuf> {
            self.0.get(name).cloned()
        }
    }

    fn torch(folder: &Path, version: &str, cuda: &str) {
        std::fs::create_dir_all(folder.join("lib")).unwrap();
        let text = format!("__version__ = '{version}'\ncuda: Optional[str] = {cuda}\n");
        std::fs::write(folder.join("version.py"), text).unwrap();
        for name in ["libc10.so", "libtorch_cpu.so"] {
            std::fs::write(folder.join("lib").join(name), "").unwrap();
        }
    }

    fn find_at(folder: &Path) -> Result<Libtorch> {
        let variables = HashMap::from([(VARIABLE, folder.to_owned())]);
        find(&Configured::default(), &Fixed(variables))
    }

    #[test]
    fn versions_are_compared_before_anything_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        torch(folder.path(), "2.12.1+cu130", "'13.0'");
        let fault = find_at(folder.path()).unwrap_err();
        assert_eq!(fault.code, fault::LIBTORCH_VERSION);
        assert!(fault.message.contains("2.12.1") && fault.message.contains(TORCH_VERSION));
        torch(folder.path(), "2.11.0+cpu", "None");
        assert!(!find_at(folder.path()).unwrap().cuda);
        torch(folder.path(), "2.11.0+cu130", "'13.0'");
        assert!(find_at(folder.path()).unwrap().cuda);
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let fault = find_at(folder.path()).unwrap_err();
        assert_eq!(fault.code, fault::LIBTORCH_MISSING);
        assert!(fault.message.contains(VARIABLE), "{}", fault.message);
        torch(folder.path(), TORCH_VERSION, "None");
        std::fs::remove_file(folder.path().join("lib/libc10.so")).unwrap();
        let fault = find_at(folder.path()).unwrap_err();
        assert_eq!(fault.code, fault::LIBTORCH_OPEN);
        assert!(fault.message.contains("libc10.so"), "{}", fault.message);
    }

    #[test]
    fn the_plugins_python_environment_is_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("lib/python3.11/site-packages/torch");
        torch(&package, "2.11.0", "None");
        let variables = HashMap::from([("VIRTUAL_ENV", folder.path().to_owned())]);
        let found = find(&Configured::default(), &Fixed(variables)).unwrap();
        assert_eq!(found.folder, package);
    }
}
