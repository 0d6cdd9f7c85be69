//! How good tracks are: CLEAR MOT (Bernardin and Stiefelhagen, 2008) and IDF1 (Ristani et al., 2016).
//!
//! A tracked box and an object can belong together from an IoU of one half on, within a class. The figures are those
//! of the Python package `motmetrics`; the proof script compares the two.

use crate::world::Truth;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use videotracker::track::assign::{Edge, assign};
use videotracker::track::{Track, iou};

/// From this IoU on a track and an object can belong together.
const LEAST_IOU: f64 = 0.5;

/// What is counted, in one sequence or in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Objects, over all frames.
    pub(crate) objects: u64,
    /// Reported boxes, over all frames.
    pub(crate) reported: u64,
    pub(crate) missed: u64,
    pub(crate) false_positives: u64,
    pub(crate) switches: u64,
    /// Boxes on the right object under the best one-to-one mapping of numbers.
    pub(crate) identified: u64,
}

impl Counts {
    pub(crate) fn mota(&self) -> f64 {
        let faults = self.missed + self.false_positives + self.switches;
        1.0 - faults as f64 / self.objects.max(1) as f64
    }

    pub(crate) fn idf1(&self) -> f64 {
        2.0 * self.identified as f64 / (self.objects + self.reported).max(1) as f64
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.reported += other.reported;
        self.missed += other.missed;
        self.false_positives += other.false_positives;
        self.switches += other.switches;
        self.identified += other.identified;
    }
}

/// Counts one sequence, frame by frame.
#[derive(Default)]
pub(crate) struct Judge {
    counts: Counts,
    /// Which track an object belonged to last.
    last: BTreeMap<u64, u64>,
    /// In how many frames an object and a track could belong together.
    together: BTreeMap<(u64, u64), u64>,
}

impl Judge {
    pub(crate) fn frame(&mut self, truth: &[Truth], tracks: &[Track]) {
        let mut overlap = BTreeMap::new();
        for (row, object) in truth.iter().enumerate() {
            for (column, track) in tracks
                .iter()
                .enumerate()
                .filter(|(_, track)| track.class_id == object.class_id)
            {
                let iou = iou(object.xyxy, track.xyxy);
                if iou >= LEAST_IOU {
                    overlap.insert((row, column), iou);
                    *self
                        .together
                        .entry((object.id, track.track_id))
                        .or_default() += 1;
                }
            }
        }
        let pairs = self.match_frame(truth, tracks, &overlap);
        self.counts.objects += truth.len() as u64;
        self.counts.reported += tracks.len() as u64;
        self.counts.missed += (truth.len() - pairs) as u64;
        self.counts.false_positives += (tracks.len() - pairs) as u64;
    }

    /// Who was together stays together where that is possible, the rest is assigned; how many pairs are there?
    fn match_frame(
        &mut self,
        truth: &[Truth],
        tracks: &[Track],
        overlap: &BTreeMap<(usize, usize), f64>,
    ) -> usize {
        let mut kept: Vec<(usize, usize)> = Vec::new();
        for (row, object) in truth.iter().enumerate() {
            let partner = self.last.get(&object.id);
            let column = tracks
                .iter()
                .position(|track| Some(&track.track_id) == partner);
            let column = column.filter(|column| overlap.contains_key(&(row, *column)));
            kept.extend(
                column
                    .filter(|column| kept.iter().all(|(_, taken)| taken != column))
                    .map(|column| (row, column)),
            );
        }
        let free = |(row, column): (usize, usize)| {
            kept.iter().all(|pair| pair.0 != row && pair.1 != column)
        };
        // As many pairs as possible, and of those the best: a pair counts more than all overlaps together.
        let edges: Vec<Edge> = overlap
            .iter()
            .filter(|(pair, _)| free(**pair))
            .map(|((row, column), iou)| Edge {
                row: *row,
                column: *column,
                gain: 1e4 + iou,
            })
            .collect();
        let fresh = assign(truth.len(), tracks.len(), &edges);
        for (row, column) in &fresh {
            let before = self.last.insert(truth[*row].id, tracks[*column].track_id);
            self.counts.switches +=
                u64::from(before.is_some_and(|before| before != tracks[*column].track_id));
        }
        kept.len() + fresh.len()
    }

    /// The counts of the whole sequence.
    pub(crate) fn end(self) -> Counts {
        let mut objects: Vec<u64> = self.together.keys().map(|(object, _)| *object).collect();
        let mut tracks: Vec<u64> = self.together.keys().map(|(_, track)| *track).collect();
        [&mut objects, &mut tracks].into_iter().for_each(|ids| {
            ids.sort_unstable();
            ids.dedup();
        });
        let place = |ids: &[u64], id: u64| ids.partition_point(|one| *one < id);
        let edge = |((object, track), frames): (&(u64, u64), &u64)| Edge {
            row: place(&objects, *object),
            column: place(&tracks, *track),
            gain: *frames as f64,
        };
        let edges: Vec<Edge> = self.together.iter().map(edge).collect();
        let chosen = assign(objects.len(), tracks.len(), &edges);
        let frames = chosen
            .iter()
            .map(|(row, column)| self.together[&(objects[*row], tracks[*column])]);
        Counts {
            identified: frames.sum(),
            ..self.counts
        }
    }
}
