//! The camera's own motion, told from how all objects together miss the places where they are expected.
//!
//! A camera that shakes or pans moves every box by the same amount. What a filter makes of that is wrong twice: the
//! boxes are not where they are expected, and the velocities learn the shaking. So before the association the common
//! part of the deviations is taken out, the idea of BoT-SORT (Aharon et al., 2022), here from the boxes alone: each
//! tracked object is paired with the confident detection that is nearest to it and to which it is the nearest, and
//! the medians of the deviations, where they stand out of their spread, are the camera's. Wrong pairs do not move a
//! median much.
//!
//! What the filter takes for the noise of a measurement anyway is left to it: a small motion costs no pair its overlap,
//! and taking an estimate of it out of every filter adds that estimate's own error to all of them at once.

use super::Classes;
use super::bbox::Edges;
use super::kalman::POSITION;
use super::screen::Seen;
use super::target::{State, Target};

/// Fewer pairs than this say nothing about the camera.
const LEAST_PAIRS: usize = 5;
/// Heights of a pair differ by at most this factor.
const ALIKE: f64 = 1.25;
/// A motion by less than this part of the objects' height is no more than a measurement's deviation on both axes.
const LEAST_MOTION: f64 = POSITION * std::f64::consts::SQRT_2;
/// A median counts from this many of its standard errors on, and the more of them it is, the more it counts.
const SIGNIFICANT: f64 = 3.0;
/// Standard error of a median of normal deviations: this times their median absolute deviation over root n.
const ERROR_OF_MEDIAN: f64 = 1.2533 * 1.4826;

/// How far the camera's motion has moved everything to the right and down, in pixels.
pub(crate) fn motion(
    targets: &[Target],
    expected: &[Edges],
    seen: &[&Seen],
    alike: Classes,
) -> [f64; 2] {
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
        return [0.0; 2];
    }
    let least = LEAST_MOTION * median(&mut heights);
    let moved = deviations.map(|mut axis| common(&mut axis));
    match moved[0].hypot(moved[1]) < least {
        true => [0.0; 2],
        false => moved,
    }
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
