//! What is told of a video's frames: in the answer, or as lines of a file.
//!
//! A frame is text as soon as it is known. As JSON values it took 30 kB, ten times its text, and a
//! match of 90 minutes filled the worker's memory before anybody asked how large its answer may be.

use crate::fault::{self, Fault, Result};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes of an answer that are kept for what is told beside the frames.
const BESIDE: usize = 64 << 10;
/// MiB of memory for each MiB of an answer: the host's side of the worker reads it as values again.
const MEMORY_PER_ANSWER: u64 = 16;
/// Frames after which it is clear how much a video has to tell.
const SAMPLE: u64 = 250;

/// How large the frames of one answer may be, in bytes.
pub(super) fn most(manifest: &Value) -> usize {
    let limit = |name: &str| {
        let value = manifest.pointer(&format!("/limits/{name}"));
        value.and_then(Value::as_u64)
    };
    let result = limit("result_mb").unwrap_or(256);
    let memory = limit("memory_mb").map(|mb| {
        let calls = limit("concurrency").unwrap_or(1).max(1);
        (mb / calls / MEMORY_PER_ANSWER).max(1)
    });
    let mb = memory.map_or(result, |share| share.min(result));
    usize::try_from(mb << 20)
        .unwrap_or(usize::MAX)
        .saturating_sub(BESIDE)
}

/// The frames of one video, one after the other.
pub(super) struct Told {
    place: Place,
    frames: u64,
}

enum Place {
    /// The answer's text so far, and its bound.
    Answer(String, usize),
    File(Lines),
}

impl Told {
    /// In the answer, up to `most` bytes.
    pub(super) fn in_answer(most: usize) -> Self {
        Self {
            place: Place::Answer(String::from(r#"{"frames":["#), most),
            frames: 0,
        }
    }

    /// As lines of a file; of any length, since nothing of it stays in memory.
    pub(super) fn in_file(path: &Path) -> Result<Self> {
        Ok(Self {
            place: Place::File(Lines::create(path)?),
            frames: 0,
        })
    }

    /// How many were told.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Tells the next frame; `expected` is how many there will be, 0 where nobody knows.
    ///
    /// # Errors
    /// [`fault::LENGTH`] as soon as it is clear that the answer would be too large, [`fault::OUTPUT`].
    pub(super) fn tell(&mut self, mut frame: Map<String, Value>, expected: u64) -> Result<()> {
        frame.insert("frame_index".into(), self.frames.into());
        let line = Value::Object(frame).to_string();
        self.frames += 1;
        match &mut self.place {
            Place::File(lines) => lines.write(&line),
            Place::Answer(text, most) => {
                if self.frames > 1 {
                    text.push(',');
                }
                text.push_str(&line);
                bounded(text.len(), *most, self.frames, expected)
            }
        }
    }

    /// The whole answer: the frames, or where they are, and what is told beside them.
    pub(super) fn finish(self, mut rest: Map<String, Value>) -> Result<String> {
        match self.place {
            Place::File(lines) => {
                rest.insert("frames_path".into(), lines.finish()?.into());
                Ok(Value::Object(rest).to_string())
            }
            Place::Answer(mut text, _) => {
                text.push_str("],");
                let rest = Value::Object(rest).to_string();
                text.push_str(rest.strip_prefix('{').unwrap_or(&rest));
                Ok(text)
            }
        }
    }
}

/// Refuses what is too large, and after a while what will be twice too large.
fn bounded(len: usize, most: usize, frames: u64, expected: u64) -> Result<()> {
    let in_the_end = (len as u64 / frames).saturating_mul(expected);
    let hopeless = frames >= SAMPLE && in_the_end / 2 > most as u64;
    if len <= most && !hopeless {
        return Ok(());
    }
    let of = match expected > frames {
        true => format!(" of about {expected}"),
        false => String::new(),
    };
    let message = format!(
        "{frames} frames{of} make {len} bytes of JSON, and all may make {most}: pass frames_path, \
         the name of a file that gets each frame as a line, or cut the video into parts"
    );
    Err(Fault::new(fault::LENGTH, message))
}

/// A file of JSON lines; without [`Lines::finish`] it goes with its call.
struct Lines {
    file: BufWriter<File>,
    path: PathBuf,
    finished: bool,
}

impl Lines {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|error| refused(path, &error))?;
        Ok(Self {
            file: BufWriter::with_capacity(256 << 10, file),
            path: path.to_owned(),
            finished: false,
        })
    }

    fn write(&mut self, line: &str) -> Result<()> {
        let written = self.file.write_all(line.as_bytes());
        written
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(|error| refused(&self.path, &error))
    }

    fn finish(mut self) -> Result<String> {
        self.file
            .flush()
            .map_err(|error| refused(&self.path, &error))?;
        self.finished = true;
        Ok(self.path.to_string_lossy().into_owned())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn refused(path: &Path, error: &std::io::Error) -> Fault {
    Fault::new(fault::OUTPUT, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn frame() -> Map<String, Value> {
        let mut frame = Map::new();
        frame.insert("tracked_objects".into(), json!([{"track_id": 7}]));
        frame
    }

    fn rest() -> Map<String, Value> {
        let mut rest = Map::new();
        rest.insert("total_frames".into(), json!(2));
        rest
    }

    #[test]
    fn the_answer_is_what_the_frames_and_the_rest_make() {
        let mut told = Told::in_answer(10_000);
        told.tell(frame(), 0).unwrap();
        told.tell(frame(), 0).unwrap();
        let answer: Value = serde_json::from_str(&told.finish(rest()).unwrap()).unwrap();
        let one = |at: u64| json!({"tracked_objects": [{"track_id": 7}], "frame_index": at});
        assert_eq!(
            answer,
            json!({"frames": [one(0), one(1)], "total_frames": 2})
        );
        let empty = Told::in_answer(10).finish(rest()).unwrap();
        let empty: Value = serde_json::from_str(&empty).unwrap();
        assert_eq!(empty, json!({"frames": [], "total_frames": 2}));
    }

    #[test]
    fn what_will_not_fit_is_refused_long_before_its_end() {
        let refused_at = |expected: u64| {
            let mut told = Told::in_answer(100_000);
            let fault = (0..)
                .find_map(|_| told.tell(frame(), expected).err())
                .unwrap();
            assert_eq!(fault.code, fault::LENGTH);
            assert!(fault.is_input() && fault.message.contains("frames_path"));
            told.frames()
        };
        assert_eq!(refused_at(100_000), SAMPLE, "it is clear by then");
        let full = refused_at(0);
        assert!(full > SAMPLE, "nobody knows, so until it is full: {full}");
        assert_eq!(
            refused_at(full + 10),
            full,
            "a close guess is given the chance"
        );
    }

    #[test]
    fn a_file_gets_a_line_for_each_frame_and_only_a_whole_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames.jsonl");
        let mut told = Told::in_file(&path).unwrap();
        for _ in 0..1000 {
            told.tell(frame(), 10).unwrap();
        }
        let answer: Value = serde_json::from_str(&told.finish(rest()).unwrap()).unwrap();
        assert_eq!(answer["frames_path"], json!(path.to_str().unwrap()));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 1000);
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["frame_index"], 999);
        let other = folder.path().join("given_up.jsonl");
        Told::in_file(&other).unwrap().tell(frame(), 0).unwrap();
        assert!(
            !other.exists(),
            "a part of a file would look like the whole"
        );
        let nowhere = Told::in_file(Path::new("/nowhere/frames.jsonl"))
            .err()
            .unwrap();
        assert_eq!(nowhere.code, fault::OUTPUT);
    }

    #[test]
    fn the_bound_is_that_of_the_manifest() {
        let mb = |limits: Value| (most(&json!({"limits": limits})) + BESIDE) >> 20;
        assert_eq!(mb(json!({})), 256);
        assert_eq!(mb(json!({"result_mb": 64, "memory_mb": null})), 64);
        assert_eq!(mb(json!({"memory_mb": 1024, "concurrency": 2})), 32);
        assert_eq!(mb(json!({"result_mb": 8, "memory_mb": 1024})), 8);
    }
}
