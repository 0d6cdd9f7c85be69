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
}

impl Program {
    /// A program without arguments.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    /// The same with arguments.
    #[must_use]
    pub fn with_args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// `plugward-worker`: where PLUGWARD_WORKER points, else beside this executable.
    #[must_use]
    pub fn native() -> Option<Self> {
        if let Some(named) = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
            return Some(Self::new(named)).filter(|p| p.path.is_file());
        }
        let exe = std::env::current_exe().ok()?;
        exe.parent().and_then(Self::beside)
    }

    /// `plugward-worker` in `folder`, if it is there.
    #[must_use]
    pub fn beside(folder: &Path) -> Option<Self> {
        let path = folder.join(NAME);
        path.is_file().then(|| Self::new(path))
    }
}
