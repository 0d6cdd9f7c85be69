//! One object that a tracker knows.

use super::bbox::{Edges, usable};
use super::classes::Votes;
use super::kalman::Filter;
use super::screen::Seen;
use super::{Detection, Track};
use serde::{Deserialize, Serialize};

/// A detection that overlaps less than this with what the filter makes of it is not reported: it may be another's.
const LEAST_FIT: f64 = 0.5;

/// What is known of an object's presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Not seen often enough to be reported.
    Tentative,
    /// Seen in the last frame.
    Tracked,
    /// Known, but not seen in the last frame.
    Lost,
}

/// An object with its motion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) filter: Filter,
    /// What it was seen as most surely.
    pub(crate) class_id: u32,
    /// What it was seen as; a checkpoint of an older build does not say.
    #[serde(default)]
    votes: Votes,
    pub(crate) state: State,
    /// The number that is reported; none while the object is tentative.
    pub(crate) id: Option<u64>,
    /// The frame in which it was seen first, and last.
    pub(crate) born: u64,
    pub(crate) seen: u64,
    /// In how many frames it was seen.
    pub(crate) hits: u32,
    /// Which detection it was in the frame `seen`.
    pub(crate) detection: usize,
}

impl Target {
    pub(crate) fn new(seen: &Seen, frame: u64) -> Self {
        let filter = Filter::new(seen.edges.to_measure());
        let (class_id, detection) = (seen.class_id, seen.index);
        let mut votes = Votes::default();
        votes.add(class_id, seen.confidence);
        Self {
            filter,
            class_id,
            votes,
            state: State::Tentative,
            id: None,
            born: frame,
            seen: frame,
            hits: 1,
            detection,
        }
    }

    /// Move on by one frame; gives the box in which the object is expected. What was seen once has no velocity yet,
    /// and as in the paper's code it waits where it is.
    pub(crate) fn predict(&mut self) -> Edges {
        if self.state == State::Lost {
            self.filter.hold_height();
        }
        if self.state != State::Tentative {
            self.filter.predict();
        }
        self.edges()
    }

    /// Take the detection that it was associated with.
    pub(crate) fn correct(&mut self, seen: &Seen, frame: u64) {
        self.filter.correct(seen.edges.to_measure());
        self.seen = frame;
        self.hits = self.hits.saturating_add(1);
        self.detection = seen.index;
        if self.votes.winner().is_none() {
            self.votes.add(self.class_id, self.hits as f32);
        }
        self.votes.add(seen.class_id, seen.confidence);
        self.class_id = self.votes.winner().unwrap_or(seen.class_id);
        if self.state == State::Lost {
            self.state = State::Tracked;
        }
    }

    /// It is reported from now on, under this number.
    pub(crate) fn confirm(&mut self, id: u64) {
        self.id = Some(id);
        self.state = State::Tracked;
    }

    /// Take over the identity of a lost object that turned out to be the same, if that was followed for longer.
    pub(crate) fn adopt(&mut self, lost: &Self) {
        if lost.age() >= self.age() {
            self.id = lost.id;
            self.born = lost.born;
        }
        self.votes.join(&lost.votes);
        self.class_id = self.votes.winner().unwrap_or(self.class_id);
    }

    /// What is reported: its number with the detection that it was in this frame, if that fits.
    pub(crate) fn report(&self, detections: &[Detection]) -> Option<Track> {
        let (track_id, seen) = (self.id?, detections.get(self.detection)?);
        if self.edges().iou(&usable(seen)?.0) < LEAST_FIT {
            return None;
        }
        Some(Track {
            track_id,
            class_id: self.class_id,
            xyxy: seen.xyxy,
            confidence: seen.confidence.clamp(0.0, 1.0),
            detection: self.detection,
        })
    }

    /// The box by the filter's estimate.
    pub(crate) fn edges(&self) -> Edges {
        Edges::from_measure(self.filter.measure())
    }

    /// For how many frames it was followed.
    pub(crate) fn age(&self) -> u64 {
        self.seen - self.born
    }

    /// Could a tracker at this frame hold it? False only for what a broken checkpoint holds.
    pub(crate) fn is_sound(&self, frame: u64) -> bool {
        self.filter.is_sound()
            && self.born <= self.seen
            && self.seen <= frame
            && self.id.is_none() == (self.state == State::Tentative)
    }
}
