//! `config` of the manifest: what a user can set.

use crate::fault::{Fault, Result};
use crate::model::Meta;
use crate::track;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where the models run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// On the processor.
    Cpu,
    /// On the CUDA device of this number.
    Cuda(u16),
}

impl Device {
    /// `cpu`, `cuda`, `gpu` or `cuda:1`.
    ///
    /// # Errors
    /// Any other word.
    pub fn parse(word: &str) -> Result<Self> {
        match word.to_ascii_lowercase().as_str() {
            "cpu" => Ok(Self::Cpu),
            "cuda" | "gpu" => Ok(Self::Cuda(0)),
            other => other
                .strip_prefix("cuda:")
                .and_then(|n| n.parse().ok().map(Self::Cuda))
                .ok_or_else(|| {
                    Fault::input(format!("device {word:?} is neither cpu, cuda nor cuda:N"))
                }),
        }
    }

    /// The number that the back end takes: -1 is the CPU.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Cpu => -1,
            Self::Cuda(n) => i32::from(n),
        }
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// `config` of the manifest. Every member has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Half precision, on CUDA only.
    pub half: bool,
    /// Threads of one operation of libtorch; 0 leaves its choice.
    pub threads: u16,
    /// Most frames of a video in one run of a model.
    pub batch: u16,
    /// The torch package, or an unpacked libtorch; relative to the manifest.
    pub libtorch: Option<PathBuf>,
    /// The libtorch that the dependency check looks for; what is opened is compared with the version
    /// that this plugin was built for.
    pub libtorch_version: Option<String>,
    /// The ffmpeg program; relative to the manifest.
    pub ffmpeg: Option<PathBuf>,
    /// Where annotated videos go, if the folder is there; relative to the manifest. Else the scratch folder.
    pub output: Option<PathBuf>,
    /// Most pixels of one frame; 8K has 33 million.
    pub max_pixels: u64,
    /// Least confidence of a detection that is reported; else the model's own threshold.
    pub confidence: Option<f32>,
    /// Boxes of one class that overlap more than this are one object; else as the model says.
    pub iou: Option<f32>,
    /// Most detections of one frame.
    pub max_detections: usize,
    /// Least confidence of a pitch keypoint; else the model's own threshold.
    pub keypoint_confidence: Option<f32>,
    /// Classes that are players.
    pub players: Vec<String>,
    /// Classes that are the ball.
    pub balls: Vec<String>,
    /// Most streams whose tracks are remembered.
    pub streams: usize,
    /// The tracker's thresholds.
    pub tracking: track::Config,
}

impl Default for Settings {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect();
        Self {
            device: "cpu".into(),
            half: false,
            threads: 0,
            batch: 1,
            libtorch: None,
            libtorch_version: None,
            ffmpeg: None,
            output: None,
            max_pixels: 40_000_000,
            confidence: None,
            iou: None,
            max_detections: 300,
            keypoint_confidence: None,
            players: words(&["player", "goalkeeper", "referee", "person"]),
            balls: words(&["ball", "sports ball"]),
            streams: 64,
            tracking: track::Config::default(),
        }
    }
}

/// How an answer is read where neither the manifest nor the model says it: YOLOv8's own defaults for
/// boxes, and what is likelier than not for keypoints.
const CONFIDENCE: f32 = 0.25;
const IOU: f32 = 0.7;
const KEYPOINT_CONFIDENCE: f32 = 0.5;

impl Settings {
    /// From which confidence on a detection of this model is reported.
    #[must_use]
    pub fn confidence(&self, meta: &Meta) -> f32 {
        self.confidence.or(meta.threshold).unwrap_or(CONFIDENCE)
    }

    /// How much two boxes of this model may overlap and still be two objects.
    #[must_use]
    pub fn iou(&self, meta: &Meta) -> f32 {
        self.iou.or(meta.iou).unwrap_or(IOU)
    }

    /// From which confidence on a keypoint of this model is believed.
    #[must_use]
    pub fn keypoint_confidence(&self, meta: &Meta) -> f32 {
        let own = self.keypoint_confidence.or(meta.threshold);
        own.unwrap_or(KEYPOINT_CONFIDENCE)
    }
}

/// The settings, and the folder that their paths are relative to.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// What stands in the manifest.
    pub settings: Settings,
    /// The manifest's folder.
    pub folder: PathBuf,
}

impl Configured {
    /// From the manifest as the host hands it over.
    ///
    /// # Errors
    /// A setting that is unknown or of another type.
    pub fn read(manifest: &Value, folder: &Path) -> Result<Self> {
        let config = manifest.get("config").cloned().unwrap_or_default();
        let config = if config.is_null() {
            Value::Object(serde_json::Map::new())
        } else {
            config
        };
        let settings = serde_json::from_value(config)
            .map_err(|e| Fault::input(format!("config in the manifest: {e}")))?;
        Ok(Self {
            settings,
            folder: folder.to_owned(),
        })
    }

    /// A path as the manifest writes it.
    #[must_use]
    pub fn path(&self, written: &Path) -> PathBuf {
        self.folder.join(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn devices_are_called_by_their_usual_names() {
        assert_eq!(Device::parse("CPU"), Ok(Device::Cpu));
        assert_eq!(Device::parse("gpu"), Ok(Device::Cuda(0)));
        assert_eq!(Device::parse("cuda:3"), Ok(Device::Cuda(3)));
        assert!(Device::parse("cuda:x").is_err() && Device::parse("tpu").is_err());
    }

    #[test]
    fn a_model_is_read_as_it_was_scored_unless_the_manifest_says_otherwise() {
        let settings = |config| {
            let manifest = json!({"config": config});
            Configured::read(&manifest, Path::new("/p"))
                .unwrap()
                .settings
        };
        let read = |settings: &Settings, meta: &Meta| {
            let boxes = (settings.confidence(meta), settings.iou(meta));
            (boxes, settings.keypoint_confidence(meta))
        };
        let mut meta = Meta {
            family: crate::model::Family::YoloV8,
            task: crate::model::Task::Detect,
            classes: vec!["player".into()],
            input: [3, 64, 64],
            stride: None,
            keypoints: Vec::new(),
            pitch: None,
            threshold: None,
            iou: None,
        };
        let silent = settings(json!({}));
        let loud = settings(json!({"confidence": 0.2, "iou": 0.5, "keypoint_confidence": 0.9}));
        assert_eq!(read(&silent, &meta), ((0.25, 0.7), 0.5));
        (meta.threshold, meta.iou) = (Some(0.45), Some(0.6));
        assert_eq!(read(&silent, &meta), ((0.45, 0.6), 0.45));
        assert_eq!(read(&loud, &meta), ((0.2, 0.5), 0.9));
    }

    #[test]
    fn a_misspelt_setting_is_told() {
        let wrong = json!({"config": {"devise": "cpu"}});
        let fault = Configured::read(&wrong, Path::new("/p")).unwrap_err();
        assert!(fault.message.contains("devise"), "{}", fault.message);
        let good = Configured::read(&json!({"config": {"batch": 4}}), Path::new("/p")).unwrap();
        assert_eq!(good.settings.batch, 4);
        assert_eq!(good.path(Path::new("x")), Path::new("/p/x"));
    }
}
