//! The nine tools: what each looks for, and how it is told.

mod args;
mod engine;
mod image;
mod models;
mod render;
mod scene;
mod told;
mod unnamed;
mod video;

pub use args::{Call, Pixels};
pub use engine::{Engine, Keeper};

use crate::fault::{Fault, Result};

/// What a tool looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Where are the players?
    Players,
    /// Who is who?
    Tracks,
    /// Where is the ball?
    Ball,
    /// Where in the picture is the pitch?
    Pitch,
    /// Where on the pitch are the players?
    Radar,
}

/// One of the nine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// What it looks for.
    pub search: Search,
    /// In a video, not in one image.
    pub video: bool,
}

/// Their names.
const NAMES: [(&str, Search, bool); 9] = [
    ("player_detection", Search::Players, false),
    ("player_tracking", Search::Tracks, false),
    ("ball_detection", Search::Ball, false),
    ("pitch_detection", Search::Pitch, false),
    ("radar", Search::Radar, false),
    ("video_player_tracking", Search::Tracks, true),
    ("video_ball_detection", Search::Ball, true),
    ("video_pitch_detection", Search::Pitch, true),
    ("video_radar", Search::Radar, true),
];

/// How a caller's stream is called here: never as a video's own.
fn stream_key(name: &str) -> String {
    format!("stream {name}")
}

impl Tool {
    /// The tool of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self> {
        let found = NAMES.iter().find(|(known, _, _)| *known == name);
        let (_, search, video) =
            found.ok_or_else(|| Fault::input(format!("there is no tool {name:?}")))?;
        Ok(Self {
            search: *search,
            video: *video,
        })
    }
}
