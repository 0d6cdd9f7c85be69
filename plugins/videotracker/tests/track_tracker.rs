//! One tracker: births, losses, two stages, classes.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::{ids, of_class, seen, sure};
use videotracker::track::{Config, Detection, Tracker};

/// Players are class 0, the ball is 1, goalkeepers are 2.
fn people() -> Config {
    Config {
        alike: [0, 2].into_iter().collect(),
        ..Config::default()
    }
}

fn tracker() -> Tracker {
    Tracker::new(Config::default())
}

#[test]
fn an_object_keeps_its_number_and_its_detection() {
    let mut tracker = tracker();
    for frame in 0..50 {
        let left = 10.0 + 3.0 * frame as f32;
        let given = [sure(0.05, seen(500.0, 500.0)), seen(left, 20.0)];
        let tracks = tracker.update(&given);
        assert_eq!(ids(&tracks), [1], "frame {frame}");
        assert_eq!(
            (tracks[0].detection, tracks[0].xyxy, tracks[0].confidence),
            (1, given[1].xyxy, 0.9)
        );
    }
}

#[test]
fn what_comes_later_is_reported_from_its_second_frame_on() {
    let mut tracker = tracker();
    tracker.update(&[seen(0.0, 0.0)]);
    let both = [seen(0.0, 0.0), seen(300.0, 0.0)];
    assert_eq!(ids(&tracker.update(&both)), [1]);
    assert_eq!(ids(&tracker.update(&both)), [1, 2]);
}

#[test]
fn min_frames_makes_an_object_wait() {
    for (min_frames, first) in [(1, 0), (2, 1), (3, 2), (7, 6)] {
        let mut tracker = Tracker::new(Config {
            min_frames,
            ..Config::default()
        });
        let reported: Vec<bool> = (0..10)
            .map(|_| !tracker.update(&[seen(0.0, 0.0)]).is_empty())
            .collect();
        assert_eq!(
            reported.iter().position(|one| *one),
            Some(first),
            "min_frames {min_frames}"
        );
    }
}

#[test]
fn clutter_of_one_frame_is_never_reported() {
    let mut tracker = tracker();
    tracker.update(&[]);
    for frame in 0..20 {
        assert!(
            tracker
                .update(&[seen(100.0 * frame as f32, 0.0)])
                .is_empty()
        );
    }
    assert_eq!(
        tracker.remembered(),
        1,
        "only the newest waits for its second frame"
    );
}

#[test]
fn a_weak_detection_keeps_a_known_object_and_begins_none() {
    let mut tracker = tracker();
    tracker.update(&[seen(0.0, 0.0)]);
    for _ in 0..10 {
        let tracks = tracker.update(&[sure(0.2, seen(0.0, 0.0)), sure(0.2, seen(400.0, 0.0))]);
        assert_eq!(ids(&tracks), [1]);
    }
    assert_eq!(tracker.remembered(), 1);
}

#[test]
fn a_weak_detection_does_not_bring_a_lost_object_back() {
    let mut tracker = tracker();
    tracker.update(&[seen(0.0, 0.0)]);
    tracker.update(&[]);
    assert!(tracker.update(&[sure(0.2, seen(0.0, 0.0))]).is_empty());
    assert_eq!(ids(&tracker.update(&[seen(0.0, 0.0)])), [1]);
}

#[test]
fn between_the_thresholds_nothing_begins() {
    let mut tracker = tracker();
    tracker.update(&[]);
    for _ in 0..3 {
        assert!(tracker.update(&[sure(0.55, seen(0.0, 0.0))]).is_empty());
    }
    tracker.update(&[sure(0.65, seen(0.0, 0.0))]);
    assert_eq!(ids(&tracker.update(&[sure(0.55, seen(0.0, 0.0))])), [1]);
}

#[test]
fn the_lost_buffer_ends_on_the_frame() {
    for (frame_rate, lost_buffer, remembered) in [
        (30.0, 30, 31),
        (60.0, 30, 61),
        (15.0, 30, 16),
        (30.0, 3, 4),
        (25.0, 10, 9),
    ] {
        let config = Config {
            frame_rate,
            lost_buffer,
            ..Config::default()
        };
        assert_eq!(config.frames_remembered(), remembered);
        for (gap, expected) in [(remembered - 1, vec![1]), (remembered, vec![])] {
            let mut tracker = Tracker::new(config);
            tracker.update(&[seen(0.0, 0.0)]);
            (0..=gap).for_each(|_| drop(tracker.update(&[])));
            assert_eq!(
                tracker.remembered(),
                expected.len(),
                "{frame_rate}/s, {lost_buffer}, gap {gap}"
            );
            assert_eq!(
                ids(&tracker.update(&[seen(0.0, 0.0)])),
                expected,
                "{frame_rate}/s, gap {gap}"
            );
        }
    }
}

#[test]
fn an_object_is_found_again_where_its_motion_takes_it() {
    let mut tracker = tracker();
    let at = |frame: usize| seen(5.0 * frame as f32, 100.0);
    (0..30).for_each(|frame| drop(tracker.update(&[at(frame)])));
    (30..45).for_each(|_| drop(tracker.update(&[])));
    assert_eq!(
        ids(&tracker.update(&[at(45)])),
        [1],
        "75 pixels further on, four of its widths"
    );
}

#[test]
fn two_that_cross_keep_their_numbers() {
    let mut tracker = tracker();
    for frame in 0..60 {
        let left = [4.0 * frame as f32, 236.0 - 4.0 * frame as f32];
        // They overlap by more than half in three frames, in which only the front one is seen.
        let hidden = (left[0] - left[1]).abs() < 8.0;
        let mut given = vec![seen(left[0], 0.0)];
        given.extend((!hidden).then(|| seen(left[1], 4.0)));
        let tracks = tracker.update(&given);
        let expected: &[u64] = if hidden { &[1] } else { &[1, 2] };
        assert_eq!(ids(&tracks), expected, "frame {frame}");
    }
}

#[test]
fn a_player_never_becomes_the_ball() {
    let mut tracker = tracker();
    let (player, ball) = (seen(0.0, 0.0), of_class(1, seen(0.0, 0.0)));
    let first = tracker.update(&[player, ball]);
    assert_eq!(ids(&first), [1, 2]);
    tracker.update(&[player]);
    for _ in 0..5 {
        let tracks = tracker.update(&[ball]);
        assert_eq!((ids(&tracks), tracks[0].class_id), (vec![2], 1));
    }
    let last = tracker.update(&[of_class(2, player)]);
    assert!(last.is_empty(), "a third class is a third object: {last:?}");
}

#[test]
fn one_who_is_taken_for_a_goalkeeper_keeps_his_number_and_his_class() {
    let mut tracker = Tracker::new(people());
    for frame in 0..30 {
        let at = seen(2.0 * frame as f32, 0.0);
        let mistaken = matches!(frame, 8..=10 | 20 | 21);
        let given = of_class(if mistaken { 2 } else { 0 }, at);
        let tracks = tracker.update(&[given]);
        assert_eq!(ids(&tracks), [1], "frame {frame}");
        assert_eq!(tracks[0].class_id, 0, "frame {frame}");
    }
    assert_eq!(tracker.remembered(), 1, "nobody was lost, nobody is new");
}

#[test]
fn the_class_is_what_was_seen_most_surely_over_the_life() {
    let mut tracker = Tracker::new(people());
    // At first it is unsure: taken for a player three times, before it turns out to be a goalkeeper.
    let mut classes = Vec::new();
    for frame in 0..12 {
        let given = match frame {
            0..3 => sure(0.65, seen(0.0, 0.0)),
            _ => of_class(2, seen(0.0, 0.0)),
        };
        let tracks = tracker.update(&[given]);
        assert_eq!(ids(&tracks), [1]);
        classes.push(tracks[0].class_id);
    }
    assert_eq!(classes[..5], [0; 5], "1.95 against 1.80");
    assert_eq!(classes[5..], [2; 7]);
}

#[test]
fn a_weak_detection_of_the_other_class_keeps_an_object_too() {
    let mut tracker = Tracker::new(people());
    tracker.update(&[seen(0.0, 0.0)]);
    let weak = of_class(2, sure(0.2, seen(0.0, 0.0)));
    assert_eq!(ids(&tracker.update(&[weak])), [1]);
}

#[test]
fn who_is_not_mistaken_for_a_player_is_not_one() {
    let mut tracker = Tracker::new(people());
    tracker.update(&[seen(0.0, 0.0)]);
    for class_id in [1, 3, 500] {
        let tracks = tracker.update(&[of_class(class_id, seen(0.0, 0.0))]);
        assert!(tracks.is_empty(), "class {class_id}: {tracks:?}");
    }
}

#[test]
fn of_two_in_one_place_the_number_followed_for_longer_stays() {
    for last in [seen(0.0, 0.0), seen(0.3, 0.0)] {
        let mut tracker = tracker();
        (0..5).for_each(|_| drop(tracker.update(&[seen(0.0, 0.0)])));
        // A detector that sees it double, and then no more.
        (0..5).for_each(|_| drop(tracker.update(&[seen(0.0, 0.0), seen(0.3, 0.0)])));
        assert_eq!(tracker.remembered(), 2);
        assert_eq!(ids(&tracker.update(&[last])), [1]);
        assert_eq!(tracker.remembered(), 1);
    }
}

#[test]
fn a_reset_forgets_objects_but_gives_no_number_twice() {
    let mut tracker = tracker();
    assert_eq!(ids(&tracker.update(&[seen(0.0, 0.0)])), [1]);
    tracker.reset();
    assert_eq!((tracker.remembered(), tracker.frames()), (0, 0));
    assert_eq!(
        ids(&tracker.update(&[seen(0.0, 0.0)])),
        [2],
        "reported at once: a first frame again"
    );
}

#[test]
fn the_same_frames_give_the_same_tracks() {
    let run = || {
        let (mut random, mut tracker) = (common::random::Random::new(5), tracker());
        let frame = |frame| tracker.update(&common::walkers(&mut random, 30, frame));
        (0..200).map(frame).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn no_number_is_reported_twice_in_a_frame_nor_after_another_object_had_it() {
    let (mut random, mut tracker) = (common::random::Random::new(9), tracker());
    let mut class_of = std::collections::BTreeMap::new();
    for frame in 0..500 {
        let given: Vec<Detection> = common::walkers(&mut random, 40, frame % 120);
        let tracks = tracker.update(&given);
        let mut found = ids(&tracks);
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), tracks.len(), "frame {frame}");
        assert!(
            tracks
                .windows(2)
                .all(|two| two[0].detection < two[1].detection),
            "ordered, no detection twice"
        );
        for track in &tracks {
            assert_eq!(
                *class_of.entry(track.track_id).or_insert(track.class_id),
                track.class_id
            );
            assert_eq!(
                (track.xyxy, track.confidence),
                (
                    given[track.detection].xyxy,
                    given[track.detection].confidence
                )
            );
        }
    }
}

#[test]
fn a_camera_that_jumps_takes_nobodys_number() {
    let people = |jump: f32| -> Vec<Detection> {
        (0..8)
            .map(|index| seen(100.0 * index as f32 + jump, 40.0 * index as f32 - jump))
            .collect()
    };
    let run = |camera_motion| {
        let mut tracker = Tracker::new(Config {
            camera_motion,
            ..Config::default()
        });
        let jumps = (0..60).map(|frame| if frame % 7 > 3 { 14.0 } else { 0.0 });
        jumps
            .flat_map(|jump| ids(&tracker.update(&people(jump))))
            .max()
    };
    assert_eq!(run(true), Some(8), "eight people, eight numbers");
    assert!(
        run(false) > Some(8),
        "the scene asks for it: without, numbers are lost"
    );
}

#[test]
fn a_lost_object_moves_with_the_camera() {
    let mut tracker = tracker();
    let people = |shift: f32, count: usize| -> Vec<Detection> {
        (0..count)
            .map(|index| seen(100.0 * index as f32 + shift, 0.0))
            .collect()
    };
    (0..5).for_each(|_| drop(tracker.update(&people(0.0, 8))));
    // The eighth is hidden while the camera goes 60 pixels, three widths.
    (1..=10).for_each(|frame| drop(tracker.update(&people(6.0 * frame as f32, 7))));
    assert_eq!(
        ids(&tracker.update(&people(60.0, 8))),
        [1, 2, 3, 4, 5, 6, 7, 8]
    );
}

#[test]
fn people_who_walk_each_their_way_move_no_camera() {
    let run = |camera_motion| {
        let mut random = common::random::Random::new(4);
        let mut tracker = Tracker::new(Config {
            camera_motion,
            ..Config::default()
        });
        (0..50)
            .map(|_| {
                let wobble = |random: &mut common::random::Random| random.between(-3.0, 3.0) as f32;
                let given: Vec<Detection> = (0..4)
                    .map(|index| {
                        seen(
                            100.0 * index as f32 + wobble(&mut random),
                            wobble(&mut random),
                        )
                    })
                    .collect();
                tracker.update(&given)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(true), run(false), "four say nothing about the camera");
}
