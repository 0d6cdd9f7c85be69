//! The sequences on which trackers are compared.

use crate::world::{Frame, Paths, Scene, frames};

/// Twelve people who walk about, seen well.
const PLAIN: Scene = Scene {
    name: "plain",
    frames: 300,
    frame_rate: 30.0,
    objects: 12,
    paths: Paths::Inside,
    ball: false,
    speed: 2.5,
    turns: 0.05,
    growth: 0.0,
    noise: 0.015,
    missed: 0.02,
    clutter: 0.2,
    confidence: 0.85,
    dips: 0.01,
    flicker: 0.0,
    shake: 0.0,
    pan: 0.0,
    pillars: 0.0,
    blackout: 0,
};

/// Two teams and a ball.
const MATCH: Scene = Scene {
    name: "match",
    objects: 22,
    ball: true,
    turns: 0.12,
    pan: 0.4,
    missed: 0.05,
    clutter: 0.5,
    ..PLAIN
};

/// Every scene; its place in the list, from 1 on, is its seed.
pub(crate) const SCENES: [Scene; 34] = [
    PLAIN,
    Scene {
        name: "crossing pair",
        objects: 2,
        paths: Paths::Crossing,
        ..PLAIN
    },
    Scene {
        name: "crossing crowd",
        objects: 16,
        paths: Paths::Crossing,
        ..PLAIN
    },
    Scene {
        name: "crossing, fast",
        objects: 12,
        paths: Paths::Crossing,
        speed: 7.0,
        ..PLAIN
    },
    Scene {
        name: "crossing, slow",
        objects: 16,
        paths: Paths::Crossing,
        speed: 1.0,
        ..PLAIN
    },
    Scene {
        name: "occlusion, short",
        pillars: 40.0,
        ..PLAIN
    },
    Scene {
        name: "occlusion, long",
        pillars: 90.0,
        paths: Paths::Crossing,
        ..PLAIN
    },
    Scene {
        name: "occlusion, beyond the buffer",
        pillars: 200.0,
        paths: Paths::Crossing,
        ..PLAIN
    },
    Scene {
        name: "entries and exits",
        objects: 30,
        paths: Paths::Passing,
        speed: 5.0,
        ..PLAIN
    },
    Scene {
        name: "entries and exits, dense",
        objects: 80,
        paths: Paths::Passing,
        speed: 5.0,
        ..PLAIN
    },
    Scene {
        name: "shake, light",
        shake: 2.0,
        ..PLAIN
    },
    Scene {
        name: "shake, strong",
        shake: 8.0,
        ..PLAIN
    },
    Scene {
        name: "pan",
        pan: 2.0,
        objects: 24,
        ..PLAIN
    },
    Scene {
        name: "pan and shake",
        pan: 1.5,
        shake: 4.0,
        objects: 24,
        ..PLAIN
    },
    Scene {
        name: "noise, low",
        noise: 0.005,
        ..PLAIN
    },
    Scene {
        name: "noise, high",
        noise: 0.06,
        ..PLAIN
    },
    Scene {
        name: "missed, a tenth",
        missed: 0.1,
        ..PLAIN
    },
    Scene {
        name: "missed, a third",
        missed: 0.33,
        ..PLAIN
    },
    Scene {
        name: "clutter, light",
        clutter: 2.0,
        ..PLAIN
    },
    Scene {
        name: "clutter, heavy",
        clutter: 10.0,
        ..PLAIN
    },
    Scene {
        name: "confidence varies",
        dips: 0.06,
        ..PLAIN
    },
    Scene {
        name: "confidence is low",
        confidence: 0.5,
        dips: 0.03,
        ..PLAIN
    },
    Scene {
        name: "10 frames a second",
        frame_rate: 10.0,
        frames: 200,
        ..PLAIN
    },
    Scene {
        name: "15 frames a second",
        frame_rate: 15.0,
        frames: 250,
        ..PLAIN
    },
    Scene {
        name: "60 frames a second",
        frame_rate: 60.0,
        frames: 400,
        ..PLAIN
    },
    Scene {
        name: "stop and go",
        turns: 0.5,
        ..PLAIN
    },
    Scene {
        name: "coming nearer",
        growth: 0.002,
        ..PLAIN
    },
    Scene {
        name: "blackouts",
        blackout: 12,
        ..PLAIN
    },
    Scene {
        name: "crowd of 50",
        objects: 50,
        speed: 1.5,
        ..PLAIN
    },
    MATCH,
    Scene {
        name: "match, hard",
        shake: 2.0,
        noise: 0.03,
        missed: 0.12,
        clutter: 2.0,
        dips: 0.03,
        speed: 3.5,
        ..MATCH
    },
    Scene {
        name: "match, 15 frames a second",
        frame_rate: 15.0,
        frames: 250,
        noise: 0.03,
        dips: 0.02,
        ..MATCH
    },
    Scene {
        name: "classes flicker",
        flicker: 0.03,
        ..PLAIN
    },
    Scene {
        name: "match, classes flicker",
        flicker: 0.03,
        ..MATCH
    },
];

/// All frames of all sequences. Set 0 is the one that the tests use; other sets are the same scenes with other people.
pub(crate) fn sequences(set: u64) -> Vec<Vec<Frame>> {
    SCENES
        .iter()
        .zip(1..)
        .map(|(scene, seed)| frames(scene, 1000 * set + seed))
        .collect()
}
