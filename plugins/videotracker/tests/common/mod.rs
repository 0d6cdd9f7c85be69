//! What the tests of the tracker share.
#![allow(dead_code, reason = "every test file uses a part of it")]

#[path = "../../examples/tracking/random.rs"]
pub(crate) mod random;

use random::Random;
use videotracker::track::{Detection, Track};

/// A confident box of 20 x 50 pixels of class 0.
pub(crate) fn seen(left: f32, top: f32) -> Detection {
    Detection {
        xyxy: [left, top, left + 20.0, top + 50.0],
        confidence: 0.9,
        class_id: 0,
    }
}

/// The same, of another class.
pub(crate) fn of_class(class_id: u32, detection: Detection) -> Detection {
    Detection {
        class_id,
        ..detection
    }
}

/// The same, less or more confident.
pub(crate) fn sure(confidence: f32, detection: Detection) -> Detection {
    Detection {
        confidence,
        ..detection
    }
}

/// The numbers of some tracks.
pub(crate) fn ids(tracks: &[Track]) -> Vec<u64> {
    tracks.iter().map(|track| track.track_id).collect()
}

/// Random boxes that have nothing to do with the last frame's.
pub(crate) fn clutter(random: &mut Random, count: usize) -> Vec<Detection> {
    let one = |_| {
        let (left, top) = (random.between(0.0, 1900.0), random.between(0.0, 1000.0));
        let (width, height) = (random.between(5.0, 80.0), random.between(5.0, 160.0));
        let xyxy = [left, top, left + width, top + height].map(|edge| edge as f32);
        Detection {
            xyxy,
            confidence: random.between(0.05, 1.0) as f32,
            class_id: random.below(3) as u32,
        }
    };
    (0..count).map(one).collect()
}

/// Frame `frame` of a scene in which `count` objects walk about, miss a frame now and then, and are weak at times.
pub(crate) fn walkers(random: &mut Random, count: usize, frame: usize) -> Vec<Detection> {
    let one = |index: usize| {
        let along = (frame * (1 + index % 3)) as f32;
        let jitter = random.normal() as f32;
        let (left, top) = (
            30.0 * index as f32 + along + jitter,
            40.0 * (index % 7) as f32 + jitter,
        );
        let confidence = if random.chance(0.15) { 0.3 } else { 0.85 };
        (!random.chance(0.1))
            .then(|| sure(confidence, of_class((index % 2) as u32, seen(left, top))))
    };
    (0..count).filter_map(one).collect()
}
