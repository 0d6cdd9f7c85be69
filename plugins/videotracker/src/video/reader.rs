//! Frames of a video file, one after the other, with bounded memory.
//!
//! ffmpeg writes each frame as a PPM picture, whose header says its size: no probe beforehand, and
//! a file that lies about its size cannot shift the frames.

use crate::fault::{self, Fault, Result};
use crate::picture::{Frame, check_size};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Frames that are decoded ahead of the model.
const AHEAD: usize = 2;
/// Lines of ffmpeg's that are kept.
const LINES: usize = 40;

/// What ffmpeg said of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Seconds.
    pub duration: Option<f64>,
    /// Frames a second.
    pub rate: Option<f64>,
    /// Lines on what is wrong with it.
    pub complaints: Vec<String>,
    last: VecDeque<String>,
}

impl Told {
    /// How many frames the file should have; 0 where it does not say.
    #[must_use]
    pub fn expected(&self) -> u64 {
        match (self.duration, self.rate) {
            (Some(seconds), Some(rate)) => (seconds * rate).round().clamp(0.0, 1e12) as u64,
            _ => 0,
        }
    }

    fn hear(&mut self, line: &str) {
        let line: String = line.trim().chars().take(400).collect();
        if line.starts_with("Duration:") && self.duration.is_none() {
            self.duration = duration(&line);
        }
        if line.starts_with("Stream #0") && line.contains("Video:") && self.rate.is_none() {
            self.rate = rate(&line);
        }
        let small = line.to_ascii_lowercase();
        let bad = [
            "error",
            "invalid",
            "corrupt",
            "truncat",
            "partial file",
            "not found",
        ];
        if bad.iter().any(|word| small.contains(word)) && self.complaints.len() < LINES {
            self.complaints.push(line.clone());
        }
        if !line.is_empty() {
            self.last.push_back(line);
            self.last.truncate(usize::MAX);
            if self.last.len() > LINES {
                self.last.pop_front();
            }
        }
    }
}

/// `Duration: 00:01:02.50, start: 0.0, ...`
fn duration(line: &str) -> Option<f64> {
    let text = line.strip_prefix("Duration:")?.split(',').next()?.trim();
    let mut seconds = 0.0;
    for part in text.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(seconds)
}

/// `... 640x360, 412 kb/s, 25 fps, 25 tbr, ...`
fn rate(line: &str) -> Option<f64> {
    let text = line
        .split(',')
        .find_map(|part| part.trim().strip_suffix(" fps"))?;
    text.parse().ok().filter(|r| (0.1..=1000.0).contains(r))
}

/// How a video ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    /// Whether every frame could be read.
    pub complete: bool,
    /// ffmpeg's words on what could not.
    pub warnings: Vec<String>,
}

/// A video that is being read.
pub struct Reader {
    child: Child,
    frames: Receiver<Result<Frame>>,
    threads: Vec<JoinHandle<()>>,
    told: Arc<Mutex<Told>>,
    waiting: Option<Frame>,
}

impl Reader {
    /// Opens `file` and waits for its first frame.
    ///
    /// # Errors
    /// [`fault::FILE`] with ffmpeg's words, [`fault::SIZE`], [`fault::PROGRAM`].
    pub fn open(program: &Path, file: &Path, max_pixels: u64) -> Result<Self> {
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(unreadable(file, "it is no file")),
            Err(error) => return Err(unreadable(file, &error.to_string())),
        }
        let mut child = command(program, file)
            .spawn()
            .map_err(|e| Fault::new(fault::PROGRAM, format!("{}: {e}", program.display())))?;
        let told: Arc<Mutex<Told>> = Arc::default();
        let (sender, frames) = sync_channel(AHEAD);
        let mut threads = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let told = Arc::clone(&told);
            threads.push(std::thread::spawn(move || listen(stderr, &told)));
        }
        if let Some(stdout) = child.stdout.take() {
            threads.push(std::thread::spawn(move || {
                let mut pipe = BufReader::with_capacity(1 << 20, stdout);
                while let Some(frame) = next_picture(&mut pipe, max_pixels).transpose() {
                    let failed = frame.is_err();
                    if sender.send(frame).is_err() || failed {
                        break;
                    }
                }
            }));
        }
        let mut reader = Self {
            child,
            frames,
            threads,
            told,
            waiting: None,
        };
        reader.waiting = reader.frames.recv().ok().transpose()?;
        if reader.waiting.is_none() {
            let ending = reader.end();
            let words = match ending.warnings.is_empty() {
                true => "it holds no frame".to_owned(),
                false => ending.warnings.join("; "),
            };
            return Err(unreadable(file, &words));
        }
        Ok(reader)
    }

    /// What ffmpeg has said so far.
    #[must_use]
    pub fn told(&self) -> Told {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The next frame; `None` after the last one.
    ///
    /// # Errors
    /// [`fault::SIZE`] where a later frame is larger than the first.
    pub fn next_frame(&mut self) -> Result<Option<Frame>> {
        if let Some(first) = self.waiting.take() {
            return Ok(Some(first));
        }
        self.frames.recv().ok().transpose()
    }

    /// Waits for ffmpeg's end; for after the last frame.
    pub fn end(&mut self) -> Ending {
        let status = self.child.wait();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let told = self.told();
        let good = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        let mut warnings = told.complaints;
        if !good && warnings.is_empty() {
            warnings = told.last.iter().rev().take(3).rev().cloned().collect();
        }
        Ending {
            complete: good && warnings.is_empty(),
            warnings,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The reading thread may be waiting for room: taking away the channel ends it.
        let (_, empty) = sync_channel(0);
        self.frames = empty;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn unreadable(file: &Path, why: &str) -> Fault {
    let why: String = why.chars().take(2000).collect();
    Fault::new(fault::FILE, format!("{}: {why}", file.display()))
}

fn command(program: &Path, file: &Path) -> Command {
    let mut input = std::ffi::OsString::from("file:");
    input.push(file);
    let mut command = Command::new(program);
    command
        .args(["-hide_banner", "-nostdin", "-nostats"])
        // A playlist must not make ffmpeg fetch addresses or open other files.
        .args(["-protocol_whitelist", "file"])
        .arg("-i")
        .arg(input)
        .args([
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-pix_fmt",
            "rgb24",
        ])
        .args(["-c:v", "ppm", "-f", "image2pipe", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn listen(stderr: impl Read, told: &Mutex<Told>) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    // A line without end must not take memory without end.
    while matches!(lines.by_ref().take(4096).read_until(b'\n', &mut line), Ok(n) if n > 0) {
        let text = String::from_utf8_lossy(&line);
        told.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .hear(&text);
        line.clear();
    }
}

/// One PPM picture: `P6`, width, height, 255, then the pixels.
fn next_picture(pipe: &mut BufReader<ChildStdout>, max_pixels: u64) -> Result<Option<Frame>> {
    let cut = || Fault::new(fault::FILE, "ffmpeg ended in the middle of a frame");
    let mut numbers = [0_u64; 3];
    let Some(magic) = word(pipe) else {
        return Ok(None);
    };
    for number in &mut numbers {
        *number = word(pipe).and_then(|w| w.parse().ok()).ok_or_else(cut)?;
    }
    let [width, height, most] = numbers;
    if magic != "P6" || most != 255 {
        return Err(Fault::new(
            fault::FILE,
            "ffmpeg wrote another format than PPM",
        ));
    }
    check_size(width, height, max_pixels)?;
    let (width, height) = (width as usize, height as usize);
    let mut rgb = vec![0; width * height * 3];
    match pipe.read_exact(&mut rgb) {
        Ok(()) => Ok(Some(Frame { width, height, rgb })),
        Err(_) => Ok(None),
    }
}

/// Bytes up to the next white space, which is taken as well.
fn word(pipe: &mut impl BufRead) -> Option<String> {
    let mut text = String::new();
    for byte in pipe.bytes().take(32) {
        match byte.ok()? {
            b' ' | b'\n' => return Some(text),
            other => text.push(char::from(other)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpegs_words_are_understood() {
        let mut told = Told::default();
        told.hear("  Duration: 00:01:02.50, start: 0.000000, bitrate: 412 kb/s");
        told.hear("  Stream #0:0[0x1](und): Video: h264 (High), yuv420p, 640x360 [SAR 1:1 DAR 16:9], 400 kb/s, 29.97 fps, 30 tbr");
        told.hear("Output #0, image2pipe, to 'pipe:':");
        assert_eq!((told.duration, told.rate), (Some(62.5), Some(29.97)));
        assert_eq!(told.expected(), 1873);
        assert!(told.complaints.is_empty());
        told.hear("[mov] stream 0, offset 0x5: partial file");
        assert_eq!(told.complaints.len(), 1);
        for n in 0..10_000 {
            told.hear(&format!("error {n}"));
        }
        assert!(told.complaints.len() <= LINES && told.last.len() <= LINES);
    }
}
