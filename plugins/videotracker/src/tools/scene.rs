//! What was found in one frame.

use crate::pitch::{Homography, Keypoint};
use crate::track::{Detection, Track};

/// What was found in one frame; what a tool does not look for stays empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    pub(super) detections: Vec<Detection>,
    pub(super) tracks: Vec<Track>,
    pub(super) keypoints: Vec<Keypoint>,
    pub(super) homography: Option<Homography>,
}

/// The lower middle of a box: where a player stands.
pub(super) fn feet(xyxy: [f32; 4]) -> [f64; 2] {
    [f64::from((xyxy[0] + xyxy[2]) / 2.0), f64::from(xyxy[3])]
}
