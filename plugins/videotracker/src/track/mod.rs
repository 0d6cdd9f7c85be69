//! Follows objects from frame to frame: ByteTrack, one tracker per stream.
//!
//! The algorithm is that of Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box",
//! ECCV 2022, with the motion model of SORT (Bewley et al., 2016) in the state of DeepSORT (Wojke et al., 2017):
//!
//! 1. every known object is moved on by its Kalman filter ([`kalman`]);
//! 2. confident detections are associated with tracked and lost objects by IoU times confidence ([`assign`]);
//! 3. what was being tracked and found no partner is associated with the weak detections, by IoU alone: an object
//!    that is half covered gives a weak detection, and it is known where to expect it;
//! 4. what was seen only once so far is associated with the confident detections that are left; without a partner
//!    it was clutter;
//! 5. what is left of the confident detections begins new tracks, and what was not seen is kept in the lost buffer.
//!
//! Four things go beyond the paper. The camera's own motion is taken out before the association (`camera`). A
//! detection is only ever associated with an object of its own class or of one that is mistaken for it
//! ([`Config::alike`]): a player does not become the ball, but one who is taken for a goalkeeper in some frames keeps
//! his number, and an object's class is what it was seen as most surely over its life. Everything is bounded ([`Config::max_tracks`], [`Config::max_detections`],
//! [`Streams`]), and what was left out is counted ([`Dropped`]). And a detection that is not a box of finite size is
//! left out at the door, so no NaN ever reaches a filter.

pub mod assign;
mod bbox;
mod camera;
mod checkpoint;
mod classes;
mod config;
pub mod kalman;
mod round;
mod screen;
mod streams;
mod target;
mod tracker;

pub use bbox::{MAX_COORDINATE, MIN_SIDE, iou};
pub use checkpoint::{CheckpointError, FORMAT, VERSION};
pub use classes::Classes;
pub use config::Config;
pub use screen::Dropped;
pub use streams::Streams;
pub use tracker::Tracker;

use serde::{Deserialize, Serialize};

/// One box of a detector in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Left, top, right and bottom edge in pixels.
    pub xyxy: [f32; 4],
    /// How sure the detector is, 0 to 1.
    pub confidence: f32,
    /// The detector's class.
    pub class_id: u32,
}

/// A detection that belongs to a known object.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// The object: the same number in every frame, never given twice by one [`Streams`].
    pub track_id: u64,
    /// The object's class: the one that it was seen as most surely so far.
    pub class_id: u32,
    /// The detection's box: left, top, right and bottom edge in pixels.
    pub xyxy: [f32; 4],
    /// The detection's confidence, 0 to 1.
    pub confidence: f32,
    /// Which of the frame's detections it is: an index into the slice that was given.
    pub detection: usize,
}
