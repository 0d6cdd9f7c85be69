//! The form in which the state of all streams is kept across a restart.
//!
//! JSON with a format name and a version, so that a person can look at it and an older build can say what it met.
//! Numbers of the filters stand there as their bits ([`Axis`](super::kalman::Axis)): no text rounding touches them.

use super::streams::State;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name that a checkpoint bears.
pub const FORMAT: &str = "plugward-videotracker-tracks";

/// The version that is written; older ones are read.
pub const VERSION: u32 = 1;

/// Why a checkpoint could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// The bytes are no JSON, or what they say is not what this version holds.
    Unreadable(String),
    /// It bears another name than [`FORMAT`].
    Foreign(String),
    /// It is of a newer version than [`VERSION`], or of version 0.
    Version(u32),
    /// No tracker can have written it.
    Impossible(String),
    /// The state could not be written.
    Unwritable(String),
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => {
                write!(to, "the checkpoint of the tracks cannot be read: {why}")
            }
            Self::Foreign(name) => write!(
                to,
                "not a checkpoint of tracks: its format is {name:?}, not {FORMAT:?}"
            ),
            Self::Version(found) => {
                write!(
                    to,
                    "the checkpoint of the tracks has version {found}; this build reads 1 to {VERSION}"
                )
            }
            Self::Impossible(what) => write!(
                to,
                "the checkpoint of the tracks is damaged: {what} cannot be"
            ),
            Self::Unwritable(why) => {
                write!(to, "the tracks could not be written as a checkpoint: {why}")
            }
        }
    }
}

impl std::error::Error for CheckpointError {}

/// What every version has.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

#[derive(Serialize)]
struct Written<'a> {
    format: &'a str,
    version: u32,
    state: &'a State,
}

#[derive(Deserialize)]
struct Body {
    state: State,
}

pub(crate) fn write(state: &State) -> Result<Vec<u8>, CheckpointError> {
    serde_json::to_vec(&Written {
        format: FORMAT,
        version: VERSION,
        state,
    })
    .map_err(|error| CheckpointError::Unwritable(error.to_string()))
}

pub(crate) fn read(bytes: &[u8]) -> Result<State, CheckpointError> {
    let unreadable = |error: serde_json::Error| CheckpointError::Unreadable(error.to_string());
    let header: Header = serde_json::from_slice(bytes).map_err(unreadable)?;
    if header.format != FORMAT {
        return Err(CheckpointError::Foreign(header.format));
    }
    if header.version != VERSION {
        return Err(CheckpointError::Version(header.version));
    }
    let body: Body = serde_json::from_slice(bytes).map_err(unreadable)?;
    Ok(body.state)
}
