//! The key `python`: a range of versions, or an interpreter of the plugin's own.

use super::Manifest;
use std::path::{Path, PathBuf};

impl Manifest {
    /// The range of Python versions that the plugin supports, where `python` names one.
    #[must_use]
    pub fn python_range(&self) -> Option<&str> {
        self.python
            .as_deref()
            .map(str::trim)
            .filter(|p| is_range(p))
    }

    /// The interpreter that the plugin's worker and packages belong to, where `python` names one:
    /// a program, or the folder of a virtual environment, relative to the manifest; a bare name is
    /// looked up on `PATH`. Whether it exists is for the dependency check to say.
    #[must_use]
    pub fn python_interpreter(&self) -> Option<PathBuf> {
        let written = self.python.as_deref().map(str::trim)?;
        if written.is_empty() || is_range(written) {
            return None;
        }
        let beside = self.dir.as_deref().unwrap_or(Path::new("")).join(written);
        if beside.is_dir() {
            return Some(of_environment(&beside));
        }
        if written.contains(['/', '\\']) || beside.is_file() {
            return Some(beside);
        }
        let found = std::env::var_os("PATH").and_then(|path| {
            std::env::split_paths(&path)
                .map(|folder| folder.join(written))
                .find(|program| program.is_file())
        });
        Some(found.unwrap_or(beside))
    }
}

/// `>=3.10,<3.14`, `3.11`: begins with a comparison or a digit, and no path does.
fn is_range(text: &str) -> bool {
    text.starts_with(['<', '>', '=', '!', '~']) || text.starts_with(|c: char| c.is_ascii_digit())
}

/// The interpreter of a virtual environment.
fn of_environment(folder: &Path) -> PathBuf {
    if cfg!(windows) {
        folder.join("Scripts").join("python.exe")
    } else {
        folder.join("bin").join("python")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(python: &str, dir: &Path) -> Manifest {
        let mut manifest = Manifest::host("p");
        (manifest.python, manifest.dir) = (Some(python.into()), Some(dir.into()));
        manifest
    }

    #[test]
    fn ranges_and_paths_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        for range in [">=3.10,<3.14", "3.11", "~=3.10", " <4", "!=3.12"] {
            let manifest = with(range, folder.path());
            assert_eq!(manifest.python_range(), Some(range.trim()));
            assert_eq!(manifest.python_interpreter(), None);
        }
        let manifest = with("/opt/venv/bin/python", folder.path());
        assert_eq!(manifest.python_range(), None);
        assert_eq!(
            manifest.python_interpreter(),
            Some("/opt/venv/bin/python".into())
        );
        let manifest = with("env/bin/python3", folder.path());
        assert_eq!(
            manifest.python_interpreter(),
            Some(folder.path().join("env/bin/python3"))
        );
        assert_eq!(with("", folder.path()).python_interpreter(), None);
    }

    #[test]
    fn a_folder_is_a_virtual_environment_and_a_name_is_on_the_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("venv")).unwrap();
        let environment = with("venv", folder.path()).python_interpreter();
        assert_eq!(
            environment,
            Some(of_environment(&folder.path().join("venv")))
        );
        let program = if cfg!(windows) { "cmd.exe" } else { "sh" };
        let named = with(program, folder.path()).python_interpreter().unwrap();
        assert!(named.is_file(), "{}", named.display());
        let nowhere = with("no-such-python", folder.path()).python_interpreter();
        assert_eq!(nowhere, Some(folder.path().join("no-such-python")));
    }
}
