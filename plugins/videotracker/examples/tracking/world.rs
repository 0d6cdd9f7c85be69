//! Generated scenes: what stands in them (truth) and what a detector would see of it.
//!
//! People of different sizes walk about in front of a camera of 1280 x 720 pixels; those nearer the lower edge cover
//! those behind them. What is covered is seen less surely, and not at all when little of it is left. Only sums,
//! products and quotients of numbers: every machine makes the same scenes.

use crate::random::Random;
use serde::{Deserialize, Serialize};
use videotracker::track::Detection;

const WIDTH: f64 = 1280.0;
const HEIGHT: f64 = 720.0;
/// Less than this part of an object in the picture or uncovered: not seen.
const LEAST_VISIBLE: f64 = 0.25;
/// Classes. Where classes flicker every fourth person is a referee, else everyone but the ball is a player.
const PLAYER: u32 = 0;
const BALL: u32 = 1;
const REFEREE: u32 = 2;

/// What a scene is like. Speeds are in pixels per frame at 30 frames a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) frames: usize,
    pub(crate) frame_rate: f64,
    pub(crate) objects: usize,
    pub(crate) paths: Paths,
    pub(crate) ball: bool,
    pub(crate) speed: f64,
    /// Standard deviation of the change of speed per frame.
    pub(crate) turns: f64,
    /// Growth per frame, as a part of the size.
    pub(crate) growth: f64,
    /// Standard deviation of an edge of a detection, as a part of the side.
    pub(crate) noise: f64,
    /// Probability that a detection is missing.
    pub(crate) missed: f64,
    /// False detections per frame.
    pub(crate) clutter: f64,
    /// Mean confidence of what is in full view.
    pub(crate) confidence: f64,
    /// Probability per frame that an object begins to be seen badly for some frames.
    pub(crate) dips: f64,
    /// Probability per frame that a person begins to be taken for one of the other class for one to four frames.
    pub(crate) flicker: f64,
    /// Standard deviation of the camera's shaking, in pixels.
    pub(crate) shake: f64,
    /// The camera's steady motion, in pixels per frame.
    pub(crate) pan: f64,
    /// How wide the pillars are that everyone walks behind, in pixels; 0 for none.
    pub(crate) pillars: f64,
    /// Every 60 frames nothing at all is seen for this many frames.
    pub(crate) blackout: usize,
}

/// How objects come and go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Paths {
    /// Everywhere in the picture, turning back at its edges.
    Inside,
    /// From left and right towards each other on near lanes, turning back at the edges.
    Crossing,
    /// In at one side and out at the other, at different times.
    Passing,
}

/// One frame: what there is and what was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub(crate) sequence: String,
    pub(crate) frame_rate: f32,
    pub(crate) truth: Vec<Truth>,
    pub(crate) detections: Vec<Detection>,
}

/// An object that is in the picture, covered or not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Truth {
    pub(crate) id: u64,
    pub(crate) class_id: u32,
    pub(crate) xyxy: [f32; 4],
}

struct Object {
    class_id: u32,
    /// Middle of the lower edge.
    at: [f64; 2],
    velocity: [f64; 2],
    width: f64,
    height: f64,
    enters: usize,
    /// Frames of bad sight that are left.
    dip: usize,
    /// Frames of being taken for another that are left.
    mistaken: usize,
}

struct Ghost {
    xyxy: [f64; 4],
    confidence: f64,
    left: usize,
}

/// All frames of a scene.
pub(crate) fn frames(scene: &Scene, seed: u64) -> Vec<Frame> {
    let mut world = World::new(*scene, Random::new(seed));
    (0..scene.frames).map(|frame| world.frame(frame)).collect()
}

struct World {
    scene: Scene,
    random: Random,
    objects: Vec<Object>,
    ghosts: Vec<Ghost>,
    /// Pixels at 30 frames a second that one frame of this scene lasts.
    step: f64,
}

impl World {
    fn new(scene: Scene, random: Random) -> Self {
        let mut world = Self {
            scene,
            random,
            objects: Vec::new(),
            ghosts: Vec::new(),
            step: 30.0 / scene.frame_rate,
        };
        for index in 0..scene.objects {
            let object = world.player(index);
            world.objects.push(object);
        }
        if scene.ball {
            let ball = world.ball();
            world.objects.push(ball);
        }
        world
    }

    fn player(&mut self, index: usize) -> Object {
        let (scene, random) = (self.scene, &mut self.random);
        let height = random.between(60.0, 150.0);
        let width = height * random.between(0.35, 0.5);
        let speed = scene.speed * random.between(0.5, 1.5);
        let rightward = index.is_multiple_of(2);
        let sign = if rightward { 1.0 } else { -1.0 };
        let lane = |random: &mut Random| {
            200.0 + 60.0 * (index / 2 % 8) as f64 + random.between(-12.0, 12.0)
        };
        let (at, velocity, enters) = match scene.paths {
            Paths::Inside => {
                let at = [
                    random.between(60.0, WIDTH - 60.0),
                    random.between(160.0, HEIGHT - 10.0),
                ];
                (
                    at,
                    [
                        random.between(-speed, speed),
                        random.between(-speed, speed) / 2.0,
                    ],
                    0,
                )
            }
            Paths::Crossing => {
                let side = random.between(60.0, 350.0);
                (
                    [if rightward { side } else { WIDTH - side }, lane(random)],
                    [sign * speed, 0.0],
                    0,
                )
            }
            Paths::Passing => {
                let enters = random.below(scene.frames * 3 / 4);
                let outside = if rightward { -width } else { WIDTH + width };
                let speed = speed.max(1.5);
                (
                    [outside, random.between(160.0, HEIGHT - 10.0)],
                    [sign * speed, random.between(-0.4, 0.4)],
                    enters,
                )
            }
        };
        Object {
            class_id: match scene.flicker > 0.0 && index % 4 == 3 {
                true => REFEREE,
                false => PLAYER,
            },
            at,
            velocity,
            width,
            height,
            enters,
            dip: 0,
            mistaken: 0,
        }
    }

    fn ball(&mut self) -> Object {
        let velocity = [1.8 * self.scene.speed, 0.9 * self.scene.speed];
        Object {
            class_id: BALL,
            at: [WIDTH / 2.0, HEIGHT / 2.0],
            velocity,
            width: 22.0,
            height: 22.0,
            enters: 0,
            dip: 0,
            mistaken: 0,
        }
    }

    fn frame(&mut self, frame: usize) -> Frame {
        self.walk(frame);
        let camera = self.camera(frame);
        let boxes: Vec<Option<[f64; 4]>> = self
            .objects
            .iter()
            .map(|object| (object.enters <= frame).then(|| object.edges(camera)))
            .collect();
        let mut shown = Frame {
            sequence: self.scene.name.to_owned(),
            frame_rate: self.scene.frame_rate as f32,
            truth: Vec::new(),
            detections: Vec::new(),
        };
        let dark =
            self.scene.blackout > 0 && frame > 0 && frame % 60 < self.scene.blackout && frame >= 60;
        for (index, edges) in boxes.iter().enumerate() {
            let Some(edges) = *edges else { continue };
            if within(&edges, &[0.0, 0.0, WIDTH, HEIGHT]) < LEAST_VISIBLE {
                continue;
            }
            let class_id = self.objects[index].class_id;
            shown.truth.push(Truth {
                id: index as u64 + 1,
                class_id,
                xyxy: pixels(edges),
            });
            let visible = 1.0 - self.covered(index, &edges, &boxes, camera);
            if let Some(seen) = self.see(index, edges, visible) {
                shown.detections.extend((!dark).then_some(seen));
            }
        }
        self.haunt(&mut shown.detections, dark);
        // A detector gives no order that a tracker could lean on.
        for last in (1..shown.detections.len()).rev() {
            let other = self.random.below(last + 1);
            shown.detections.swap(last, other);
        }
        shown
    }

    fn walk(&mut self, frame: usize) {
        let (scene, step, random) = (self.scene, self.step, &mut self.random);
        for object in self
            .objects
            .iter_mut()
            .filter(|object| object.enters < frame)
        {
            let limit = scene.speed * 2.0;
            for axis in 0..2 {
                let turned = object.velocity[axis] + scene.turns * step * random.normal();
                object.velocity[axis] = turned.clamp(-limit, limit);
                object.at[axis] += object.velocity[axis] * step;
            }
            let grown = 1.0 + scene.growth * step;
            object.width *= grown;
            object.height *= grown;
            if scene.paths != Paths::Passing {
                object.turn_back();
            }
        }
    }

    /// Where the camera's left upper corner is.
    fn camera(&mut self, frame: usize) -> [f64; 2] {
        let panned = self.scene.pan * self.step * frame as f64;
        [
            panned + self.scene.shake * self.random.normal(),
            self.scene.shake * self.random.normal(),
        ]
    }

    /// The part of an object that the nearest one in front of it, or a pillar, covers.
    fn covered(
        &self,
        index: usize,
        edges: &[f64; 4],
        boxes: &[Option<[f64; 4]>],
        camera: [f64; 2],
    ) -> f64 {
        let front = |other: &(usize, &Option<[f64; 4]>)| {
            let nearer = self.objects[other.0].at[1] > self.objects[index].at[1];
            other.0 != index && nearer && self.objects[other.0].class_id != BALL
        };
        let people = boxes
            .iter()
            .enumerate()
            .filter(front)
            .filter_map(|(_, other)| *other);
        let half = self.scene.pillars / 2.0;
        let pillars = [320.0, 640.0, 960.0].map(|middle: f64| {
            [
                middle - half - camera[0],
                -HEIGHT,
                middle + half - camera[0],
                2.0 * HEIGHT,
            ]
        });
        people
            .chain(pillars)
            .map(|other| within(edges, &other))
            .fold(0.0, f64::max)
    }

    /// What the detector makes of an object of which this part is visible.
    fn see(&mut self, index: usize, edges: [f64; 4], visible: f64) -> Option<Detection> {
        let (scene, random) = (self.scene, &mut self.random);
        let object = &mut self.objects[index];
        object.dip = object.dip.saturating_sub(1);
        if random.chance(scene.dips) {
            object.dip = 3 + random.below(8);
        }
        let class_id = object.taken_for(scene.flicker, random);
        let dip = if object.dip > 0 { 0.4 } else { 1.0 };
        let confidence = (scene.confidence + 0.06 * random.normal()) * (0.2 + 0.8 * visible) * dip;
        let unsteady = scene.noise * (1.0 + 2.0 * (1.0 - visible));
        let (width, height) = (edges[2] - edges[0], edges[3] - edges[1]);
        let moved = [width, height, width, height].map(|side| unsteady * side * random.normal());
        let missed = random.chance(scene.missed);
        if missed || visible < LEAST_VISIBLE {
            return None;
        }
        let xyxy = pixels([
            edges[0] + moved[0],
            edges[1] + moved[1],
            edges[2] + moved[2],
            edges[3] + moved[3],
        ]);
        Some(Detection {
            xyxy,
            confidence: hundredths(confidence.clamp(0.02, 0.99)),
            class_id,
        })
    }

    /// False detections: most last one frame, some a few.
    fn haunt(&mut self, detections: &mut Vec<Detection>, dark: bool) {
        let (scene, random) = (self.scene, &mut self.random);
        let count = scene.clutter as usize + usize::from(random.chance(scene.clutter.fract()));
        for _ in 0..count {
            let (left, top) = (
                random.between(0.0, WIDTH - 60.0),
                random.between(0.0, HEIGHT - 130.0),
            );
            let (width, height) = (random.between(20.0, 60.0), random.between(50.0, 130.0));
            let lasting = if random.chance(0.15) {
                2 + random.below(5)
            } else {
                1
            };
            let confidence = random.between(0.12, 0.75);
            self.ghosts.push(Ghost {
                xyxy: [left, top, left + width, top + height],
                confidence,
                left: lasting,
            });
        }
        for ghost in &mut self.ghosts {
            ghost.left -= 1;
            let xyxy = pixels(ghost.xyxy.map(|edge| edge + random.normal()));
            let seen = Detection {
                xyxy,
                confidence: hundredths(ghost.confidence),
                class_id: 0,
            };
            detections.extend((!dark).then_some(seen));
        }
        self.ghosts.retain(|ghost| ghost.left > 0);
    }
}

impl Object {
    fn edges(&self, camera: [f64; 2]) -> [f64; 4] {
        let (x, y) = (self.at[0] - camera[0], self.at[1] - camera[1]);
        [
            x - self.width / 2.0,
            y - self.height,
            x + self.width / 2.0,
            y,
        ]
    }

    /// What the detector takes a person for. No number is drawn where nothing flickers: those scenes stay as they are.
    fn taken_for(&mut self, flicker: f64, random: &mut Random) -> u32 {
        self.mistaken = self.mistaken.saturating_sub(1);
        if flicker > 0.0 && random.chance(flicker) {
            self.mistaken = 1 + random.below(4);
        }
        match (self.class_id, self.mistaken > 0) {
            (PLAYER, true) => REFEREE,
            (REFEREE, true) => PLAYER,
            (own, _) => own,
        }
    }

    fn turn_back(&mut self) {
        for (axis, low, high) in [(0, 30.0, WIDTH - 30.0), (1, 150.0, HEIGHT - 5.0)] {
            let beyond = self.at[axis] < low && self.velocity[axis] < 0.0
                || self.at[axis] > high && self.velocity[axis] > 0.0;
            if beyond {
                self.velocity[axis] = -self.velocity[axis];
            }
        }
    }
}

/// The part of `one` that lies within `other`.
fn within(one: &[f64; 4], other: &[f64; 4]) -> f64 {
    let side = |low: usize| (one[low + 2].min(other[low + 2]) - one[low].max(other[low])).max(0.0);
    side(0) * side(1) / ((one[2] - one[0]) * (one[3] - one[1]))
}

fn hundredths(number: f64) -> f32 {
    ((number * 100.0).round() / 100.0) as f32
}

fn pixels(edges: [f64; 4]) -> [f32; 4] {
    edges.map(hundredths)
}
