//! The YOLOv8 layout: `4 + classes` rows of one number an anchor, scores already 0 to 1.

use crate::track::Detection;

/// The anchors whose best class reaches `least`, in input pixels.
pub(super) fn decode(numbers: &[f32], classes: usize, least: f32) -> Vec<Detection> {
    let anchors = numbers.len() / (4 + classes);
    if anchors == 0 {
        return Vec::new();
    }
    let (boxes, scores) = numbers.split_at(4 * anchors);
    // Row by row, as the numbers lie: the best class of every anchor.
    let mut best = vec![(least, u32::MAX); anchors];
    for (class, row) in scores.chunks_exact(anchors).enumerate() {
        for (best, score) in best.iter_mut().zip(row) {
            if *score >= best.0 && (best.1 == u32::MAX || *score > best.0) {
                *best = (*score, class as u32);
            }
        }
    }
    let found = best
        .iter()
        .enumerate()
        .filter(|(_, best)| best.1 != u32::MAX);
    let each = found.filter_map(|(at, (confidence, class_id))| {
        let [x, y, w, h] = [0, 1, 2, 3].map(|row| boxes[row * anchors + at]);
        let sound = [x, y, w, h].iter().all(|n| n.is_finite()) && confidence.is_finite();
        (sound && w > 0.0 && h > 0.0).then(|| Detection {
            xyxy: [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0],
            confidence: confidence.min(1.0),
            class_id: *class_id,
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_anchor_has_one_class_and_numbers_that_are_none_are_dropped() {
        let rows: [[f32; 3]; 6] = [
            [10.0, 20.0, f32::NAN],
            [10.0, 20.0, 1.0],
            [4.0, 4.0, 4.0],
            [4.0, 4.0, 4.0],
            [0.6, 0.1, 0.9],
            [0.7, 0.2, 0.1],
        ];
        let found = decode(&rows.concat(), 2, 0.5);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].class_id, found[0].xyxy),
            (1, [8.0, 8.0, 12.0, 12.0])
        );
        assert!(decode(&[], 2, 0.5).is_empty());
    }
}
