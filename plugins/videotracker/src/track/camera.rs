//! The camera's own motion, told from how all objects together miss the places where they are expected.
//!
//! A camera that shakes or pans moves every box by the same amount. What a filter makes of that is wrong twice: the
//! boxes are not where they are expected, and the velocities learn the shaking. So before the association the common
//! part of the deviations is taken out, the idea of BoT-SORT (Aharon et al., 2022), here from the boxes alone: each
//! tracked object is paired with the confident detection that is nearest to it and to which it is the nearest, and
//! the medians of the deviations, where they stand out of their spread, are the camera's. Wrong pairs do not move a
//! median much.
//!
//! A camera that stands still, or moves by no more than what the filter takes for the noise of a measurement anyway, is
//! left to the filter: such a motion costs no pair its overlap, and taking an estimate of it out of every filter adds
//! that estimate's own error to all of them at once. Whether a camera shakes is decided over some frames, since the
//! filters' velocities suffer where it is decided anew in each.

use super::Classes;
use super::bbox::Edges;
use super::kalman::POSITION;
use super::screen::Seen;
use super::target::{State, Target};
use serde::{Deserialize, Serialize};

/// Fewer pairs than this say nothing about the camera.
const LEAST_PAIRS: usize = 5;
/// Heights of a pair differ by at most this factor.
const ALIKE: f64 = 1.25;
/// A camera that moves by this part of the objects' height in the mean shakes: a measurement's deviation.
const SHAKING: f64 = POSITION;
/// A motion by this part of the objects' height is a jump, whatever the camera did before: people are about 0.4 as wide
/// as tall, so that their boxes lose half of their overlap by it.
const JUMP: f64 = 0.12;
/// How much the newest frame counts in the mean.
const NEWEST: f64 = 0.05;
/// A median counts from this many of its standard errors on, and the more of them it is, the more it counts.
const SIGNIFICANT: f64 = 3.0;
/// Standard error of a median of normal deviations: this times their median absolute deviation over root n.
const ERROR_OF_MEDIAN: f64 = 1.2533 * 1.4826;

/// How much a camera moved of late: the mean motion a frame, as a part of the objects' height.
///
/// Serialised as the bits of its number, as the filters are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "u64", from = "u64")]
pub(crate) struct Camera(f64);

impl From<Camera> for u64 {
    fn from(camera: Camera) -> Self {
        camera.0.to_bits()
    }
}

impl From<u64> for Camera {
    fn from(bits: u64) -> Self {
        Self(f64::from_bits(bits))
    }
}

impl Camera {
    /// How far to move everything to the right and down with the camera, in pixels.
    pub(crate) fn motion(
        &mut self,
        targets: &[Target],
        expected: &[Edges],
        seen: &[&Seen],
        alike: Classes,
    ) -> [f64; 2] {
        let Some((moved, height)) = measure(targets, expected, seen, alike) else {
            return [0.0; 2];
        };
        let now = moved[0].hypot(moved[1]) / height;
        self.0 += NEWEST * (now.min(1.0) - self.0);
        match self.0 >= SHAKING || now >= JUMP {
            true => moved,
            false => [0.0; 2],
        }
    }

    /// Could a tracker hold it? False only for what a broken checkpoint holds.
    pub(crate) fn is_sound(self) -> bool {
        (0.0..=1.0).contains(&self.0)
    }
}

/// By how many pixels everything deviates to the right and down in common, and the objects' height.
fn measure(
    targets: &[Target],
    expected: &[Edges],
    seen: &[&Seen],
    alike: Classes,
) -> Option<([f64; 2], f64)> {
    let tracked: Vec<(u32, [f64; 4])> = targets
        .iter()
        .zip(expected)
        .filter(|(target, _)| target.state == State::Tracked)
        .map(|(target, edges)| (target.class_id, edges.to_measure()))
        .collect();
    let seen: Vec<(u32, [f64; 4])> = seen
        .iter()
        .map(|seen| (seen.class_id, seen.edges.to_measure()))
        .collect();
    let partners: Vec<Option<usize>> = seen
        .iter()
        .map(|one| nearest(one, &tracked, alike))
        .collect();
    let (mut deviations, mut heights) = ([Vec::new(), Vec::new()], Vec::new());
    for (index, one) in tracked.iter().enumerate() {
        let Some(partner) =
            nearest(one, &seen, alike).filter(|partner| partners[*partner] == Some(index))
        else {
            continue;
        };
        heights.push(one.1[3]);
        for (axis, deviations) in deviations.iter_mut().enumerate() {
            deviations.push(seen[partner].1[axis] - one.1[axis]);
        }
    }
    if heights.len() < LEAST_PAIRS {
        return None;
    }
    let moved = deviations.map(|mut axis| common(&mut axis));
    Some((moved, median(&mut heights)))
}

/// The one that is nearest by its centre, within a height, among those of its class (or one mistaken for it) and a like height.
fn nearest(one: &(u32, [f64; 4]), others: &[(u32, [f64; 4])], classes: Classes) -> Option<usize> {
    let [x, y, _, height] = one.1;
    let mut best = (height * height, None);
    for (index, (class_id, [other_x, other_y, _, other_height])) in others.iter().enumerate() {
        let far = (other_x - x).powi(2) + (other_y - y).powi(2);
        let alike = *other_height <= ALIKE * height && height <= ALIKE * other_height;
        if far < best.0 && alike && classes.alike(*class_id, one.0) {
            best = (far, Some(index));
        }
    }
    best.1
}

/// The median as far as it stands out of the spread: drawn towards none by what chance could make of it.
fn common(deviations: &mut [f64]) -> f64 {
    let middle = median(deviations);
    let mut spread: Vec<f64> = deviations.iter().map(|one| (one - middle).abs()).collect();
    let error = ERROR_OF_MEDIAN * median(&mut spread) / (deviations.len() as f64).sqrt();
    let doubt = SIGNIFICANT * error / middle.abs();
    // No motion and no spread is 0 / 0: no motion either.
    if doubt < 1.0 {
        middle * (1.0 - doubt * doubt)
    } else {
        0.0
    }
}

fn median(numbers: &mut [f64]) -> f64 {
    let half = numbers.len() / 2;
    *numbers.select_nth_unstable_by(half, f64::total_cmp).1
}
