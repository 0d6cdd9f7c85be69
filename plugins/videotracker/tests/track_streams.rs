//! Many streams, and what is left of them after a restart.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod common;

use common::random::Random;
use common::{clutter, ids, seen, walkers};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use videotracker::track::{CheckpointError, Config, Streams, Track, Tracker};

/// Feed some frames of three streams, in turns that are not even.
fn feed(
    streams: &mut Streams,
    random: &mut Random,
    frames: std::ops::Range<usize>,
) -> Vec<(usize, Vec<Track>)> {
    let mut found = Vec::new();
    for frame in frames {
        for (index, name) in ["left", "right", "über/üben"].into_iter().enumerate() {
            if frame % (index + 1) == 0 {
                let mut given = walkers(random, 25, frame);
                given.extend(clutter(random, 6));
                found.push((index, streams.update(name, &given)));
            }
        }
    }
    found
}

#[test]
fn two_streams_never_share_a_number() {
    let (mut streams, mut random) = (Streams::new(Config::default(), 8), Random::new(1));
    let mut owner = BTreeMap::new();
    for (stream, tracks) in feed(&mut streams, &mut random, 0..300) {
        for id in ids(&tracks) {
            assert_eq!(*owner.entry(id).or_insert(stream), stream, "track {id}");
        }
    }
    assert!(owner.len() > 50);
}

#[test]
fn numbers_are_not_given_again_after_a_reset_nor_by_a_stream_that_came_back() {
    let mut streams = Streams::new(Config::default(), 2);
    let mut given = Vec::new();
    for name in ["a", "b", "c", "a", "b"] {
        given.extend(ids(&streams.update(name, &[seen(0.0, 0.0)])));
    }
    assert!(streams.reset("b") && !streams.reset("nobody"));
    given.extend(ids(&streams.update("b", &[seen(0.0, 0.0)])));
    assert!(streams.remove("b") && !streams.remove("b"));
    given.extend(ids(&streams.update("b", &[seen(0.0, 0.0)])));
    assert_eq!(given, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn the_stream_that_was_not_used_for_longest_gives_way() {
    let mut streams = Streams::new(Config::default(), 2);
    for name in ["a", "b", "a", "c"] {
        streams.update(name, &[]);
    }
    assert!(streams.get("a").is_some() && streams.get("b").is_none() && streams.get("c").is_some());
    (0..10_000).for_each(|number| drop(streams.update(&format!("s{number}"), &[seen(0.0, 0.0)])));
    assert_eq!(streams.len(), 2);
    assert!(
        Streams::new(Config::default(), 0)
            .update("one is the least", &[])
            .is_empty()
    );
}

#[test]
fn after_a_restart_it_continues_bit_by_bit() {
    for cut in [0, 1, 2, 37, 150] {
        let (mut before, mut random) = (Streams::new(Config::default(), 8), Random::new(7));
        feed(&mut before, &mut random, 0..cut);
        let bytes = before.checkpoint().unwrap();
        let mut after = Streams::new(Config::default(), 8);
        after.restore(&bytes).unwrap();
        assert_eq!(after, before, "cut at {cut}");
        let mut again = random.clone();
        assert_eq!(
            feed(&mut after, &mut again, cut..cut + 100),
            feed(&mut before, &mut random, cut..cut + 100)
        );
        assert_eq!(after.checkpoint().unwrap(), before.checkpoint().unwrap());
    }
}

#[test]
fn one_tracker_survives_any_text_format_bit_by_bit() {
    let (mut before, mut random) = (
        Tracker::new(Config {
            low_threshold: 0.17,
            ..Config::default()
        }),
        Random::new(8),
    );
    (0..80).for_each(|frame| drop(before.update(&walkers(&mut random, 25, frame))));
    let mut after: Tracker =
        serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
    assert_eq!(after, before);
    for frame in 80..160 {
        let given = walkers(&mut random, 25, frame);
        assert_eq!(after.update(&given), before.update(&given));
    }
}

#[test]
fn a_checkpoint_obeys_the_new_limits() {
    let (mut before, mut random) = (Streams::new(Config::default(), 8), Random::new(7));
    feed(&mut before, &mut random, 0..40);
    let config = Config {
        max_tracks: 5,
        ..Config::default()
    };
    let mut after = Streams::new(config, 2);
    after.restore(&before.checkpoint().unwrap()).unwrap();
    assert_eq!(after.len(), 2);
    assert!(["left", "right"].iter().all(|name| {
        after
            .get(name)
            .is_none_or(|tracker| tracker.remembered() <= 5)
    }));
}

/// Is an object known again that walks behind something for 0.8 seconds of a stream of 60 frames a second?
fn found_again(told: Option<f32>, restart: bool) -> bool {
    let mut streams = Streams::new(Config::default(), 8);
    let walker = |frame: usize| [seen(0.5 * frame as f32, 0.0)];
    let mut first = Vec::new();
    for frame in 0..30 {
        first = ids(&streams.update_at("camera", told, &walker(frame)));
    }
    assert_eq!(first.len(), 1);
    if restart {
        let bytes = streams.checkpoint().unwrap();
        streams = Streams::new(Config::default(), 8);
        streams.restore(&bytes).unwrap();
    }
    // The rate was told; nobody has to tell it again.
    (30..78).for_each(|_| drop(streams.update("camera", &[])));
    let again: Vec<u64> = (78..80)
        .flat_map(|frame| ids(&streams.update("camera", &walker(frame))))
        .collect();
    again.first() == first.first()
}

#[test]
fn the_lost_buffer_is_a_time_not_a_number_of_frames() {
    assert!(found_again(Some(60.0), false));
    assert!(found_again(Some(60.0), true), "a restart keeps the rate");
    assert!(!found_again(None, false), "48 frames are 1.6 seconds of 30");
    assert!(!found_again(Some(15.0), false));
    for odd in [0.0, -5.0, f32::NAN, f32::INFINITY, 90_000.0] {
        assert!(!found_again(Some(odd), false), "{odd} is no frame rate");
    }
}

#[test]
fn streams_of_different_rates_do_not_disturb_one_another() {
    let mut streams = Streams::new(Config::default(), 8);
    let one = [seen(0.0, 0.0)];
    let fast = ids(&streams.update_at("fast", Some(60.0), &one));
    let slow = ids(&streams.update_at("slow", Some(15.0), &one));
    for _ in 0..40 {
        streams.update_at("fast", Some(60.0), &[]);
        streams.update_at("slow", Some(15.0), &[]);
    }
    assert_eq!(ids(&streams.update_at("fast", Some(60.0), &one)), fast);
    assert_ne!(ids(&streams.update_at("slow", Some(15.0), &one)), slow);
    streams.configure(Config {
        lost_buffer: 60,
        ..Config::default()
    });
    (0..100).for_each(|_| drop(streams.update("fast", &[])));
    assert_eq!(ids(&streams.update("fast", &one)), fast, "120 frames now");
}

#[test]
fn a_checkpoint_without_votes_and_rates_is_read() {
    let mut old = sample();
    for stream in ["a", "b"] {
        let entry = old.pointer_mut(&format!("/state/streams/{stream}"));
        let entry = entry.unwrap().as_object_mut().unwrap();
        assert!(entry.remove("rate").is_some());
        let tracker = entry["tracker"].as_object_mut().unwrap();
        tracker["config"].as_object_mut().unwrap().remove("alike");
        for target in tracker["targets"].as_array_mut().unwrap() {
            assert!(target.as_object_mut().unwrap().remove("votes").is_some());
        }
    }
    let mut streams = Streams::new(Config::default(), 8);
    streams.restore(&serde_json::to_vec(&old).unwrap()).unwrap();
    let tracks = streams.update("a", &[seen(0.0, 0.0)]);
    assert_eq!((ids(&tracks), tracks[0].class_id), (vec![1], 0));
}

fn sample() -> Value {
    let mut streams = Streams::new(Config::default(), 8);
    for name in ["a", "b"] {
        (0..3).for_each(|_| drop(streams.update(name, &[seen(0.0, 0.0), seen(90.0, 0.0)])));
    }
    serde_json::from_slice(&streams.checkpoint().unwrap()).unwrap()
}

fn restore(checkpoint: &Value) -> Result<(), CheckpointError> {
    Streams::new(Config::default(), 8).restore(&serde_json::to_vec(checkpoint).unwrap())
}

#[test]
fn another_version_or_format_is_named() {
    assert_eq!(restore(&sample()), Ok(()));
    let mut newer = sample();
    newer["version"] = json!(2);
    newer["state"] = json!("whatever the future holds");
    let error = restore(&newer).unwrap_err();
    assert_eq!(error, CheckpointError::Version(2));
    assert_eq!(
        error.to_string(),
        "the checkpoint of the tracks has version 2; this build reads 1 to 1"
    );
    let mut foreign = sample();
    foreign["format"] = json!("holiday-photos");
    assert_eq!(
        restore(&foreign),
        Err(CheckpointError::Foreign("holiday-photos".to_owned()))
    );
}

#[test]
fn a_damaged_checkpoint_is_refused_and_changes_nothing() {
    let mut streams = Streams::new(Config::default(), 8);
    streams.update("a", &[seen(0.0, 0.0)]);
    let before = streams.clone();
    let whole = serde_json::to_vec(&sample()).unwrap();
    for length in 0..whole.len() {
        let error = streams.restore(&whole[..length]).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Unreadable(_)),
            "{length}: {error}"
        );
    }
    assert!(streams.restore(b"\xff\x00").is_err());
    assert_eq!(streams, before);
}

#[test]
fn what_no_tracker_can_have_written_is_refused() {
    let nan = f64::NAN.to_bits();
    let target = "/state/streams/a/tracker/targets/0";
    for (place, value) in [
        (format!("{target}/filter/axes/1/0"), json!(nan)),
        (
            format!("{target}/filter/axes/0/2"),
            json!((-1.0_f64).to_bits()),
        ),
        (format!("{target}/seen"), json!(99)),
        (format!("{target}/born"), json!(4)),
        (format!("{target}/id"), json!(null)),
        (format!("{target}/id"), json!(0)),
        (format!("{target}/id"), json!(2)),
        (format!("{target}/id"), json!(1000)),
        ("/state/ids".to_owned(), json!(3)),
        ("/state/streams/b/used".to_owned(), json!(7)),
    ] {
        let mut damaged = sample();
        *damaged.pointer_mut(&place).unwrap() = value.clone();
        let error = restore(&damaged).unwrap_err();
        assert!(
            matches!(error, CheckpointError::Impossible(_)),
            "{place} = {value}: {error}"
        );
    }
    let mut unknown = sample();
    *unknown.pointer_mut(&format!("{target}/state")).unwrap() = json!("Asleep");
    assert!(matches!(
        restore(&unknown),
        Err(CheckpointError::Unreadable(_))
    ));
}

/// Streams of a busy day, whose state is of more than 4 MiB.
fn many() -> Streams {
    let (mut streams, mut random) = (Streams::new(Config::default(), 512), Random::new(5));
    for stream in 0..200 {
        for frame in 0..2 {
            let given = walkers(&mut random, 60, frame);
            streams.update(&format!("stream {stream:03}"), &given);
        }
    }
    assert!(streams.checkpoint().unwrap().len() > 4 << 20);
    streams
}

#[test]
fn a_state_that_is_too_large_shrinks_until_it_is_kept_and_the_latest_streams_stay() {
    let mut streams = many();
    let kept = std::cell::RefCell::new(Vec::new());
    let most = 3 << 20;
    let left = streams.save(|state| {
        let fits = state.len() <= most;
        if fits {
            *kept.borrow_mut() = state.to_vec();
        }
        fits
    });
    assert_eq!(left, Some(streams.len()));
    assert!((1..200).contains(&streams.len()), "{}", streams.len());
    assert!(streams.get("stream 199").is_some() && streams.get("stream 000").is_none());
    let mut next = Streams::new(Config::default(), 512);
    next.restore(&kept.borrow()).unwrap();
    assert_eq!(next, streams, "what is kept is what is there");
}

#[test]
fn what_is_small_is_never_forgotten_for_a_host_that_takes_nothing() {
    let mut streams = many();
    let left = streams.save(|_| false);
    assert!(left.is_some_and(|left| left > 0), "{left:?}");
    assert!(streams.checkpoint().unwrap().len() < 1 << 20);
    let mut few = Streams::new(Config::default(), 8);
    feed(&mut few, &mut Random::new(2), 0..5);
    assert_eq!(few.save(|_| false), None);
    assert_eq!(few.len(), 3);
    assert_eq!(few.save(|_| true), None);
}
