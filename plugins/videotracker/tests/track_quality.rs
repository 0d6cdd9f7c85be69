//! The tracker on the generated sequences against the recorded figures of supervision's ByteTrack.
//!
//! `proof/baseline.json` is written by `make proof`, which runs both trackers; here no Python is needed.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

#[path = "../examples/tracking/mot.rs"]
mod mot;
#[path = "../examples/tracking/random.rs"]
mod random;
#[path = "../examples/tracking/suite.rs"]
mod suite;
#[path = "../examples/tracking/world.rs"]
mod world;

use mot::{Counts, Judge};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use videotracker::track::{Config, Track, Tracker};
use world::{Frame, Truth};

const AGAIN: &str = "run `make proof` and look at proof/RESULTS.md";

#[derive(Deserialize)]
struct Baseline {
    sequences: String,
    settings: Vec<Setting>,
}

#[derive(Deserialize)]
struct Setting {
    name: String,
    config: Config,
    theirs: BTreeMap<String, Counts>,
}

fn baseline() -> Baseline {
    serde_json::from_str(include_str!("../proof/baseline.json")).unwrap()
}

fn judge(config: Config, frames: &[Frame]) -> Counts {
    let mut tracker = Tracker::new(Config {
        frame_rate: frames[0].frame_rate,
        ..config
    });
    let mut judge = Judge::default();
    for frame in frames {
        judge.frame(&frame.truth, &tracker.update(&frame.detections));
    }
    judge.end()
}

#[test]
fn the_sequences_are_those_of_the_baseline() {
    let mut digest = Sha256::new();
    for frame in suite::sequences(0).iter().flatten() {
        digest.update(serde_json::to_string(frame).unwrap());
        digest.update("\n");
    }
    let found: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        found,
        baseline().sequences,
        "the generator changed: {AGAIN}"
    );
}

/// Ours beside theirs on every sequence of a set, with these settings.
fn pairs(setting: &Setting) -> Vec<(String, Counts, Counts)> {
    let mut found = Vec::new();
    for frames in suite::sequences(0) {
        let name = frames[0].sequence.clone();
        let theirs = setting.theirs[&name];
        found.push((name, judge(setting.config, &frames), theirs));
    }
    found
}

/// Three boxes: where a track's filter and its detection overlap by just about one half, the last bit of single
/// precision (theirs) against double (ours) decides whether the detection is reported.
const BOXES: u64 = 3;

#[test]
fn on_no_sequence_it_is_behind_supervision() {
    for setting in baseline().settings {
        let mut behind = Vec::new();
        for (name, ours, theirs) in pairs(&setting) {
            let faults = |c: &Counts| c.missed + c.false_positives + c.switches;
            let boxes = BOXES as f64 / theirs.objects as f64;
            let ahead = ours.switches <= theirs.switches
                && faults(&ours) <= faults(&theirs) + BOXES
                && ours.idf1() >= theirs.idf1() - boxes;
            if !ahead {
                behind.push(format!("{name}: {ours:?}, supervision {theirs:?}"));
            }
        }
        assert!(behind.is_empty(), "{}: {behind:#?}; {AGAIN}", setting.name);
    }
}

#[test]
fn where_classes_flicker_numbers_and_classes_stay() {
    for setting in baseline().settings {
        for (name, ours, theirs) in pairs(&setting) {
            if name.contains("flicker") {
                assert!(
                    ours.mota() > theirs.mota() + 0.05,
                    "{name}: {ours:?} {theirs:?}"
                );
                assert!(
                    ours.idf1() > theirs.idf1() + 0.02,
                    "{name}: {ours:?} {theirs:?}"
                );
                assert!(
                    ours.switches <= theirs.switches,
                    "{name}: {ours:?} {theirs:?}"
                );
            }
        }
    }
}

#[test]
fn in_total_it_is_ahead_of_supervision() {
    for setting in baseline().settings {
        let (mut total, mut peer) = (Counts::default(), Counts::default());
        for (_, ours, theirs) in pairs(&setting) {
            total += ours;
            peer += theirs;
        }
        let figures = |counts: &Counts| (counts.idf1(), counts.mota(), counts.switches);
        let (ours, theirs) = (figures(&total), figures(&peer));
        let ahead = ours.0 > theirs.0 && ours.1 > theirs.1 && ours.2 < theirs.2;
        assert!(
            ahead,
            "{}: IDF1, MOTA, switches {ours:?}, supervision {theirs:?}; {AGAIN}",
            setting.name
        );
        let good = ours.0 > 0.85 && ours.1 > 0.85;
        assert!(
            good,
            "{}: {ours:?}: the baseline itself is bad",
            setting.name
        );
    }
}

#[test]
fn as_published_it_is_as_good_as_supervision_within_a_thousandth() {
    for Setting {
        name,
        config,
        theirs,
    } in baseline().settings
    {
        let (mut total, mut peer) = (Counts::default(), Counts::default());
        for frames in suite::sequences(0) {
            // supervision reports each detection's own class, we what an object is.
            if frames[0].sequence.contains("flicker") {
                continue;
            }
            total += judge(
                Config {
                    camera_motion: false,
                    ..config
                },
                &frames,
            );
            peer += theirs[&frames[0].sequence];
        }
        assert!(
            (total.idf1() - peer.idf1()).abs() < 1e-3,
            "{name}: {total:?} {peer:?}"
        );
        assert!(
            (total.mota() - peer.mota()).abs() < 1e-3,
            "{name}: {total:?} {peer:?}"
        );
        assert!(
            total.switches.abs_diff(peer.switches) <= 5,
            "{name}: {total:?} {peer:?}"
        );
    }
}

fn objects(ids: &[u64]) -> Vec<Truth> {
    ids.iter()
        .map(|id| Truth {
            id: *id,
            class_id: 0,
            xyxy: place(*id),
        })
        .collect()
}

fn place(object: u64) -> [f32; 4] {
    let left = 100.0 * object as f32;
    [left, 0.0, left + 20.0, 50.0]
}

/// A track that lies on an object.
fn on(object: u64, track_id: u64) -> Track {
    Track {
        track_id,
        class_id: 0,
        xyxy: place(object),
        confidence: 0.9,
        detection: 0,
    }
}

#[test]
fn the_judge_counts_what_it_is_known_to_count() {
    let mut judge = Judge::default();
    judge.frame(&objects(&[1, 2]), &[on(1, 10), on(2, 20)]);
    judge.frame(&objects(&[1, 2]), &[on(1, 20), on(2, 10)]); // both change
    judge.frame(&objects(&[1, 2]), &[on(1, 20), on(7, 30)]); // one missed, one false
    judge.frame(
        &objects(&[1]),
        &[Track {
            class_id: 1,
            ..on(1, 20)
        }],
    ); // another class: missed and false
    judge.frame(&objects(&[2]), &[on(2, 10)]);
    let counts = judge.end();
    let expected = Counts {
        objects: 8,
        reported: 8,
        missed: 2,
        false_positives: 2,
        switches: 2,
        // 1 is 20 in frames 2 and 3, 2 is 10 in frames 2 and 5.
        identified: 4,
    };
    assert_eq!(counts, expected);
    assert_eq!((counts.mota(), counts.idf1()), (1.0 - 6.0 / 8.0, 0.5));
}
