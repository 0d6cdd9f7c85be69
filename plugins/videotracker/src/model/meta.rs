//! What a model says of itself, in the archive's extra files.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The most classes, keypoints or pixels a side that are believed.
const MOST: usize = 8192;

/// The layout of a model's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// `[n, 4 + classes, anchors]`: centre x, centre y, width, height in input pixels, then a score a class.
    YoloV8,
    /// `[n, classes + 4, rows, columns]`: a heat map a class, then width, height in input pixels and
    /// the offset in the cell.
    Centre,
    /// `[n, keypoints, rows, columns]`: a heat map a keypoint.
    Keypoints,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Objects.
    Detect,
    /// The points of a pitch.
    Pitch,
}

/// What a model says of itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Meta {
    /// The layout of its answer.
    pub family: Family,
    /// What it is for.
    pub task: Task,
    /// Names of its classes, by number.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Channels, height, width of its input.
    pub input: [usize; 3],
    /// Input pixels a cell of its answer, for heat maps.
    #[serde(default)]
    pub stride: Option<usize>,
    /// Where each keypoint lies on the pitch, in metres.
    #[serde(default)]
    pub keypoints: Vec<[f64; 2]>,
    /// Length and width of the pitch, in metres; else what the keypoints span.
    #[serde(default)]
    pub pitch: Option<[f64; 2]>,
    /// The confidence from which its answer is to be believed: where its own score was taken.
    #[serde(default)]
    pub threshold: Option<f32>,
    /// Boxes of one class that overlap more than this are one object, by its own score.
    #[serde(default)]
    pub iou: Option<f32>,
}

impl Meta {
    /// From `plugward.json`, or from the `config.txt` of a YOLOv8 export.
    pub(super) fn read(extras: &BTreeMap<String, String>) -> Result<Self, String> {
        let meta = if let Some(text) = extras.get("plugward.json") {
            serde_json::from_str(text).map_err(|e| format!("plugward.json: {e}"))?
        } else if let Some(text) = extras.get("config.txt") {
            of_export(text).ok_or("config.txt has no `names` and `imgsz`")?
        } else {
            return Err(
                "it holds neither plugward.json nor config.txt, which name its head and classes"
                    .into(),
            );
        };
        meta.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let [channels, height, width] = self.input;
        let side = |n: usize| (8..=MOST).contains(&n);
        if channels != 3 || !side(height) || !side(width) {
            return Err(format!(
                "its input {:?} is no [3, height, width]",
                self.input
            ));
        }
        let named = match self.family {
            Family::Keypoints => self.keypoints.len(),
            _ => self.classes.len(),
        };
        if named == 0 || named > MOST {
            return Err(format!("it names {named} classes or keypoints"));
        }
        if (self.family == Family::Keypoints) != (self.task == Task::Pitch) {
            return Err("its task does not belong to its family".into());
        }
        if self.stride == Some(0) || (self.family != Family::YoloV8 && self.stride.is_none()) {
            return Err("heat maps need their stride".into());
        }
        let share = |n: f32| (0.0..=1.0).contains(&n);
        for (name, value) in [("threshold", self.threshold), ("iou", self.iou)] {
            if value.is_some_and(|n| !share(n)) {
                return Err(format!("its {name} {value:?} is not between 0 and 1"));
            }
        }
        Ok(self)
    }
}

/// The export of a YOLOv8 model: `{"names": {"0": "person"}, "imgsz": [640, 640], "stride": 32}`.
fn of_export(text: &str) -> Option<Meta> {
    let value: Value = serde_json::from_str(text).ok()?;
    let size = value.get("imgsz")?;
    let side = |at: usize| {
        let one = size.get(at).or(Some(size))?;
        usize::try_from(one.as_u64()?).ok()
    };
    let classes = match value.get("names")? {
        Value::Array(names) => names.iter().map(text_of).collect::<Option<_>>()?,
        Value::Object(names) => {
            let mut numbered: Vec<(usize, String)> = names
                .iter()
                .map(|(number, name)| Some((number.parse().ok()?, text_of(name)?)))
                .collect::<Option<_>>()?;
            numbered.sort_unstable();
            let dense = numbered.iter().enumerate().all(|(at, (n, _))| at == *n);
            dense.then(|| numbered.into_iter().map(|(_, name)| name).collect())?
        }
        _ => return None,
    };
    Some(Meta {
        family: Family::YoloV8,
        task: Task::Detect,
        classes,
        input: [3, side(0)?, side(1)?],
        stride: None,
        keypoints: Vec::new(),
        pitch: None,
        threshold: None,
        iou: None,
    })
}

fn text_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extras(name: &str, text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), text.to_owned())])
    }

    #[test]
    fn a_yolov8_export_is_understood() {
        let text = r#"{"names": {"1": "ball", "0": "player"}, "imgsz": [384, 640], "stride": 32}"#;
        let meta = Meta::read(&extras("config.txt", text)).unwrap();
        assert_eq!(meta.classes, ["player", "ball"]);
        assert_eq!((meta.family, meta.input), (Family::YoloV8, [3, 384, 640]));
        let square = Meta::read(&extras("config.txt", r#"{"names": ["a"], "imgsz": 640}"#));
        assert_eq!(square.unwrap().input, [3, 640, 640]);
    }

    #[test]
    fn a_model_says_how_it_was_scored() {
        let text = r#"{"family": "yolov8", "task": "detect", "classes": ["a"], "input": [3, 64, 64], "threshold": 0.45, "iou": 0.6}"#;
        let meta = Meta::read(&extras("plugward.json", text)).unwrap();
        assert_eq!((meta.threshold, meta.iou), (Some(0.45), Some(0.6)));
        let export = r#"{"names": ["a"], "imgsz": 640}"#;
        let meta = Meta::read(&extras("config.txt", export)).unwrap();
        assert_eq!((meta.threshold, meta.iou), (None, None));
    }

    #[test]
    fn metadata_that_make_no_sense_are_refused() {
        let wrong = [
            r#"{"family": "yolov9", "task": "detect", "classes": ["a"], "input": [3, 64, 64]}"#,
            r#"{"family": "yolov8", "task": "detect", "classes": [], "input": [3, 64, 64]}"#,
            r#"{"family": "yolov8", "task": "detect", "classes": ["a"], "input": [1, 64, 64]}"#,
            r#"{"family": "yolov8", "task": "detect", "classes": ["a"], "input": [3, 64, 1000000]}"#,
            r#"{"family": "centre", "task": "detect", "classes": ["a"], "input": [3, 64, 64]}"#,
            r#"{"family": "yolov8", "task": "detect", "classes": ["a"], "input": [3, 64, 64], "threshold": 1.5}"#,
            r#"{"family": "yolov8", "task": "detect", "classes": ["a"], "input": [3, 64, 64], "iou": -0.1}"#,
            r#"{"family": "keypoints", "task": "detect", "keypoints": [[0, 0]], "input": [3, 64, 64], "stride": 4}"#,
        ];
        for text in wrong {
            assert!(
                Meta::read(&extras("plugward.json", text)).is_err(),
                "{text}"
            );
        }
        assert!(Meta::read(&BTreeMap::new()).is_err());
    }
}
