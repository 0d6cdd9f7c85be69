//! Non-maximum suppression within each class.

use crate::track::Detection;

/// Most boxes that are compared with one another: the most confident ones.
const CANDIDATES: usize = 4096;

/// Keeps the most confident boxes of those of one class that overlap more than `iou`, at most `most`.
#[must_use]
pub fn suppress(mut found: Vec<Detection>, iou: f32, most: usize) -> Vec<Detection> {
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    found.truncate(CANDIDATES);
    let mut kept: Vec<Detection> = Vec::new();
    for one in found {
        if kept.len() == most {
            break;
        }
        let hidden = kept
            .iter()
            .any(|k| k.class_id == one.class_id && overlap(k.xyxy, one.xyxy) > iou);
        if !hidden {
            kept.push(one);
        }
    }
    kept
}

/// Intersection over union.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let shared = width * height;
    let area = |r: [f32; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let union = area(a) + area(b) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(left: f32, confidence: f32, class_id: u32) -> Detection {
        Detection {
            xyxy: [left, 0.0, left + 10.0, 10.0],
            confidence,
            class_id,
        }
    }

    #[test]
    fn classes_do_not_hide_one_another() {
        let found = vec![
            one(0.0, 0.5, 0),
            one(1.0, 0.9, 0),
            one(0.5, 0.7, 1),
            one(50.0, 0.4, 0),
        ];
        let kept = suppress(found.clone(), 0.5, 10);
        let left: Vec<f32> = kept.iter().map(|d| d.xyxy[0]).collect();
        assert_eq!(left, [1.0, 0.5, 50.0]);
        assert_eq!(suppress(found, 0.5, 2).len(), 2);
    }

    #[test]
    fn a_flood_of_boxes_is_bounded() {
        let flood = (0..200_000).map(|n| one(n as f32 * 20.0, 0.3, 0)).collect();
        assert_eq!(suppress(flood, 0.5, 300).len(), 300);
    }
}
