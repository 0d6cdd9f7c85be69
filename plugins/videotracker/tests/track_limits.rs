//! What a tracker is given when a detector goes wrong, and how much of it a tracker keeps.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::random::Random;
use common::{clutter, ids, seen, sure};
use std::time::{Duration, Instant};
use videotracker::track::{Config, Detection, Dropped, MAX_COORDINATE, Track, Tracker, iou};

fn boxed(xyxy: [f32; 4]) -> Detection {
    Detection {
        xyxy,
        confidence: 0.9,
        class_id: 0,
    }
}

/// Everything that is no box.
fn broken() -> Vec<Detection> {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let mut found: Vec<Detection> = [nan, inf, -inf, 2.0 * MAX_COORDINATE, f32::MAX, f32::MIN]
        .iter()
        .flat_map(|odd| {
            (0..4).map(|edge| {
                let mut xyxy = [0.0, 0.0, 20.0, 50.0];
                xyxy[edge] = *odd;
                boxed(xyxy)
            })
        })
        .collect();
    found.extend(
        [
            [5.0, 5.0, 5.0, 9.0],
            [5.0, 5.0, 9.0, 5.0],
            [9.0, 5.0, 5.0, 9.0],
            [5.0, 9.0, 9.0, 5.0],
        ]
        .map(boxed),
    );
    found.extend([
        boxed([0.0, 0.0, f32::MIN_POSITIVE, 10.0]),
        boxed([nan; 4]),
        boxed([0.0; 4]),
    ]);
    found.extend([nan, inf, -inf].map(|confidence| sure(confidence, seen(0.0, 0.0))));
    found
}

#[test]
fn what_is_no_box_is_left_out_and_counted() {
    let mut tracker = Tracker::new(Config::default());
    let broken = broken();
    for turn in 1..=50_u64 {
        let mut given = broken.clone();
        given.insert(7, seen(turn as f32, 0.0));
        let tracks = tracker.update(&given);
        assert_eq!(
            (ids(&tracks), tracks[0].detection),
            (vec![1], 7),
            "turn {turn}"
        );
        assert_eq!(tracker.dropped().invalid, turn * broken.len() as u64);
    }
    assert_eq!(tracker.remembered(), 1);
}

#[test]
fn no_number_of_the_state_is_ever_poisoned() {
    let (mut random, mut tracker) = (
        Random::new(3),
        Tracker::new(Config {
            frame_rate: f32::NAN,
            ..Config::default()
        }),
    );
    let odd = [
        -1e7,
        -1e6,
        -1.0,
        -0.0,
        0.0,
        1e-3,
        1e-2,
        1.0,
        20.0,
        1e6,
        1e7,
        f32::NAN,
    ];
    for frame in 0..3000 {
        let mut any = || odd[random.below(odd.len())];
        let one = |_| Detection {
            xyxy: [any(), any(), any(), any()],
            confidence: any(),
            class_id: 0,
        };
        let given: Vec<Detection> = (0..20).map(one).collect();
        tracker.update(&given);
        let state = serde_json::to_value(&tracker).unwrap();
        let bits = state["targets"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|target| target["filter"]["axes"].as_array().unwrap());
        for number in bits.flat_map(|axis| axis.as_array().unwrap()) {
            let number = f64::from_bits(number.as_u64().unwrap());
            assert!(number.is_finite(), "frame {frame}: {state}");
        }
    }
}

#[test]
fn confidence_is_brought_into_its_range() {
    let mut tracker = Tracker::new(Config::default());
    let tracks = tracker.update(&[sure(97.0, seen(0.0, 0.0)), sure(-3.0, seen(200.0, 0.0))]);
    assert_eq!((tracks.len(), tracks[0].confidence), (1, 1.0));
    assert_eq!(
        tracker.dropped(),
        Dropped::default(),
        "below the threshold is not wrong"
    );
}

#[test]
fn nothing_in_gives_nothing_out() {
    let mut tracker = Tracker::new(Config::default());
    (0..1000).for_each(|_| assert!(tracker.update(&[]).is_empty()));
    assert_eq!((tracker.remembered(), tracker.frames()), (0, 1000));
}

#[test]
fn of_ten_thousand_detections_the_most_confident_take_part() {
    let (mut random, config) = (Random::new(4), Config::default());
    let mut tracker = Tracker::new(config);
    let begun = Instant::now();
    for _ in 0..5 {
        let given = clutter(&mut random, 10_000);
        let tracks = tracker.update(&given);
        assert!(tracks.len() <= config.max_detections && tracker.remembered() <= config.max_tracks);
        let least = tracks
            .iter()
            .map(|track| track.confidence)
            .fold(1.0, f32::min);
        let better = given.iter().filter(|one| one.confidence > least).count();
        assert!(
            better <= config.max_detections,
            "{better} are more confident than one that took part"
        );
    }
    assert!(tracker.dropped().over_limit > 5 * 8000);
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn ten_thousand_times_the_same_box_is_bounded_too() {
    let mut tracker = Tracker::new(Config::default());
    let begun = Instant::now();
    for _ in 0..3 {
        let tracks = tracker.update(&vec![seen(0.0, 0.0); 10_000]);
        assert_eq!(tracks.len(), Config::default().max_detections);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn memory_is_bounded_over_a_hundred_thousand_frames_of_clutter() {
    let config = Config {
        max_tracks: 40,
        max_detections: 30,
        ..Config::default()
    };
    let (mut random, mut tracker) = (Random::new(6), Tracker::new(config));
    let largest = |tracker: &Tracker| serde_json::to_vec(tracker).unwrap().len();
    let mut early = 0;
    for frame in 0..100_000 {
        let count = random.below(8);
        tracker.update(&clutter(&mut random, count));
        assert!(tracker.remembered() <= config.max_tracks, "frame {frame}");
        if frame == 1000 {
            early = largest(&tracker);
        }
    }
    assert!(
        largest(&tracker) < 40 * 1000 + 2 * early,
        "{} bytes",
        largest(&tracker)
    );
}

#[test]
fn when_it_is_full_the_longest_lost_gives_way_and_what_is_seen_stays() {
    let mut tracker = Tracker::new(Config {
        max_tracks: 2,
        ..Config::default()
    });
    let (a, b, c) = (seen(0.0, 0.0), seen(200.0, 0.0), seen(400.0, 0.0));
    assert_eq!(
        ids(&tracker.update(&[a, b, c])),
        [1, 2],
        "no room for a third"
    );
    assert_eq!(tracker.dropped().tracks_over_limit, 1);
    tracker.update(&[b]);
    tracker.update(&[b, c]);
    assert_eq!(
        ids(&tracker.update(&[b, c])),
        [2, 3],
        "the lost one gave way"
    );
    assert_eq!(tracker.remembered(), 2);
}

#[test]
fn limits_of_zero_and_thresholds_that_are_no_numbers_track_nothing() {
    let nan = f32::NAN;
    for config in [
        Config {
            max_tracks: 0,
            ..Config::default()
        },
        Config {
            max_detections: 0,
            ..Config::default()
        },
        Config {
            track_threshold: nan,
            low_threshold: nan,
            match_threshold: nan,
            ..Config::default()
        },
        Config {
            frame_rate: 0.0,
            lost_buffer: 0,
            track_threshold: 2.0,
            ..Config::default()
        },
    ] {
        let mut tracker = Tracker::new(config);
        let tracks: Vec<Track> = (0..5)
            .flat_map(|_| tracker.update(&[seen(0.0, 0.0)]))
            .collect();
        assert!(tracks.is_empty(), "{config:?}: {tracks:?}");
    }
}

#[test]
fn overlap_of_what_is_no_box_is_none() {
    let square = [0.0, 0.0, 10.0, 10.0];
    assert_eq!(iou(square, square), 1.0);
    assert_eq!(iou(square, [10.0, 0.0, 20.0, 10.0]), 0.0);
    assert!(
        broken()
            .iter()
            .filter(|one| one.confidence.is_finite())
            .all(|one| iou(one.xyxy, square) == 0.0)
    );
}
