//! Boxes: which are usable, how much two of them overlap, and the form that the filter works on.

use super::Detection;

/// The largest absolute coordinate of a usable box, in pixels.
pub const MAX_COORDINATE: f32 = 1e7;

/// The shortest side of a usable box, in pixels.
pub const MIN_SIDE: f32 = 1e-3;

/// A box by its edges: left, top, right, bottom, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Edges(pub(crate) [f64; 4]);

impl Edges {
    /// Intersection over union, 0 to 1; 0 where a box has no area.
    pub(crate) fn iou(&self, other: &Self) -> f64 {
        let ([left, top, right, bottom], [l, t, r, b]) = (self.0, other.0);
        let (width, height) = (right.min(r) - left.max(l), bottom.min(b) - top.max(t));
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let shared = width * height;
        shared / (self.area() + other.area() - shared)
    }

    fn area(&self) -> f64 {
        let [left, top, right, bottom] = self.0;
        (right - left) * (bottom - top)
    }

    /// Centre x and y, width over height, height.
    pub(crate) fn to_measure(self) -> [f64; 4] {
        let [left, top, right, bottom] = self.0;
        let (width, height) = (right - left, bottom - top);
        [
            left + width / 2.0,
            top + height / 2.0,
            width / height,
            height,
        ]
    }

    /// The inverse of [`Edges::to_measure`]; a side that the filter has taken below zero is none.
    pub(crate) fn from_measure([x, y, aspect, height]: [f64; 4]) -> Self {
        let height = height.max(0.0);
        let width = (aspect * height).max(0.0);
        let (left, top) = (x - width / 2.0, y - height / 2.0);
        Self([left, top, left + width, top + height])
    }
}

/// Intersection over union of two boxes given by their edges; 0 where they share no area or one is no box.
///
/// ```
/// use videotracker::track::iou;
/// assert_eq!(iou([0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0]), 1.0 / 3.0);
/// assert_eq!(iou([0.0, 0.0, f32::NAN, 2.0], [1.0, 0.0, 3.0, 2.0]), 0.0);
/// ```
#[must_use]
pub fn iou(one: [f32; 4], other: [f32; 4]) -> f64 {
    match (edges(one), edges(other)) {
        (Some(one), Some(other)) => one.iou(&other),
        _ => 0.0,
    }
}

/// The edges of a usable box: finite, within [`MAX_COORDINATE`], both sides at least [`MIN_SIDE`].
fn edges(xyxy: [f32; 4]) -> Option<Edges> {
    let [left, top, right, bottom] = xyxy;
    let near = xyxy.iter().all(|edge| edge.abs() <= MAX_COORDINATE);
    (near && right - left >= MIN_SIDE && bottom - top >= MIN_SIDE)
        .then(|| Edges(xyxy.map(f64::from)))
}

/// The edges and the confidence of a usable detection, the confidence brought into 0 to 1.
pub(crate) fn usable(detection: &Detection) -> Option<(Edges, f32)> {
    let confidence = detection.confidence;
    let edges = edges(detection.xyxy)?;
    confidence
        .is_finite()
        .then(|| (edges, confidence.clamp(0.0, 1.0)))
}
