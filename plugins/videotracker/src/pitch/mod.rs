//! The pitch: its points in the picture, the projection to metres, the radar's bird's-eye view.

mod homography;
mod keypoints;
mod radar;

pub use homography::{Homography, Pair};
pub use keypoints::{Keypoint, find};
pub use radar::{Dot, draw};

use crate::model::Meta;

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
pub fn project(points: &[Keypoint], meta: &Meta) -> Option<Homography> {
    let pairs: Vec<Pair> = points
        .iter()
        .map(|p| Pair {
            from: p.xy.map(f64::from),
            to: meta.keypoints[p.index],
        })
        .collect();
    // Two per cent of the pitch's length, 2.1 m: the keypoint model is right to a few pixels.
    homography::robust(&pairs, size(meta)[0] * 0.02)
}
