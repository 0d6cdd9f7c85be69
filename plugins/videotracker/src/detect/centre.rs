//! The centre-point layout ("Objects as Points", Zhou et al., arXiv 1904.07850): a heat map a
//! class, and at every cell the size of the box and where in the cell its centre lies.

use crate::track::Detection;

/// The peaks (no larger neighbour of eight) that reach `least`, in input pixels.
pub(super) fn decode(
    numbers: &[f32],
    classes: usize,
    (rows, columns): (usize, usize),
    stride: usize,
    least: f32,
) -> Vec<Detection> {
    let cells = rows * columns;
    let map = |number: usize| &numbers[number * cells..][..cells];
    let [widths, heights, right, down] = [0, 1, 2, 3].map(|n| map(classes + n));
    let mut found = Vec::new();
    for class in 0..classes {
        let heat = map(class);
        for at in peaks(heat, (rows, columns), least) {
            let (row, column) = (at / columns, at % columns);
            let x = (column as f32 + right[at]) * stride as f32;
            let y = (row as f32 + down[at]) * stride as f32;
            let (w, h) = (widths[at], heights[at]);
            let sound = [x, y, w, h].iter().all(|n| n.is_finite());
            if sound && w > 0.0 && h > 0.0 {
                found.push(Detection {
                    xyxy: [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0],
                    confidence: heat[at].min(1.0),
                    class_id: class as u32,
                });
            }
        }
    }
    found
}

/// Cells that no neighbour exceeds; of equal neighbours the first.
pub(crate) fn peaks(
    heat: &[f32],
    (rows, columns): (usize, usize),
    least: f32,
) -> impl Iterator<Item = usize> {
    let candidates = heat.iter().enumerate().filter(move |(_, v)| **v >= least);
    candidates.map(|(at, _)| at).filter(move |&at| {
        let (row, column) = (at / columns, at % columns);
        let mut around = (row.saturating_sub(1)..=(row + 1).min(rows - 1))
            .flat_map(|r| {
                (column.saturating_sub(1)..=(column + 1).min(columns - 1))
                    .map(move |c| r * columns + c)
            })
            .filter(|other| *other != at);
        around.all(|other| match other < at {
            true => heat[other] < heat[at],
            false => heat[other] <= heat[at],
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plateau_has_one_peak() {
        let mut heat = vec![0.0; 25];
        for at in [6, 7, 8, 12] {
            heat[at] = 0.8;
        }
        heat[24] = 0.9;
        assert_eq!(peaks(&heat, (5, 5), 0.5).collect::<Vec<_>>(), [6, 24]);
    }

    #[test]
    fn a_peak_is_a_box_around_its_centre() {
        let cells = 4 * 6;
        let mut numbers = vec![0.0; 6 * cells];
        let at = 2 * 6 + 3;
        for (map, value) in [(1, 0.7), (2, 10.0), (3, 20.0), (4, 0.5), (5, 0.25)] {
            numbers[map * cells + at] = value;
        }
        let found = decode(&numbers, 2, (4, 6), 4, 0.3);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].class_id, found[0].confidence), (1, 0.7));
        assert_eq!(found[0].xyxy, [9.0, -1.0, 19.0, 19.0]);
    }
}
