//! The tools for a video: frame by frame, with progress, cancelled between frames.

use super::engine::Workspace;
use super::render::Telling;
use super::{Call, Engine, Search, stream_key};
use crate::fault::{self, Fault, Result};
use crate::picture::Frame;
use crate::settings::Device;
use crate::video::{Reader, Writer};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// Frames a second where the file does not say.
const RATE: f64 = 25.0;
/// The most frames of one video: what is told of them stays in memory until the end.
const MOST_FRAMES: u64 = 500_000;

/// A video under way.
struct Run<'a> {
    engine: &'a Engine,
    search: Search,
    device: Device,
    /// Frames a second, where the file says it.
    rate: Option<f32>,
    stream: String,
    workspace: Workspace,
    frames: Vec<Value>,
    writer: Option<Writer>,
}

impl Engine {
    pub(super) fn video(&self, search: Search, call: &Call<'_>) -> Result<Value> {
        let began = Instant::now();
        let settings = &self.configured.settings;
        let device = call.device()?.unwrap_or(self.device);
        let (annotated, output) = (call.annotated()?, call.output()?);
        let metas = self.meta(search, device)?;
        let telling = Telling {
            search,
            metas: &metas,
            least: metas.least(settings),
        };
        let program = self.ffmpeg()?;
        let named = call.stream()?.map(stream_key);
        if call.reset()? {
            named.iter().for_each(|name| {
                self.streams().remove(name);
            });
        }
        let mut reader = Reader::open(&program, &call.video()?, settings.max_pixels)?;
        let mut run = Run {
            engine: self,
            search,
            device,
            rate: reader.told().rate.map(|rate| rate as f32),
            // No caller can name it, and it goes with the call.
            stream: named
                .clone()
                .unwrap_or_else(|| format!("video {}", call.id)),
            workspace: Workspace::default(),
            frames: Vec::new(),
            writer: None,
        };
        let _ends = named.is_none().then(|| Forget(self, run.stream.clone()));
        let told = reader.told();
        let rate = told.rate.unwrap_or(RATE);
        let batch = usize::from(settings.batch.max(1));
        let mut whole = true;
        while whole {
            let mut frames = Vec::with_capacity(batch);
            while frames.len() < batch {
                match reader.next_frame()? {
                    Some(frame) => frames.push(frame),
                    None => {
                        whole = false;
                        break;
                    }
                }
            }
            let begin = annotated && run.writer.is_none();
            if let Some(first) = frames.first().filter(|_| begin) {
                let size = telling.extent((first.width, first.height));
                run.writer = Some(self.writer(&program, output.clone(), size, rate, call)?);
            }
            run.batch(frames, &telling)?;
            let done = run.frames.len() as u64;
            if done > MOST_FRAMES {
                let message = format!("it has more than {MOST_FRAMES} frames; cut it into parts");
                return Err(Fault::new(fault::SIZE, message));
            }
            if !(call.progress)(done, told.expected().max(done)) || (call.should_stop)() {
                return Err(Fault::cancelled());
            }
        }
        let ending = reader.end();
        let count = run.frames.len();
        let took = began.elapsed().as_secs_f64();
        let mut result = Map::new();
        result.insert("total_frames".into(), json!(count));
        result.insert("fps".into(), json!(rate));
        result.insert("complete".into(), json!(ending.complete));
        result.insert("warnings".into(), json!(ending.warnings));
        result.insert("device".into(), json!(device.to_string()));
        result.insert(
            "frames_per_second".into(),
            json!((count as f64 / took * 10.0).round() / 10.0),
        );
        if let Some(writer) = run.writer.take() {
            let path = writer.finish()?;
            result.insert("annotated_video".into(), json!(path.to_string_lossy()));
        }
        result.insert("frames".into(), Value::Array(run.frames));
        Ok(Value::Object(result))
    }

    fn writer(
        &self,
        program: &std::path::Path,
        output: Option<PathBuf>,
        size: (usize, usize),
        rate: f64,
        call: &Call<'_>,
    ) -> Result<Writer> {
        let settings = &self.configured.settings;
        let folder = settings
            .output
            .as_deref()
            .map(|folder| self.configured.path(folder));
        let folder = folder
            .filter(|f| f.is_dir())
            .unwrap_or_else(std::env::temp_dir);
        let path = match output {
            Some(path) => folder.join(path),
            None => folder.join(format!("annotated-{}.mp4", call.id)),
        };
        Writer::create(program, &path, size, rate)
    }
}

impl Run<'_> {
    fn batch(&mut self, mut frames: Vec<Frame>, telling: &Telling<'_>) -> Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let (search, device) = (self.search, self.device);
        let scenes = self
            .engine
            .look(search, &frames, device, &mut self.workspace)?;
        for (mut scene, frame) in scenes.into_iter().zip(&mut frames) {
            if matches!(search, Search::Tracks | Search::Radar) {
                scene.tracks = self
                    .engine
                    .follow(&self.stream, self.rate, &scene.detections);
            }
            let mut told = telling.scene(&scene);
            told.insert("frame_index".into(), json!(self.frames.len()));
            self.frames.push(Value::Object(told));
            match &mut self.writer {
                Some(writer) if search == Search::Radar => writer.write(&telling.radar(&scene))?,
                Some(writer) => {
                    telling.annotate(&scene, frame);
                    writer.write(frame)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// A video's own stream goes with its call.
struct Forget<'a>(&'a Engine, String);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.streams().remove(&self.1);
    }
}
