//! Which program runs a kind of plugin in a process of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The name of the worker program for native plugins.
const NAME: &str = "plugward-worker";
/// Names another place for it.
const VARIABLE: &str = "PLUGWARD_WORKER";

/// A program and its arguments. It is started with the shared memory as its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables that it gets beside the allowed ones.
    pub env: Vec<(OsString, OsString)>,
    /// Variables that it does not get although they are allowed.
    pub without: Vec<OsString>,
    /// How it forks workers on request, where it can.
    pub forks: Option<Forks>,
}

/// How a program forks workers on request: with its standard input a socket to the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forks {
    /// Its arguments; what to import comes after them, as one word with commas.
    pub args: Vec<OsString>,
    /// What to import before the first fork. Never the plugin's own code.
    pub preload: Vec<String>,
}

impl Program {
    /// A program without arguments.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            env: Vec::new(),
            without: Vec::new(),
            forks: None,
        }
    }

    /// The same with arguments.
    #[must_use]
    pub fn with_args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// `plugward-worker`: where PLUGWARD_WORKER points, else beside this executable, else beside
    /// this library or in the `bin` beside its folder.
    #[must_use]
    pub fn native() -> Option<Self> {
        if let Some(named) = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
            return Some(Self::new(named)).filter(|p| p.path.is_file());
        }
        let exe = std::env::current_exe().ok();
        let library = own_file();
        let folder = library.as_deref().and_then(Path::parent);
        let bin = folder
            .and_then(Path::parent)
            .map(|prefix| prefix.join("bin"));
        [
            exe.as_deref().and_then(Path::parent),
            folder,
            bin.as_deref(),
        ]
        .into_iter()
        .flatten()
        .find_map(Self::beside)
    }

    /// `plugward-worker` in `folder`, if it is there.
    #[must_use]
    pub fn beside(folder: &Path) -> Option<Self> {
        let path = folder.join(NAME);
        path.is_file().then(|| Self::new(path))
    }
}

/// The file that this code was loaded from: the library where there is one.
fn own_file() -> Option<PathBuf> {
    let here = own_file as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let number = |hex| usize::from_str_radix(hex, 16).ok();
        let within = (number(from)?..number(to)?).contains(&here);
        within.then(|| fields.nth(4).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_this_code_is_known() {
        let file = own_file().unwrap();
        assert_eq!(
            file,
            std::env::current_exe().unwrap(),
            "no library is loaded here"
        );
    }

    #[test]
    fn a_program_is_found_only_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Program::beside(folder.path()), None);
        std::fs::write(folder.path().join(NAME), "").unwrap();
        let found = Program::beside(folder.path()).unwrap();
        assert_eq!(found.path, folder.path().join(NAME));
    }
}
