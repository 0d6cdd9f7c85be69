//! Many streams, each with its own tracker; no two share a number.

use super::checkpoint::{self, CheckpointError};
use super::tracker::Ids;
use super::{Config, Detection, Track, Tracker};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The trackers of a bounded number of streams; the one that was not used for longest gives way.
///
/// ```
/// use videotracker::track::{Config, Detection, Streams};
/// let mut streams = Streams::new(Config::default(), 16);
/// let seen = [Detection { xyxy: [10.0, 10.0, 30.0, 60.0], confidence: 0.9, class_id: 0 }];
/// let (left, right) = (streams.update("left", &seen), streams.update("right", &seen));
/// assert_ne!(left[0].track_id, right[0].track_id);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Streams {
    config: Config,
    capacity: usize,
    state: State,
}

/// What a checkpoint holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    ids: Ids,
    clock: u64,
    streams: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    used: u64,
    /// Frames a second, where the stream says it.
    #[serde(default)]
    rate: Option<f32>,
    tracker: Tracker,
}

/// A state of this size is not too large for anybody.
const SMALL: usize = 1 << 20;

impl Streams {
    /// No stream yet; at most `capacity` of them (at least one) are kept.
    #[must_use]
    pub fn new(config: Config, capacity: usize) -> Self {
        Self {
            config,
            capacity: capacity.max(1),
            state: State::default(),
        }
    }

    /// Look at the next frame of a stream, which begins with its first frame. See [`Tracker::update`].
    pub fn update(&mut self, stream: &str, detections: &[Detection]) -> Vec<Track> {
        self.update_at(stream, None, detections)
    }

    /// The same, of a stream of so many frames a second: how many frames the lost buffer lasts depends on it. Without,
    /// what the stream said last holds, else [`Config::frame_rate`].
    pub fn update_at(
        &mut self,
        stream: &str,
        frame_rate: Option<f32>,
        detections: &[Detection],
    ) -> Vec<Track> {
        let config = self.config;
        let State {
            ids,
            clock,
            streams,
        } = &mut self.state;
        *clock += 1;
        if !streams.contains_key(stream) {
            make_room(streams, self.capacity - 1);
            streams.insert(
                stream.to_owned(),
                Entry {
                    used: *clock,
                    rate: None,
                    tracker: Tracker::new(config),
                },
            );
        }
        let Some(entry) = streams.get_mut(stream) else {
            return Vec::new();
        };
        entry.used = *clock;
        if frame_rate.is_some_and(usual) && entry.rate != frame_rate {
            entry.rate = frame_rate;
            entry.configure(config);
        }
        entry.tracker.step(detections, ids)
    }

    /// Work with another configuration from the next frame on.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
        let entries = self.state.streams.values_mut();
        entries.for_each(|entry| entry.configure(config));
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config
    }

    /// Forget the objects of a stream. Was there such a stream?
    pub fn reset(&mut self, stream: &str) -> bool {
        self.state
            .streams
            .get_mut(stream)
            .map(|entry| entry.tracker.reset())
            .is_some()
    }

    /// Forget a stream. Was there one?
    pub fn remove(&mut self, stream: &str) -> bool {
        self.state.streams.remove(stream).is_some()
    }

    /// Forget every stream whose name is not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.state.streams.retain(|name, _| wanted(name));
    }

    /// Forget the streams that were not used for longest until at most `most` are left.
    pub fn shrink(&mut self, most: usize) {
        make_room(&mut self.state.streams, most);
    }

    /// The tracker of a stream.
    #[must_use]
    pub fn get(&self, stream: &str) -> Option<&Tracker> {
        self.state.streams.get(stream).map(|entry| &entry.tracker)
    }

    /// How many streams are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.streams.len()
    }

    /// Is no stream kept?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state.streams.is_empty()
    }

    /// The whole state as bytes (JSON, [`VERSION`](super::VERSION) of [`FORMAT`](super::FORMAT)): what reads it back
    /// continues bit by bit, with the same numbers.
    ///
    /// # Errors
    /// [`CheckpointError::Unwritable`]; nothing that a tracker holds leads to it.
    pub fn checkpoint(&self) -> Result<Vec<u8>, CheckpointError> {
        checkpoint::write(&self.state)
    }

    /// Give the whole state to `keep`, which says whether it took it. Where it did not because it is too large, the
    /// streams that were not used for longest are forgotten until it is not: a state that is missing would let numbers
    /// be given twice. How many streams are left, where some had to go.
    pub fn save(&mut self, keep: impl Fn(&[u8]) -> bool) -> Option<usize> {
        let mut left = None;
        while let Ok(state) = self.checkpoint() {
            // What is small was refused for another reason, and forgetting would not help.
            if keep(&state) || state.len() < SMALL || self.is_empty() {
                break;
            }
            self.shrink(self.len() / 2);
            left = Some(self.len());
        }
        left
    }

    /// Continue where a checkpoint was taken, with this configuration and capacity. On an error nothing is changed.
    ///
    /// # Errors
    /// Bytes that are no checkpoint, one of a newer version, or one that no tracker can have written.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let mut state: State = checkpoint::read(bytes)?;
        state.check()?;
        make_room(&mut state.streams, self.capacity);
        state
            .streams
            .values_mut()
            .for_each(|entry| entry.configure(self.config));
        self.state = state;
        Ok(())
    }
}

/// Is it a rate that a camera has? Files say odd things.
fn usual(rate: f32) -> bool {
    (0.1..=1000.0).contains(&rate)
}

impl Entry {
    /// With that configuration, but the stream's own frame rate.
    fn configure(&mut self, config: Config) {
        self.tracker.configure(Config {
            frame_rate: self.rate.unwrap_or(config.frame_rate),
            ..config
        });
    }
}

impl State {
    /// Numbers distinct and already given, times in the past, no NaN.
    fn check(&self) -> Result<(), CheckpointError> {
        let mut ids = Vec::new();
        for (name, Entry { used, tracker, .. }) in &self.streams {
            let sound = *used <= self.clock && tracker.is_sound();
            if !sound {
                return Err(CheckpointError::Impossible(format!(
                    "the state of stream {name:?}"
                )));
            }
            ids.extend(tracker.ids_in_use());
        }
        ids.sort_unstable();
        let distinct = ids.windows(2).all(|pair| pair[0] != pair[1]);
        let given = ids.last().is_none_or(|last| *last <= self.ids.0) && ids.first() != Some(&0);
        if distinct && given {
            Ok(())
        } else {
            Err(CheckpointError::Impossible(
                "the numbers of its tracks".to_owned(),
            ))
        }
    }
}

/// Forget the streams that were not used for longest until at most `most` are left.
fn make_room(streams: &mut BTreeMap<String, Entry>, most: usize) {
    while streams.len() > most {
        let Some(oldest) = streams
            .iter()
            .min_by_key(|(_, entry)| entry.used)
            .map(|(name, _)| name.clone())
        else {
            return;
        };
        streams.remove(&oldest);
    }
}
