//! Heat maps to points: the hottest cell of each map, refined by its neighbours.

use crate::picture::Letterbox;

/// A known point of the pitch, seen in the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Keypoint {
    /// Which of the model's keypoints.
    pub index: usize,
    /// Where, in pixels of the frame.
    pub xy: [f32; 2],
    /// 0 to 1.
    pub confidence: f32,
}

/// The keypoints that reach `least`, one a heat map of `rows` x `columns` cells.
#[must_use]
pub fn find(
    numbers: &[f32],
    (rows, columns): (usize, usize),
    stride: usize,
    least: f32,
    place: &Letterbox,
    frame: (usize, usize),
) -> Vec<Keypoint> {
    let maps = numbers.chunks_exact((rows * columns).max(1)).enumerate();
    let each = maps.filter_map(|(index, heat)| {
        let (at, peak) = hottest(heat)?;
        if peak < least {
            return None;
        }
        let [x, y] = centre(heat, at, (rows, columns)).map(|cells| cells * stride as f32);
        let inside = x >= place.left as f32
            && y >= place.top as f32
            && x <= (place.left + place.columns) as f32
            && y <= (place.top + place.rows) as f32;
        inside.then(|| Keypoint {
            index,
            xy: place.back(x, y, frame),
            confidence: peak.min(1.0),
        })
    });
    each.collect()
}

fn hottest(heat: &[f32]) -> Option<(usize, f32)> {
    let numbers = heat
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, v)| v.is_finite());
    numbers.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The heat's centre of gravity in the 3 x 3 cells around `at`, in cells from the upper left corner.
fn centre(heat: &[f32], at: usize, (rows, columns): (usize, usize)) -> [f32; 2] {
    let (row, column) = (at / columns, at % columns);
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for r in row.saturating_sub(1)..=(row + 1).min(rows - 1) {
        for c in column.saturating_sub(1)..=(column + 1).min(columns - 1) {
            let weight = heat[r * columns + c].max(0.0);
            sum += weight;
            x += weight * (c as f32 + 0.5);
            y += weight * (r as f32 + 0.5);
        }
    }
    if sum > 0.0 {
        [x / sum, y / sum]
    } else {
        [column as f32 + 0.5, row as f32 + 0.5]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_between_two_cells_lies_between_them() {
        let mut heat = vec![0.0; 2 * 36];
        heat[2 * 6 + 2] = 0.8;
        heat[2 * 6 + 3] = 0.8;
        let place = Letterbox::new(48, 48, 24, 24);
        let found = find(&heat, (6, 6), 4, 0.5, &place, (48, 48));
        assert_eq!(found.len(), 1, "the second map is cold");
        assert_eq!(found[0].index, 0);
        assert!((found[0].xy[0] - 24.0).abs() < 1e-4 && (found[0].xy[1] - 20.0).abs() < 1e-4);
    }
}
