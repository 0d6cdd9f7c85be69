//! The tools for a video: frame by frame, with progress, cancelled between frames.

use super::engine::Workspace;
use super::render::Telling;
use super::told::Told;
use super::{Call, Engine, Search, stream_key};
use crate::fault::{Fault, Result};
use crate::picture::{Frame, Shot};
use crate::settings::Device;
use crate::video::{Ending, Reader, Writer};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Frames a second where the file does not say.
const RATE: f64 = 25.0;

/// A video under way.
struct Run<'a> {
    engine: &'a Engine,
    call: &'a Call<'a>,
    search: Search,
    device: Device,
    /// Frames a second, where the file says it.
    rate: Option<f32>,
    stream: String,
    workspace: Workspace,
    told: Told,
    annotated: Option<Annotated>,
}

/// The annotated video that was asked for; it begins with the first frame, whose size it has.
struct Annotated {
    program: PathBuf,
    path: PathBuf,
    rate: f64,
    writer: Option<Writer>,
    left_out: u64,
}

impl Engine {
    pub(super) fn video(&self, search: Search, call: &Call<'_>) -> Result<String> {
        let began = Instant::now();
        let settings = &self.configured.settings;
        let device = self.place(call)?;
        let (annotated, lines) = (call.annotated()?, call.frames_path()?);
        let metas = self.meta(search, device)?;
        let telling = Telling {
            search,
            metas: &metas,
            least: metas.least(settings),
        };
        let program = self.ffmpeg()?;
        let named = self.named_stream(call)?;
        let drawn = annotated && search != Search::Radar;
        let mut reader = Reader::open(&program, &call.video()?, settings.max_pixels, drawn)?;
        let told_rate = reader.told().rate;
        let rate = told_rate.unwrap_or(RATE);
        let annotated = match annotated {
            true => Some(Annotated {
                program,
                path: self.output(call.output()?, &format!("annotated-{}.mp4", call.id)),
                rate,
                writer: None,
                left_out: 0,
            }),
            false => None,
        };
        let mut run = Run {
            engine: self,
            call,
            search,
            device,
            rate: told_rate.map(|rate| rate as f32),
            // No caller can name it, and it goes with the call.
            stream: named
                .clone()
                .unwrap_or_else(|| format!("{VIDEO_STREAM}{}", call.id)),
            workspace: Workspace::default(),
            told: match lines {
                Some(path) => Told::in_file(&self.output(Some(path), ""))?,
                None => Told::in_answer(self.answer_most),
            },
            annotated,
        };
        let _ends = named.is_none().then(|| Forget(self, run.stream.clone()));
        run.all(&mut reader, &telling)?;
        let ending = reader.end();
        run.finish(rate, ending, began)
    }

    /// The stream that the call names, emptied where it asks for that.
    fn named_stream(&self, call: &Call<'_>) -> Result<Option<String>> {
        let named = call.stream()?.map(stream_key);
        if call.reset()? {
            named.iter().for_each(|name| {
                self.streams().remove(name);
            });
        }
        Ok(named)
    }

    /// Where a file that a call makes goes.
    fn output(&self, asked: Option<PathBuf>, otherwise: &str) -> PathBuf {
        let settings = &self.configured.settings;
        let folder = settings
            .output
            .as_deref()
            .map(|folder| self.configured.path(folder));
        let folder = folder
            .filter(|f| f.is_dir())
            .unwrap_or_else(std::env::temp_dir);
        folder.join(asked.unwrap_or_else(|| otherwise.into()))
    }
}

/// How the stream of a video that names none begins.
pub(super) const VIDEO_STREAM: &str = "video ";

impl Run<'_> {
    /// Every frame, a batch at a time.
    fn all(&mut self, reader: &mut Reader, telling: &Telling<'_>) -> Result<()> {
        let most = usize::from(self.engine.configured.settings.batch.max(1));
        let mut whole = true;
        while whole {
            let mut frames = Vec::with_capacity(most);
            while whole && frames.len() < most {
                match reader.next_frame()? {
                    Some(frame) => frames.push(frame),
                    None => whole = false,
                }
            }
            let expected = reader.told().expected();
            self.batch(&mut frames, telling, expected)?;
            frames.into_iter().for_each(|frame| reader.recycle(frame));
            let done = self.told.frames();
            if !(self.call.progress)(done, expected.max(done)) || (self.call.should_stop)() {
                return Err(Fault::cancelled());
            }
        }
        Ok(())
    }

    fn batch(&mut self, frames: &mut [Shot], telling: &Telling<'_>, expected: u64) -> Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let (search, device) = (self.search, self.device);
        let scenes = self
            .engine
            .look(search, frames, device, &mut self.workspace)?;
        for (mut scene, frame) in scenes.into_iter().zip(frames) {
            if matches!(search, Search::Tracks | Search::Radar) {
                scene.tracks = self
                    .engine
                    .follow(&self.stream, self.rate, &scene.detections);
            }
            self.told.tell(telling.scene(&scene), expected)?;
            match (&mut self.annotated, frame) {
                (Some(annotated), _) if search == Search::Radar => {
                    annotated.add(&telling.radar(&scene))?;
                }
                // Frames come as pixels where they are to be drawn on.
                (Some(annotated), Shot::Pixels(frame)) => {
                    telling.annotate(&scene, frame);
                    annotated.add(frame)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(mut self, rate: f64, ending: Ending, began: Instant) -> Result<String> {
        let count = self.told.frames();
        let took = began.elapsed().as_secs_f64();
        let speed = (count as f64 / took * 10.0).round() / 10.0;
        let mut warnings = ending.warnings;
        let mut rest = Map::new();
        if let Some(annotated) = self.annotated.take() {
            warnings.extend(annotated.warning());
            if let Some(path) = annotated.finish()? {
                rest.insert("annotated_video".into(), json!(path.to_string_lossy()));
            }
        }
        let mut put = |key: &str, value: Value| rest.insert(key.to_owned(), value);
        put("total_frames", json!(count));
        put("fps", json!(rate));
        put("complete", json!(ending.complete));
        put("warnings", json!(warnings));
        put("device", json!(self.device.to_string()));
        put("frames_per_second", json!(speed));
        self.told.finish(rest)
    }
}

impl Annotated {
    fn add(&mut self, frame: &Frame) -> Result<()> {
        if self.writer.is_none() {
            let size = (frame.width, frame.height);
            let path: &Path = &self.path;
            self.writer = Some(Writer::create(&self.program, path, size, self.rate)?);
        }
        if let Some(writer) = &mut self.writer
            && !writer.write(frame)?
        {
            self.left_out += 1;
        }
        Ok(())
    }

    fn warning(&self) -> Option<String> {
        let count = self.left_out;
        (count > 0).then(|| {
            format!("{count} frames of another size than the first are not in the annotated video")
        })
    }

    fn finish(self) -> Result<Option<PathBuf>> {
        self.writer.map(Writer::finish).transpose()
    }
}

/// A video's own stream goes with its call.
struct Forget<'a>(&'a Engine, String);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.streams().remove(&self.1);
    }
}
