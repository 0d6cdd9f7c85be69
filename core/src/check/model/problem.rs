//! Why a model file is refused.

use crate::error::Code;
use std::io;

/// What a look at a file's bytes can end with.
#[derive(Debug)]
pub(super) enum Problem {
    /// The container contradicts itself: where and how.
    Damaged(String),
    /// The file is sound and of another format than asked for.
    Format(String),
    /// A file that belongs to it is missing.
    Missing(String),
    /// A file that belongs to it is a placeholder.
    Placeholder(String),
    /// Reading failed.
    Read(io::Error),
    /// Nobody waits for the answer any more.
    Stopped,
}

impl Problem {
    /// The code and the cause of the finding.
    pub(super) fn explain(&self) -> (Code, String) {
        match self {
            Self::Damaged(why) => (Code::ModelCorrupt, why.clone()),
            Self::Format(why) => (Code::ModelFormat, why.clone()),
            Self::Missing(why) => (Code::ModelMissing, why.clone()),
            Self::Placeholder(why) => (Code::ModelPlaceholder, why.clone()),
            Self::Read(error) => (Code::ModelUnreadable, format!("reading failed: {error}")),
            Self::Stopped => (Code::ModelTimeout, "the check was given up".into()),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::Damaged("the file ends in the middle of a record".into());
        }
        Self::Read(error)
    }
}

/// `Err(Damaged)`, for short.
pub(super) fn damaged<T>(why: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Damaged(why.into()))
}
