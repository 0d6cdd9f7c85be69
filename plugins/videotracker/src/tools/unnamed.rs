//! Frames whose caller names no stream.
//!
//! Nothing that reaches a plugin says who calls. One stream for all of them mixed the objects of every
//! client of a host, and a stream for each frame would follow nobody. So a frame continues the stream
//! whose objects it shows: same size, and at least a third of the objects are where they are expected.
//! A lone client is followed as if it had named a stream; two are told apart by what they see, which is
//! as good as the guess of a tracker can be. To be sure, a caller names its `stream`; the answer says so.

use super::Engine;
use crate::track::{Detection, Streams, Track};
use std::sync::PoisonError;

/// The most streams without a name for each size of frame.
const MOST: usize = 8;
/// Said to whoever names no stream.
pub(super) const WARNING: &str = "no stream was named, so the objects of this frame were followed in the stream that looks like \
     it; pass \"stream\" (one name for each camera or client) to be sure that no other client's frames are taken for yours";

impl Engine {
    /// The objects of a frame without a name, and the stream that it was found to belong to; a fresh one
    /// where `anew`. Found and followed under one lock: another client's first frame may come meanwhile.
    pub(super) fn follow_unnamed(
        &self,
        size: (usize, usize),
        frame_rate: Option<f32>,
        detections: &[Detection],
        anew: bool,
    ) -> (String, Vec<Track>) {
        let mut recent = self.unnamed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut streams = self.streams();
        let names: Vec<String> = (0..MOST)
            .map(|n| format!("unnamed {}x{} {n}", size.0, size.1))
            .collect();
        let age = |name: &String| recent.iter().position(|r| r == name).map_or(0, |at| at + 1);
        let found = match anew {
            true => None,
            false => best(&streams, &names, detections, age),
        };
        let chosen = found.unwrap_or_else(|| {
            let chosen = fresh(&streams, &names, age);
            streams.remove(&chosen);
            chosen
        });
        recent.retain(|name| *name != chosen && streams.get(name).is_some());
        recent.push(chosen.clone());
        let tracks = self.follow_in(&mut streams, &chosen, frame_rate, detections);
        (chosen, tracks)
    }
}

/// A name that is free, else the one that was not used for longest.
fn fresh(streams: &Streams, names: &[String], age: impl Fn(&String) -> usize) -> String {
    let free = names.iter().find(|name| streams.get(name).is_none());
    let chosen = free.or_else(|| names.iter().min_by_key(|name| age(name)));
    chosen.cloned().unwrap_or_default()
}

/// The stream whose objects the frame shows best, the latest of equals.
fn best(
    streams: &Streams,
    names: &[String],
    detections: &[Detection],
    age: impl Fn(&String) -> usize,
) -> Option<String> {
    let known = names.iter().filter_map(|name| {
        let (seen, of) = streams.get(name)?.recognises(detections);
        (seen * 3 >= of).then(|| (seen, age(name), name))
    });
    known.max().map(|(_, _, name)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Config;

    /// Ten objects in a row, moved by `step`.
    fn row(top: f32, step: f32) -> Vec<Detection> {
        let one = |n: u8| {
            let left = f32::from(n) * 60.0 + step;
            Detection {
                xyxy: [left, top, left + 20.0, top + 50.0],
                confidence: 0.9,
                class_id: 0,
            }
        };
        (0..10).map(one).collect()
    }

    #[test]
    fn a_frame_goes_to_the_stream_that_shows_its_objects() {
        let mut streams = Streams::new(Config::default(), 16);
        let names = ["one", "two", "three"].map(String::from);
        streams.update("one", &row(10.0, 0.0));
        let find = |streams: &Streams, seen: &[Detection]| best(streams, &names, seen, |_| 0);
        assert_eq!(find(&streams, &row(10.0, 2.0)).as_deref(), Some("one"));
        let others = row(400.0, 0.0);
        assert_eq!(find(&streams, &others), None, "nothing of it is known");
        assert_eq!(fresh(&streams, &names, |_| 0), "two");
        streams.update("two", &others);
        for step in [2.0, 4.0, 6.0, 8.0] {
            for (name, top) in [("one", 10.0), ("two", 400.0)] {
                let seen = row(top, step);
                assert_eq!(find(&streams, &seen).as_deref(), Some(name), "{step}");
                streams.update(name, &seen);
            }
        }
        // One object that lies by chance where another client's is expected proves nothing.
        let mut chance = row(200.0, 0.0);
        chance[0] = row(10.0, 9.0)[0];
        assert_eq!(find(&streams, &chance), None);
        // What a client sees may grow fewer; a frame without objects continues the latest.
        assert_eq!(
            find(&streams, &row(400.0, 9.0)[..2]).as_deref(),
            Some("two")
        );
        let latest = best(&streams, &names, &[], |name| usize::from(name == "one"));
        assert_eq!(latest.as_deref(), Some("one"));
    }
}
