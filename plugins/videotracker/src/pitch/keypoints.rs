//! Heat maps to points: the hottest cell of each map, and its summit below the cell.
//!
//! A point's heat is a Gaussian, and the logarithm of a Gaussian is a parabola: on each axis three
//! neighbours give its summit exactly. A centre of gravity does not, since three cells cut the
//! Gaussian off, more of it on one side than on the other.

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
        let [x, y] = summit(heat, at, (rows, columns)).map(|cells| cells * stride as f32);
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

/// The hottest cell, of equal ones the first.
fn hottest(heat: &[f32]) -> Option<(usize, f32)> {
    let numbers = heat.iter().copied().enumerate();
    let sound = numbers.filter(|(_, v)| v.is_finite());
    sound.reduce(|best, one| if one.1 > best.1 { one } else { best })
}

/// Where around `at` the heat is highest, in cells from the upper left corner; at an edge the map goes on as it ends.
fn summit(heat: &[f32], at: usize, (rows, columns): (usize, usize)) -> [f32; 2] {
    let (row, column) = (at / columns, at % columns);
    // Cold cells are zero, or even below; what is added keeps their logarithm finite.
    let log = |row: usize, column: usize| (heat[row * columns + column].max(0.0) + 1e-6).ln();
    let here = log(row, column);
    let right = (column + 1).min(columns - 1);
    let below = (row + 1).min(rows - 1);
    let across = parabola(log(row, column.saturating_sub(1)), here, log(row, right));
    let down = parabola(log(row.saturating_sub(1), column), here, log(below, column));
    [column as f32 + 0.5 + across, row as f32 + 0.5 + down]
}

/// How far from the middle one of three points a unit apart their parabola is highest, half a unit at most.
fn parabola(low: f32, middle: f32, high: f32) -> f32 {
    let bend = 2.0 * middle - low - high;
    let place = (high - low) / (2.0 * bend);
    match bend > 1e-6 && place.is_finite() {
        true => place.clamp(-0.5, 0.5),
        false => 0.0,
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
        let [x, y] = found[0].xy;
        // Half way to its equal neighbour, but for what the cold cells' logarithm adds.
        assert!((x - 24.0).abs() < 0.1 && (y - 20.0).abs() < 1e-4, "{x} {y}");
    }

    /// A point's heat as the model learns it: a Gaussian of 1.2 cells.
    fn gaussian((rows, columns): (usize, usize), [x, y]: [f32; 2]) -> Vec<f32> {
        let one = |cell: usize| {
            let (column, row) = ((cell % columns) as f32 + 0.5, (cell / columns) as f32 + 0.5);
            (-0.5 * ((column - x).powi(2) + (row - y).powi(2)) / 1.44).exp()
        };
        (0..rows * columns).map(one).collect()
    }

    #[test]
    fn a_gaussians_summit_is_found_below_the_cell() {
        let place = Letterbox::new(120, 80, 120, 80);
        for middle in [
            [12.3, 7.8],
            [5.01, 9.99],
            [20.5, 4.5],
            [29.7, 19.8],
            [0.2, 0.3],
        ] {
            let heat = gaussian((20, 30), middle);
            let found = find(&heat, (20, 30), 4, 0.5, &place, (120, 80));
            let [x, y] = found[0].xy;
            let off = (x - 4.0 * middle[0]).hypot(y - 4.0 * middle[1]);
            // At the map's edge one neighbour is missing.
            let most = if middle[0] > 1.0 && middle[0] < 29.0 {
                0.02
            } else {
                2.0
            };
            assert!(off < most, "{middle:?}: {x} {y}");
        }
    }

    #[test]
    fn a_map_of_nonsense_has_no_point() {
        let place = Letterbox::new(24, 24, 24, 24);
        let find = |heat: &[f32]| find(heat, (6, 6), 4, 0.5, &place, (24, 24));
        assert!(find(&[f32::NAN; 36]).is_empty());
        let flat = find(&[0.9; 36]);
        assert_eq!(
            flat[0].xy,
            [2.0, 2.0],
            "of equal cells the first, in its middle"
        );
        let mut odd = [f32::NAN; 36];
        odd[14] = 0.9;
        assert_eq!(find(&odd)[0].xy, [10.0, 10.0]);
    }
}
