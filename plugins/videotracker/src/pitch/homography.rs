//! The projective map between picture and ground, from points known in both.
//!
//! It is fitted from the ground to the picture, and judged there: a point is wrong by pixels, and how
//! many metres those are depends on where it lies.
//!
//! Direct linear transform with Hartley's normalisation ("In Defense of the Eight-Point Algorithm",
//! 1997) inside RANSAC (Fischler and Bolles, 1981). The samples come from a fixed sequence, so that
//! the same points always give the same map.

use nalgebra::{Matrix3, SMatrix, SVector, Vector3};

/// One point on both planes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// In the picture, pixels.
    pub from: [f64; 2],
    /// On the ground, metres.
    pub to: [f64; 2],
}

/// A projective map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Homography {
    forward: Matrix3<f64>,
    backward: Matrix3<f64>,
    /// How many pairs agree with it.
    pub inliers: usize,
    /// Their mean distance from it, in metres.
    pub error: f64,
}

impl Homography {
    /// Where on the ground a point of the picture lies, in metres; `None` on the horizon.
    #[must_use]
    pub fn apply(&self, point: [f64; 2]) -> Option<[f64; 2]> {
        through(&self.forward, point)
    }

    /// Where in the picture a point of the ground lies, in pixels.
    #[must_use]
    pub fn undo(&self, point: [f64; 2]) -> Option<[f64; 2]> {
        through(&self.backward, point)
    }

    /// The matrix from pixels to metres, row by row, its last number 1.
    #[must_use]
    pub fn rows(&self) -> [[f64; 3]; 3] {
        let m = &self.forward;
        [0, 1, 2].map(|r| [m[(r, 0)], m[(r, 1)], m[(r, 2)]])
    }
}

fn through(map: &Matrix3<f64>, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
    let out = map * Vector3::new(x, y, 1.0);
    let there = [out[0] / out[2], out[1] / out[2]];
    (out[2].abs() > 1e-12 && there.iter().all(|n| n.is_finite())).then_some(there)
}

/// Samples of four points that are tried.
const TRIALS: usize = 300;

/// The map that most pairs agree with, to within `tolerance` pixels in the picture.
#[must_use]
pub(super) fn robust(pairs: &[Pair], tolerance: f64) -> Option<Homography> {
    if pairs.len() < 4 {
        return None;
    }
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut best = Vec::new();
    for _ in 0..TRIALS {
        let four = sample(&mut state, pairs.len()).map(|at| pairs[at]);
        let Some(map) = fit(&four) else { continue };
        let inliers = agreeing(&map, pairs, tolerance);
        if inliers.len() > best.len() {
            best = inliers;
        }
        if best.len() == pairs.len() {
            break;
        }
    }
    if best.len() < 4 {
        return None;
    }
    let backward = fit(&best)?;
    let inliers = agreeing(&backward, pairs, tolerance);
    if inliers.len() < 4 {
        return None;
    }
    let forward = unit(backward.try_inverse()?)?;
    let metres = |p: &Pair| Some(apart(through(&forward, p.from)?, p.to));
    let errors: f64 = inliers.iter().filter_map(metres).sum();
    Some(Homography {
        forward,
        backward,
        inliers: inliers.len(),
        error: errors / inliers.len() as f64,
    })
}

/// Four different numbers below `n`, by a xorshift generator.
fn sample(state: &mut u64, n: usize) -> [usize; 4] {
    let mut four = [usize::MAX; 4];
    for at in 0..4 {
        loop {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            let pick = (*state % n as u64) as usize;
            if !four[..at].contains(&pick) {
                four[at] = pick;
                break;
            }
        }
    }
    four
}

fn apart(one: [f64; 2], other: [f64; 2]) -> f64 {
    (one[0] - other[0]).hypot(one[1] - other[1])
}

/// The pairs whose ground point `map` (from the ground to the picture) brings near their picture point.
fn agreeing(map: &Matrix3<f64>, pairs: &[Pair], tolerance: f64) -> Vec<Pair> {
    let near = |p: &&Pair| through(map, p.to).is_some_and(|xy| apart(xy, p.from) <= tolerance);
    pairs.iter().filter(near).copied().collect()
}

/// Scaled so that its last number is 1.
fn unit(map: Matrix3<f64>) -> Option<Matrix3<f64>> {
    let scale = map[(2, 2)];
    let map = map / scale;
    (scale.abs() > 1e-12 && map.iter().all(|n| n.is_finite())).then_some(map)
}

/// The least-squares map from the ground to the picture of four or more pairs; `None` where they lie on a line.
fn fit(pairs: &[Pair]) -> Option<Matrix3<f64>> {
    let (here, there) = (
        normalise(pairs.iter().map(|p| p.to))?,
        normalise(pairs.iter().map(|p| p.from))?,
    );
    let mut squares = SMatrix::<f64, 9, 9>::zeros();
    for pair in pairs {
        let [x, y] = through(&here, pair.to)?;
        let [u, v] = through(&there, pair.from)?;
        for row in [
            [-x, -y, -1.0, 0.0, 0.0, 0.0, u * x, u * y, u],
            [0.0, 0.0, 0.0, -x, -y, -1.0, v * x, v * y, v],
        ] {
            let row = SVector::<f64, 9>::from(row);
            squares += row * row.transpose();
        }
    }
    let eigen = squares.symmetric_eigen();
    let mut order: Vec<usize> = (0..9).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*a].total_cmp(&eigen.eigenvalues[*b]));
    // Two directions of no resistance: the points do not determine a map.
    if eigen.eigenvalues[order[1]] < 1e-9 * eigen.eigenvalues[order[8]] {
        return None;
    }
    let h = eigen.eigenvectors.column(order[0]);
    let inner = Matrix3::new(h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], h[8]);
    let map = there.try_inverse()? * inner * here;
    // Metres and pixels differ in scale, so sound maps come near 1e-8; below this the plane is seen from its edge.
    let flat = map.determinant().abs() <= 1e-14 * map.norm().powi(3);
    (!flat && map.iter().all(|n| n.is_finite())).then_some(map)
}

/// The map that moves the points' centre to the origin and their mean distance to the root of 2.
fn normalise(points: impl Iterator<Item = [f64; 2]> + Clone) -> Option<Matrix3<f64>> {
    let n = points.clone().count() as f64;
    let [x, y] = points
        .clone()
        .fold([0.0, 0.0], |s, p| [s[0] + p[0] / n, s[1] + p[1] / n]);
    let spread: f64 = points.map(|p| (p[0] - x).hypot(p[1] - y)).sum::<f64>() / n;
    if spread <= 1e-9 || !spread.is_finite() {
        return None;
    }
    let s = std::f64::consts::SQRT_2 / spread;
    Some(Matrix3::new(s, 0.0, -s * x, 0.0, s, -s * y, 0.0, 0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> Matrix3<f64> {
        Matrix3::new(0.12, 0.31, -40.0, -0.02, 0.55, -60.0, -0.0004, 0.004, 1.0)
    }

    fn pairs() -> Vec<Pair> {
        let points = [0.0, 200.0, 700.0, 1100.0, 1900.0];
        let all = points
            .iter()
            .flat_map(|x| [310.0, 500.0, 900.0].map(|y| [*x, y]));
        all.map(|from| Pair {
            from,
            to: through(&camera(), from).unwrap(),
        })
        .collect()
    }

    #[test]
    fn an_exact_map_is_found_again() {
        let found = robust(&pairs(), 4.0).unwrap();
        assert_eq!(found.inliers, 15);
        assert!(found.error < 1e-6, "{}", found.error);
        let there = found.apply([640.0, 640.0]).unwrap();
        let back = found.undo(there).unwrap();
        assert!((back[0] - 640.0).abs() < 1e-6 && (back[1] - 640.0).abs() < 1e-6);
    }

    #[test]
    fn points_that_lie_are_left_out() {
        let mut lying = pairs();
        for at in [0, 4, 9, 12] {
            lying[at].to[0] += 15.0 + at as f64;
        }
        let found = robust(&lying, 4.0).unwrap();
        assert_eq!(found.inliers, 11);
        let [x, y] = found.apply(pairs()[4].from).unwrap();
        let right = pairs()[4].to;
        assert!((x - right[0]).hypot(y - right[1]) < 1e-6);
    }

    #[test]
    fn a_point_is_judged_by_its_pixels() {
        // Far away a pixel is many metres: five pixels are five pixels, near or far.
        for at in [0, 14] {
            for (pixels, agree) in [(3.0, 15), (12.0, 14)] {
                let mut moved = pairs();
                moved[at].from[1] += pixels;
                let found = robust(&moved, 4.0).unwrap();
                assert_eq!(found.inliers, agree, "point {at} by {pixels} pixels");
            }
        }
    }

    #[test]
    fn too_little_is_no_map() {
        assert_eq!(robust(&pairs()[..3], 4.0), None);
        let line: Vec<Pair> = (0..6)
            .map(|n| Pair {
                from: [f64::from(n), f64::from(n)],
                to: [f64::from(n), 0.0],
            })
            .collect();
        assert_eq!(robust(&line, 4.0), None);
    }
}
