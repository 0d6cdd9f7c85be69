//! The tracker of one stream.

use super::camera::Camera;
use super::round::associate;
use super::screen::{Dropped, Seen, screen};
use super::target::{State, Target};
use super::{Config, Detection, Track};
use serde::{Deserialize, Serialize};

/// Gives every object its own number, from 1 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ids(pub(crate) u64);

impl Ids {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Follows the objects of one stream.
///
/// Serialising it keeps its whole state: what is read back continues bit by bit.
///
/// ```
/// use videotracker::track::{Config, Detection, Tracker};
/// let mut tracker = Tracker::new(Config::default());
/// let seen = |left: f32| [Detection { xyxy: [left, 10.0, left + 20.0, 60.0], confidence: 0.9, class_id: 0 }];
/// let first = tracker.update(&seen(10.0));
/// let second = tracker.update(&seen(12.0));
/// assert_eq!(first[0].track_id, second[0].track_id);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    config: Config,
    frame: u64,
    targets: Vec<Target>,
    /// A checkpoint of an older build does not say.
    #[serde(default)]
    camera: Camera,
    ids: Ids,
    dropped: Dropped,
}

impl Tracker {
    /// A tracker that has seen nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            frame: 0,
            targets: Vec::new(),
            camera: Camera::default(),
            ids: Ids::default(),
            dropped: Dropped::default(),
        }
    }

    /// Look at the next frame: which of its detections are known objects? Ordered by the detections' indices.
    pub fn update(&mut self, detections: &[Detection]) -> Vec<Track> {
        let mut ids = self.ids;
        let tracks = self.step(detections, &mut ids);
        self.ids = ids;
        tracks
    }

    /// Forget every object; the next frame is a first one. Numbers go on, so none is given twice.
    pub fn reset(&mut self) {
        self.frame = 0;
        self.targets.clear();
        self.camera = Camera::default();
    }

    /// How many of its objects are among the detections, and how many could be: the smaller number of the confident
    /// detections and of the objects of the last frame. Nothing is changed.
    #[must_use]
    pub fn recognises(&self, detections: &[Detection]) -> (usize, usize) {
        let mut targets = self.targets.clone();
        let seen = screen(detections, &self.config, &mut Dropped::default());
        let mut camera = self.camera;
        let partners = associate(&mut targets, &seen, &self.config, &mut camera);
        let found = partners.iter().flatten().count();
        let strong = |seen: &&Seen| seen.confidence >= self.config.track_threshold;
        let last = self.targets.iter().filter(|t| t.state != State::Lost);
        (found, seen.iter().filter(strong).count().min(last.count()))
    }

    /// How many frames were seen since the beginning or the last reset.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frame
    }

    /// How many objects are remembered, lost and not yet reported ones included.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.targets.len()
    }

    /// What was left out, and why.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Work with another configuration from the next frame on.
    pub(crate) fn configure(&mut self, config: Config) {
        self.config = config;
        self.targets.truncate(config.max_tracks);
    }

    /// The numbers of the objects that it remembers.
    pub(crate) fn ids_in_use(&self) -> impl Iterator<Item = u64> {
        self.targets.iter().filter_map(|target| target.id)
    }

    /// Could this be? False only for what a broken checkpoint holds.
    pub(crate) fn is_sound(&self) -> bool {
        let mut targets = self.targets.iter();
        self.camera.is_sound() && targets.all(|target| target.is_sound(self.frame))
    }

    /// [`Tracker::update`] with the numbers of someone who has many trackers.
    pub(crate) fn step(&mut self, detections: &[Detection], ids: &mut Ids) -> Vec<Track> {
        self.frame += 1;
        let seen = screen(detections, &self.config, &mut self.dropped);
        let partners = associate(&mut self.targets, &seen, &self.config, &mut self.camera);
        self.settle(&partners, &seen, ids);
        self.begin(&seen, &partners, ids);
        self.merge_duplicates();
        self.report(detections)
    }

    /// Correct what was seen, and decide about what was not.
    fn settle(&mut self, partners: &[Option<usize>], seen: &[Seen], ids: &mut Ids) {
        let (frame, remembered) = (self.frame, self.config.frames_remembered());
        let needed = self.config.min_frames.max(2);
        let mut partners = partners.iter();
        self.targets
            .retain_mut(|target| match partners.next().copied().flatten() {
                Some(index) => {
                    target.correct(&seen[index], frame);
                    if target.state == State::Tentative && target.hits >= needed {
                        target.confirm(ids.next());
                    }
                    true
                }
                None if target.state == State::Tentative => false,
                None => {
                    target.state = State::Lost;
                    frame - target.seen <= remembered
                }
            });
    }

    /// Begin tracks with the confident detections that belong to nobody.
    fn begin(&mut self, seen: &[Seen], partners: &[Option<usize>], ids: &mut Ids) {
        let threshold = self.config.birth_threshold();
        let mut taken = vec![false; seen.len()];
        partners
            .iter()
            .flatten()
            .for_each(|index| taken[*index] = true);
        for (seen, taken) in seen.iter().zip(taken) {
            if taken || seen.confidence < threshold || !self.make_room() {
                continue;
            }
            let mut target = Target::new(seen, self.frame);
            if self.frame == 1 && self.config.min_frames <= 1 {
                target.confirm(ids.next());
            }
            self.targets.push(target);
        }
    }

    /// Is there room for one more? A lost object gives way, the one that was not seen for longest.
    fn make_room(&mut self) -> bool {
        if self.targets.len() < self.config.max_tracks {
            return true;
        }
        self.dropped.tracks_over_limit += 1;
        let lost = self
            .targets
            .iter()
            .enumerate()
            .filter(|(_, target)| target.state == State::Lost);
        let Some((oldest, _)) = lost.min_by_key(|(_, target)| target.seen) else {
            return false;
        };
        self.targets.remove(oldest);
        true
    }

    /// Where a tracked and a lost object are in the same place they are one: it keeps the number of the one that was
    /// followed for longer, and the motion of the one that is seen.
    fn merge_duplicates(&mut self) {
        let (limit, alike) = (self.config.duplicate_iou, self.config.alike);
        let lost: Vec<usize> = self.indices(State::Lost);
        let mut gone = vec![false; self.targets.len()];
        for tracked in self.indices(State::Tracked) {
            let edges = self.targets[tracked].edges();
            for &lost in &lost {
                let (one, other) = (&self.targets[tracked], &self.targets[lost]);
                let same = !gone[lost]
                    && alike.alike(one.class_id, other.class_id)
                    && edges.iou(&other.edges()) > limit.into();
                if same {
                    gone[lost] = true;
                    let other = other.clone();
                    self.targets[tracked].adopt(&other);
                }
            }
        }
        let mut gone = gone.into_iter();
        self.targets.retain(|_| gone.next() != Some(true));
    }

    fn indices(&self, state: State) -> Vec<usize> {
        (0..self.targets.len())
            .filter(|index| self.targets[*index].state == state)
            .collect()
    }

    /// The objects that were seen in this frame, with their detections.
    fn report(&self, detections: &[Detection]) -> Vec<Track> {
        let seen = self
            .targets
            .iter()
            .filter(|target| target.state == State::Tracked);
        let mut tracks: Vec<Track> = seen
            .filter_map(|target| target.report(detections))
            .collect();
        tracks.sort_unstable_by_key(|track| track.detection);
        tracks
    }
}
