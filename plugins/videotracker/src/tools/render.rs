//! A scene as JSON and as a picture.

use super::Search;
use super::engine::Metas;
use super::scene::{Scene, feet};
use crate::picture::{Canvas, Frame};
use crate::pitch::{self, Dot};
use crate::track::{Detection, Track};
use serde_json::{Map, Value, json};

/// How a scene is told.
pub(super) struct Telling<'a> {
    pub(super) search: Search,
    pub(super) metas: &'a Metas,
    /// Least confidence of a detection that is told.
    pub(super) least: f32,
}

/// JSON has no NaN; three decimals are a hundredth of what a detector is right to.
fn number(value: impl Into<f64>) -> Value {
    let value = value.into();
    match value.is_finite() {
        true => json!((value * 1000.0).round() / 1000.0),
        false => Value::Null,
    }
}

fn numbers<const N: usize>(values: [f32; N]) -> Value {
    Value::Array(values.map(number).into())
}

impl Telling<'_> {
    fn class(&self, id: u32) -> &str {
        let classes = self.metas.detector.as_ref().map(|m| &m.classes);
        classes
            .and_then(|c| c.get(id as usize))
            .map_or("unknown", String::as_str)
    }

    fn detection(&self, one: &Detection) -> Value {
        json!({
            "xyxy": numbers(one.xyxy),
            "confidence": number(one.confidence),
            "class_id": one.class_id,
            "class_name": self.class(one.class_id),
        })
    }

    fn track(&self, one: &Track) -> Value {
        let [left, top, right, bottom] = one.xyxy;
        json!({
            "track_id": one.track_id,
            "class_id": one.class_id,
            "class": self.class(one.class_id),
            "xyxy": numbers(one.xyxy),
            "center": numbers([(left + right) / 2.0, (top + bottom) / 2.0]),
            "confidence": number(one.confidence),
        })
    }

    fn told(&self, scene: &Scene) -> Vec<Detection> {
        let sure = scene
            .detections
            .iter()
            .filter(|d| d.confidence >= self.least);
        sure.copied().collect()
    }

    /// The members that tell what was found.
    pub(super) fn scene(&self, scene: &Scene) -> Map<String, Value> {
        let mut told = Map::new();
        let mut put = |key: &str, value: Value| told.insert(key.to_owned(), value);
        match self.search {
            Search::Players | Search::Ball => {
                let sure = self.told(scene);
                put("count", json!(sure.len()));
                let each = sure.iter().map(|d| self.detection(d)).collect();
                put("detections", Value::Array(each));
            }
            Search::Tracks => {
                let each = scene.tracks.iter().map(|t| self.track(t)).collect();
                put("tracked_objects", Value::Array(each));
            }
            Search::Pitch => {
                self.pitch(scene, &mut put);
            }
            Search::Radar => {
                self.pitch(scene, &mut put);
                let each = self.people(scene).iter().map(|p| self.person(p)).collect();
                put("radar_points", Value::Array(each));
            }
        }
        told
    }

    fn pitch(&self, scene: &Scene, put: &mut dyn FnMut(&str, Value) -> Option<Value>) {
        let Some(meta) = &self.metas.pitch else {
            return;
        };
        let point = |p: &pitch::Keypoint| {
            let known = meta.keypoints[p.index];
            json!({
                "index": p.index,
                "xy": numbers(p.xy),
                "confidence": number(p.confidence),
                "pitch_xy": known.map(number),
            })
        };
        let each = scene.keypoints.iter().map(point).collect();
        put("keypoints", Value::Array(each));
        let matrix = scene
            .homography
            .map(|h| json!({"matrix": h.rows(), "inliers": h.inliers, "error_m": number(h.error)}));
        put("homography", matrix.unwrap_or_default());
        let [length, width] = pitch::size(meta);
        put(
            "pitch",
            json!({"length_m": number(length), "width_m": number(width)}),
        );
    }

    /// Everybody whose place on the pitch is known: those on it, and a little around it.
    fn people<'s>(&self, scene: &'s Scene) -> Vec<Person<'s>> {
        let (Some(map), Some(meta)) = (scene.homography, &self.metas.pitch) else {
            return Vec::new();
        };
        let size = pitch::size(meta);
        let near = |xy: &[f64; 2]| (0..2).all(|i| (-5.0..=size[i] + 5.0).contains(&xy[i]));
        let place = |xyxy: [f32; 4]| map.apply(feet(xyxy)).filter(near);
        if scene.tracks.is_empty() {
            let sure = scene
                .detections
                .iter()
                .filter(|d| d.confidence >= self.least);
            let each = sure.filter_map(|d| {
                Some(Person {
                    xy: place(d.xyxy)?,
                    class_id: d.class_id,
                    track: None,
                })
            });
            return each.collect();
        }
        let each = scene.tracks.iter().filter_map(|t| {
            Some(Person {
                xy: place(t.xyxy)?,
                class_id: t.class_id,
                track: Some(t),
            })
        });
        each.collect()
    }

    fn person(&self, one: &Person<'_>) -> Value {
        json!({
            "xy": one.xy.map(number),
            "class_id": one.class_id,
            "class": self.class(one.class_id),
            "track_id": one.track.map(|t| t.track_id),
        })
    }

    /// Length and width of the pitch; a football pitch's where no model says it.
    fn ground(&self) -> [f64; 2] {
        let meta = self.metas.pitch.as_ref();
        meta.map_or([105.0, 68.0], pitch::size)
    }

    /// The bird's-eye view.
    pub(super) fn radar(&self, scene: &Scene) -> Frame {
        let dots: Vec<Dot> = self
            .people(scene)
            .iter()
            .map(|p| Dot {
                xy: p.xy,
                label: p.track.map(|t| t.track_id.to_string()).unwrap_or_default(),
                colour: p.track.map_or(u64::from(p.class_id), |t| t.track_id),
            })
            .collect();
        pitch::draw(self.ground(), &dots)
    }

    /// Draws what was found into the frame.
    pub(super) fn annotate(&self, scene: &Scene, frame: &mut Frame) {
        let mut canvas = Canvas(frame);
        match self.search {
            Search::Players | Search::Ball => {
                for one in self.told(scene) {
                    let label = format!("{} {:.2}", self.class(one.class_id), one.confidence);
                    canvas.labelled(one.xyxy, &label, u64::from(one.class_id));
                }
            }
            Search::Tracks | Search::Radar => {
                for one in &scene.tracks {
                    let label = format!("#{} {}", one.track_id, self.class(one.class_id));
                    canvas.labelled(one.xyxy, &label, one.track_id);
                }
            }
            Search::Pitch => {}
        }
        self.outline(scene, &mut canvas);
        for point in &scene.keypoints {
            canvas.dot(point.xy, 7, point.index as u64);
        }
    }

    /// The pitch's outline, where its place is known.
    fn outline(&self, scene: &Scene, canvas: &mut Canvas<'_>) {
        let (Some(map), Some(meta)) = (scene.homography, &self.metas.pitch) else {
            return;
        };
        let [length, width] = pitch::size(meta);
        // In short pieces, since a corner may lie behind the camera.
        let side = |from: [f64; 2], to: [f64; 2]| {
            (0..=20).map(move |n| {
                let t = f64::from(n) / 20.0;
                [
                    from[0] + (to[0] - from[0]) * t,
                    from[1] + (to[1] - from[1]) * t,
                ]
            })
        };
        let corners = [
            [0.0, 0.0],
            [length, 0.0],
            [length, width],
            [0.0, width],
            [0.0, 0.0],
        ];
        for pair in corners.windows(2) {
            let points: Vec<_> = side(pair[0], pair[1]).map(|p| map.undo(p)).collect();
            for ends in points.windows(2) {
                if let [Some(from), Some(to)] = ends {
                    canvas.line(from.map(|n| n as f32), to.map(|n| n as f32));
                }
            }
        }
    }
}

/// Somebody whose place on the pitch is known.
struct Person<'s> {
    xy: [f64; 2],
    class_id: u32,
    track: Option<&'s Track>,
}
