//! The three associations of one frame.

use super::assign::{Edge, assign};
use super::bbox::Edges;
use super::camera::Camera;
use super::screen::Seen;
use super::target::{State, Target};
use super::{Classes, Config};

/// Move every target on by a frame and find its detection: for each target the index into `seen`, if any.
pub(crate) fn associate(
    targets: &mut [Target],
    seen: &[Seen],
    config: &Config,
    camera: &mut Camera,
) -> Vec<Option<usize>> {
    let mut expected: Vec<Edges> = targets.iter_mut().map(Target::predict).collect();
    let strong = |seen: &Seen| seen.confidence >= config.track_threshold;
    if config.camera_motion {
        let confident: Vec<&Seen> = seen.iter().filter(|seen| strong(seen)).collect();
        follow(
            camera.motion(targets, &expected, &confident, config.alike),
            targets,
            &mut expected,
        );
    }
    let mut round = Round {
        targets,
        expected,
        seen,
        alike: config.alike,
        partners: vec![None; targets.len()],
        taken: vec![false; seen.len()],
    };
    round.pair(
        |state| state != State::Tentative,
        strong,
        config.match_threshold,
        by_confidence,
    );
    round.pair(
        |state| state == State::Tracked,
        |seen| !strong(seen),
        config.weak_match_threshold,
        by_overlap,
    );
    round.pair(
        |state| state == State::Tentative,
        strong,
        config.tentative_match_threshold,
        by_confidence,
    );
    round.partners
}

/// Move everything with the camera.
fn follow(motion: [f64; 2], targets: &mut [Target], expected: &mut [Edges]) {
    if motion != [0.0, 0.0] {
        for (target, expected) in targets.iter_mut().zip(expected) {
            target.filter.shift(motion);
            *expected = target.edges();
        }
    }
}

/// How alike a pair is whose boxes overlap by this much: by the overlap alone.
fn by_overlap(iou: f64, _: &Seen) -> f64 {
    iou
}

/// The same, weighed with the confidence ("score fusion" of the paper's code).
fn by_confidence(iou: f64, seen: &Seen) -> f64 {
    iou * f64::from(seen.confidence)
}

struct Round<'a> {
    targets: &'a [Target],
    expected: Vec<Edges>,
    seen: &'a [Seen],
    alike: Classes,
    partners: Vec<Option<usize>>,
    taken: Vec<bool>,
}

impl Round<'_> {
    /// Associate the targets in some state with some of the detections, as far as both are free.
    fn pair(
        &mut self,
        who: impl Fn(State) -> bool,
        what: impl Fn(&Seen) -> bool,
        limit: f32,
        likeness: impl Fn(f64, &Seen) -> f64,
    ) {
        let columns: Vec<usize> = (0..self.seen.len())
            .filter(|index| !self.taken[*index] && what(&self.seen[*index]))
            .collect();
        let rows: Vec<usize> = (0..self.targets.len())
            .filter(|index| self.partners[*index].is_none() && who(self.targets[*index].state))
            .collect();
        let edges = self.edges(&rows, &columns, f64::from(limit), likeness);
        for (row, column) in assign(rows.len(), columns.len(), &edges) {
            self.partners[rows[row]] = Some(columns[column]);
            self.taken[columns[column]] = true;
        }
    }

    /// The pairs that are allowed: of one class or classes that are mistaken for one another, overlapping, within the limit.
    fn edges(
        &self,
        rows: &[usize],
        columns: &[usize],
        limit: f64,
        likeness: impl Fn(f64, &Seen) -> f64,
    ) -> Vec<Edge> {
        let mut edges = Vec::with_capacity(rows.len().max(columns.len()));
        for (row, target) in rows.iter().enumerate() {
            let (expected, class_id) = (self.expected[*target], self.targets[*target].class_id);
            for (column, index) in columns.iter().enumerate() {
                let seen = &self.seen[*index];
                let iou = if self.alike.alike(seen.class_id, class_id) {
                    expected.iou(&seen.edges)
                } else {
                    0.0
                };
                if iou > 0.0 {
                    edges.push(Edge {
                        row,
                        column,
                        gain: limit - (1.0 - likeness(iou, seen)),
                    });
                }
            }
        }
        edges
    }
}
