//! The plugin's instance: models, streams, ffmpeg; and what it finds in a frame.

use super::models::Models;
use super::scene::Scene;
use super::video::VIDEO_STREAM;
use super::{Call, Search, Tool, told};
use crate::backend::Backend;
use crate::backend::find::{Environment, Process, find, packages};
use crate::detect::{Head, Keep};
use crate::fault::{self, Fault, Result};
use crate::model::{self, Meta, Task};
use crate::picture::Picture;
use crate::pitch;
use crate::settings::{Configured, Device, Settings};
use crate::track::{Detection, Streams, Track};
use crate::video::find_program;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Models that know players, in the order of preference.
const PLAYERS: [&str; 2] = ["player", "detector"];
/// Models that know the ball.
const BALL: [&str; 2] = ["ball", "detector"];
/// Models that know the pitch.
const PITCH: [&str; 1] = ["pitch"];

/// The plugin's instance.
pub struct Engine {
    pub(super) configured: Configured,
    pub(super) device: Device,
    pub(super) players: Players,
    models: Models,
    streams: Mutex<Streams>,
    /// The streams of callers that name none, the latest last.
    pub(super) unnamed: Mutex<Vec<String>>,
    packages: Vec<PathBuf>,
    subprocess: bool,
    /// Most bytes of one answer.
    pub(super) answer_most: usize,
    keep: Keeper,
    kept: Mutex<Kept>,
}

/// Takes a state that is to outlive the process; false where it is too large.
pub type Keeper = Box<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What was kept last.
#[derive(Default)]
struct Kept {
    newest: u64,
    at: Option<Instant>,
}

/// How old a kept state may become while no new object appears.
const AGE: Duration = Duration::from_millis(500);

/// The class names that mean players and the ball.
pub(super) struct Players {
    players: Vec<String>,
    balls: Vec<String>,
}

/// Memory that the frames of one call use again and again.
#[derive(Default)]
pub(super) struct Workspace {
    planes: Vec<f32>,
}

impl Engine {
    /// From the manifest: finds and opens libtorch. The models follow in [`Engine::validate`].
    /// `keep` is given the tracks whenever they are to outlive the process.
    ///
    /// # Errors
    /// Settings that make no sense, a libtorch that cannot be used, a model without its sum.
    pub fn new(manifest: &Value, keep: Keeper) -> Result<Self> {
        let folder = manifest
            .get("dir")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let folder = Path::new(folder);
        if manifest.get("isolation").and_then(Value::as_str) != Some("process") {
            return Err(Fault::input(
                "libtorch may end its process: set \"isolation\": \"process\" in the manifest",
            ));
        }
        let configured = Configured::read(manifest, folder)?;
        let named = model::named(manifest, folder)?;
        let device = Device::parse(&configured.settings.device)?;
        let libtorch = find(&configured, &Process)?;
        let mut packages = packages(&Process);
        packages.extend(libtorch.folder.parent().map(Path::to_path_buf));
        let cuda = matches!(device, Device::Cuda(_));
        if cuda && !libtorch.cuda {
            let message = format!("{} is a CPU build", libtorch.folder.display());
            return Err(Fault::new(fault::CPU_BUILD, message));
        }
        let backend = Backend::open(libtorch, cuda)?;
        let settings = &configured.settings;
        let streams = Streams::new(settings.tracking, settings.streams);
        let granted = manifest.pointer("/permissions/subprocess");
        Ok(Self {
            device,
            players: Players {
                players: settings.players.clone(),
                balls: settings.balls.clone(),
            },
            models: Models::new(backend, named, settings),
            streams: Mutex::new(streams),
            unnamed: Mutex::default(),
            packages,
            subprocess: granted.and_then(Value::as_bool).unwrap_or(false),
            answer_most: told::most(manifest),
            keep,
            kept: Mutex::default(),
            configured,
        })
    }

    /// Opens every model and runs it once.
    ///
    /// # Errors
    /// The first model that cannot be used.
    pub fn validate(&self) -> Result<()> {
        self.models.rehearse(self.device)?;
        self.tell_alike();
        Ok(())
    }

    /// The tracker is told which classes are players: a detector mistakes them for one another.
    fn tell_alike(&self) {
        let Ok(model) = self.models.of(&PLAYERS, Task::Detect, self.device) else {
            return;
        };
        let mut streams = self.streams();
        let mut config = streams.config();
        if config.alike.is_empty() {
            let players = self.players.classes(&model.meta, Who::Player);
            config.alike = players.into_iter().collect();
            streams.configure(config);
        }
    }

    /// Answers a call, with JSON.
    ///
    /// # Errors
    /// What went wrong, by its code.
    pub fn call(&self, tool: &str, call: &Call<'_>) -> Result<String> {
        let tool = Tool::named(tool)?;
        match tool.video {
            true => self.video(tool.search, call),
            false => self.image(tool.search, call),
        }
    }

    /// The ffmpeg program.
    pub(super) fn ffmpeg(&self) -> Result<PathBuf> {
        if !self.subprocess {
            let message = "permissions.subprocess is not granted, so ffmpeg cannot be started";
            return Err(Fault::new(fault::PROGRAM, message));
        }
        let environment: &dyn Environment = &Process;
        find_program(&self.configured, environment, &self.packages)
    }

    /// The objects of a stream's next frame.
    pub(super) fn follow(
        &self,
        stream: &str,
        frame_rate: Option<f32>,
        detections: &[Detection],
    ) -> Vec<Track> {
        self.follow_in(&mut self.streams(), stream, frame_rate, detections)
    }

    /// The same for somebody who holds the streams.
    pub(super) fn follow_in(
        &self,
        streams: &mut Streams,
        stream: &str,
        frame_rate: Option<f32>,
        detections: &[Detection],
    ) -> Vec<Track> {
        let tracks = streams.update_at(stream, frame_rate, detections);
        let newest = tracks.iter().map(|t| t.track_id).max().unwrap_or(0);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A number that a caller has seen must never be given again, whatever becomes of us.
        if newest > kept.newest || kept.at.is_none_or(|at| at.elapsed() > AGE) {
            self.save(streams);
            kept.newest = kept.newest.max(newest);
            kept.at = Some(Instant::now());
        }
        tracks
    }

    /// Gives the tracks to the host.
    fn save(&self, streams: &mut Streams) {
        if let Some(left) = streams.save(&self.keep) {
            eprintln!(
                "the tracks are too large for a checkpoint: all but {left} streams are forgotten"
            );
        }
    }

    /// Continues with the tracks that an earlier process left.
    ///
    /// # Errors
    /// Bytes that no tracker wrote.
    pub fn restore(&self, state: &[u8]) -> Result<()> {
        continue_from(&mut self.streams(), state)
    }

    /// Where a call's models are to run.
    ///
    /// # Errors
    /// A word that is no device; [`fault::DEVICE`] for CUDA where the manifest is set to the CPU: such a
    /// plugin was not checked for a GPU, has no right to its device nodes, and libtorch takes up CUDA
    /// only when it is opened.
    pub(super) fn place(&self, call: &Call<'_>) -> Result<Device> {
        let device = call.device()?.unwrap_or(self.device);
        if matches!(device, Device::Cuda(_)) && self.device == Device::Cpu {
            let message = format!(
                "{device} was asked for, and config.device of this manifest is cpu: load the manifest \
                 for the GPU (gpu/manifest.json), or leave device out"
            );
            return Err(Fault::new(fault::DEVICE, message));
        }
        Ok(device)
    }

    /// Everybody's tracks.
    pub(super) fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the search finds in each frame of a batch; tracks are left to the caller.
    pub(super) fn look(
        &self,
        search: Search,
        frames: &[impl Picture],
        device: Device,
        workspace: &mut Workspace,
    ) -> Result<Vec<Scene>> {
        let mut scenes = vec![Scene::default(); frames.len()];
        let detect = match search {
            Search::Players | Search::Tracks | Search::Radar => Some((&PLAYERS[..], Who::Player)),
            Search::Ball => Some((&BALL[..], Who::Ball)),
            Search::Pitch => None,
        };
        if let Some((names, who)) = detect {
            let found = self.detect(names, who, frames, device, workspace)?;
            for (scene, found) in scenes.iter_mut().zip(found) {
                scene.detections = found;
            }
        }
        if matches!(search, Search::Pitch | Search::Radar) {
            self.pitch(frames, device, workspace, &mut scenes)?;
        }
        Ok(scenes)
    }

    fn detect(
        &self,
        names: &[&str],
        who: Who,
        frames: &[impl Picture],
        device: Device,
        workspace: &mut Workspace,
    ) -> Result<Vec<Vec<Detection>>> {
        let model = self.models.of(names, Task::Detect, device)?;
        let settings = &self.configured.settings;
        let keep = Keep {
            confidence: match who {
                // The tracker's second association lives on weak detections.
                Who::Player => settings
                    .confidence(&model.meta)
                    .min(settings.tracking.low_threshold),
                Who::Ball => settings.confidence(&model.meta),
            },
            iou: settings.iou(&model.meta),
            most: settings.max_detections,
        };
        let wanted = self.players.classes(&model.meta, who);
        let (answer, places) = model.run(frames, &mut workspace.planes)?;
        let head = Head::new(&model.meta, &answer, frames.len())?;
        let each = frames.iter().zip(&places).enumerate();
        Ok(each
            .map(|(number, (frame, place))| {
                let mut found = head.detections(number, place, frame.size(), keep);
                found.retain(|d| wanted.contains(&d.class_id));
                found
            })
            .collect())
    }

    fn pitch(
        &self,
        frames: &[impl Picture],
        device: Device,
        workspace: &mut Workspace,
        scenes: &mut [Scene],
    ) -> Result<()> {
        let model = self.models.of(&PITCH, Task::Pitch, device)?;
        let least = self.configured.settings.keypoint_confidence(&model.meta);
        let (answer, places) = model.run(frames, &mut workspace.planes)?;
        let head = Head::new(&model.meta, &answer, frames.len())?;
        let cells = (head.sizes()[1], head.sizes()[2]);
        let stride = model.meta.stride.unwrap_or(1);
        for (number, scene) in scenes.iter_mut().enumerate() {
            let (frame, place) = (&frames[number], &places[number]);
            let size = frame.size();
            scene.keypoints = pitch::find(head.frame(number), cells, stride, least, place, size);
            scene.homography = pitch::project(&scene.keypoints, &model.meta, place);
        }
        Ok(())
    }

    /// What the model that a search uses says of itself.
    pub(super) fn meta(&self, search: Search, device: Device) -> Result<Metas> {
        let detector = match search {
            Search::Pitch => None,
            Search::Ball => Some(self.models.of(&BALL, Task::Detect, device)?),
            _ => Some(self.models.of(&PLAYERS, Task::Detect, device)?),
        };
        let pitch = match search {
            Search::Pitch | Search::Radar => Some(self.models.of(&PITCH, Task::Pitch, device)?),
            _ => None,
        };
        Ok(Metas {
            detector: detector.map(|m| m.meta.clone()),
            pitch: pitch.map(|m| m.meta.clone()),
        })
    }
}

fn continue_from(streams: &mut Streams, state: &[u8]) -> Result<()> {
    streams
        .restore(state)
        .map_err(|e| Fault::new("CheckpointError", e.to_string()))?;
    // The calls that these belonged to ended with their process.
    streams.retain(|name| !name.starts_with(VIDEO_STREAM));
    Ok(())
}

impl Metas {
    /// Least confidence of a detection that is told.
    pub(super) fn least(&self, settings: &Settings) -> f32 {
        let detector = self.detector.as_ref();
        detector.map_or(0.0, |meta| settings.confidence(meta))
    }
}

/// What the models of a search say of themselves.
pub(super) struct Metas {
    pub(super) detector: Option<Meta>,
    pub(super) pitch: Option<Meta>,
}

/// Which detections are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Player,
    Ball,
}

impl Players {
    /// The class numbers of a model that mean what is wanted; all, where none is called so.
    fn classes(&self, meta: &Meta, who: Who) -> Vec<u32> {
        let words = match who {
            Who::Player => &self.players,
            Who::Ball => &self.balls,
        };
        let numbered = meta.classes.iter().zip(0_u32..);
        let known = |name: &String| words.iter().any(|w| w.eq_ignore_ascii_case(name));
        let named: Vec<u32> = numbered
            .filter(|(n, _)| known(n))
            .map(|(_, at)| at)
            .collect();
        match (named.is_empty(), meta.classes.len()) {
            (true, 1) => vec![0],
            _ => named,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Config;

    #[test]
    fn the_stream_of_a_video_whose_call_died_is_not_continued() {
        let seen = [Detection {
            xyxy: [10.0, 10.0, 30.0, 60.0],
            confidence: 0.9,
            class_id: 0,
        }];
        let mut before = Streams::new(Config::default(), 16);
        before.update("camera", &seen);
        before.update(&format!("{VIDEO_STREAM}7"), &seen);
        let mut after = Streams::new(Config::default(), 16);
        continue_from(&mut after, &before.checkpoint().unwrap()).unwrap();
        assert_eq!(after.len(), 1);
        assert!(after.get("camera").is_some());
        let number = after.update("another", &seen)[0].track_id;
        assert_eq!(number, 3, "the numbers that it had given stay given");
        let fault = continue_from(&mut after, b"no tracks").unwrap_err();
        assert_eq!(fault.code, "CheckpointError");
        assert_eq!(after.len(), 2, "nothing is changed");
    }
}
