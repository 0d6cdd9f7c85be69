//! The door: which of a frame's detections take part, and as what.

use super::bbox::{Edges, usable};
use super::{Config, Detection};
use serde::{Deserialize, Serialize};

/// How much was left out since the tracker began, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Detections that are no box: an edge or the confidence not finite, no area, or beyond
    /// [`MAX_COORDINATE`](super::MAX_COORDINATE).
    pub invalid: u64,
    /// Detections beyond [`Config::max_detections`] of a frame, the least confident ones.
    pub over_limit: u64,
    /// Tracks that could not begin, and lost ones that were forgotten early, because of [`Config::max_tracks`].
    pub tracks_over_limit: u64,
}

/// A detection that takes part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Its index in the frame's detections.
    pub(crate) index: usize,
    pub(crate) class_id: u32,
    pub(crate) confidence: f32,
    pub(crate) edges: Edges,
}

/// The usable detections with more confidence than the low threshold, in their order, the most confident ones where
/// there are too many.
pub(crate) fn screen(
    detections: &[Detection],
    config: &Config,
    dropped: &mut Dropped,
) -> Vec<Seen> {
    let mut seen = Vec::with_capacity(detections.len().min(config.max_detections));
    for (index, detection) in detections.iter().enumerate() {
        match usable(detection) {
            Some((edges, confidence)) if confidence > config.low_threshold => {
                seen.push(Seen {
                    index,
                    class_id: detection.class_id,
                    confidence,
                    edges,
                });
            }
            Some(_) => {}
            None => dropped.invalid += 1,
        }
    }
    if seen.len() > config.max_detections {
        dropped.over_limit += (seen.len() - config.max_detections) as u64;
        seen.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
        seen.truncate(config.max_detections);
        seen.sort_unstable_by_key(|one| one.index);
    }
    seen
}
