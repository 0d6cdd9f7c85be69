//! The pitch: its points in the picture, the projection to metres, the radar's bird's-eye view.

mod homography;
mod keypoints;
mod radar;

pub use homography::{Homography, Pair};
pub use keypoints::{Keypoint, find};
pub use radar::{Dot, draw};

use crate::model::Meta;
use crate::picture::Letterbox;

/// How many pixels of the model's input a point may lie off and still agree with a projection. Pixels,
/// since those are what a keypoint is wrong by; a metre is 3 pixels far away and 15 near the camera.
const TOLERANCE: f64 = 4.0;

/// Length and width of the pitch in metres: as the model says, else what its keypoints span.
#[must_use]
pub fn size(meta: &Meta) -> [f64; 2] {
    meta.pitch.unwrap_or_else(|| {
        let most = |axis: usize| meta.keypoints.iter().map(|p| p[axis]).fold(0.0, f64::max);
        [most(0).max(1.0), most(1).max(1.0)]
    })
}

/// The projection from the picture to metres that most of the points agree on.
#[must_use]
pub fn project(points: &[Keypoint], meta: &Meta, place: &Letterbox) -> Option<Homography> {
    let pairs: Vec<Pair> = points
        .iter()
        .map(|p| Pair {
            from: p.xy.map(f64::from),
            to: meta.keypoints[p.index],
        })
        .collect();
    homography::robust(&pairs, TOLERANCE / place.scale)
}
