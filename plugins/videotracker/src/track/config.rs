//! What a tracker can be told.

use super::Classes;
use serde::{Deserialize, Serialize};

/// Thresholds and limits. The defaults are ByteTrack's published ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// From this confidence on a detection is a confident one (first association), 0 to 1.
    pub track_threshold: f32,
    /// A weak detection has more confidence than this (second association), 0 to 1.
    pub low_threshold: f32,
    /// A confident detection that belongs to nobody begins a track if its confidence is above `track_threshold` by
    /// at least this much.
    pub birth_margin: f32,
    /// First association: the largest `1 - IoU * confidence` of a pair, 0 to 1.
    pub match_threshold: f32,
    /// Second association (weak detections): the largest `1 - IoU` of a pair, 0 to 1.
    pub weak_match_threshold: f32,
    /// Objects seen once so far: the largest `1 - IoU * confidence` of a pair, 0 to 1.
    pub tentative_match_threshold: f32,
    /// An object that is being tracked and a lost one are the same from this IoU on; the older one stays.
    pub duplicate_iou: f32,
    /// Classes that a detector mistakes for one another, as player and goalkeeper: a detection of one may be an object
    /// of another of them. Every other class keeps to itself.
    pub alike: Classes,
    /// Take the camera's own motion out of the association (not part of the paper).
    pub camera_motion: bool,
    /// How long a lost object is remembered, in frames of a video of 30 frames a second.
    pub lost_buffer: u32,
    /// Frames a second of a stream that does not say it; `lost_buffer` is scaled by the rate.
    pub frame_rate: f32,
    /// In how many frames in a row an object must have been seen before it is reported. 1 reports what the first
    /// frame shows at once, and everything later in its second frame, as the paper does.
    pub min_frames: u32,
    /// The most objects that are remembered, lost ones included.
    pub max_tracks: usize,
    /// The most detections of a frame that are looked at: the most confident ones.
    pub max_detections: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            track_threshold: 0.5,
            low_threshold: 0.1,
            birth_margin: 0.1,
            match_threshold: 0.8,
            weak_match_threshold: 0.5,
            tentative_match_threshold: 0.7,
            duplicate_iou: 0.95,
            alike: Classes::default(),
            camera_motion: true,
            lost_buffer: 30,
            frame_rate: 30.0,
            min_frames: 1,
            max_tracks: 512,
            max_detections: 512,
        }
    }
}

impl Config {
    /// In how many frames of this video a lost object may be missing until it is forgotten: the buffer and one more, as
    /// in the paper's code, where a removal takes effect a frame after it was decided.
    #[must_use]
    pub fn frames_remembered(&self) -> u64 {
        let rate = f64::from(self.frame_rate);
        let scale = if rate.is_finite() && rate > 0.0 {
            rate / 30.0
        } else {
            1.0
        };
        ((scale * f64::from(self.lost_buffer)) as u64).saturating_add(1)
    }

    /// The confidence that begins a track. A threshold that nothing could reach is not raised by the margin.
    pub(crate) fn birth_threshold(&self) -> f32 {
        let raised = self.track_threshold + self.birth_margin;
        if raised > 1.0 {
            self.track_threshold
        } else {
            raised
        }
    }
}
