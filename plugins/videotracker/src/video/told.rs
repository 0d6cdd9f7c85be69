//! What ffmpeg says while it reads: length, rate and colours of the video, and what is wrong with it.
//!
//! It is asked for the level of every line, so that a file, a folder or a title that is called "error" is none.

use crate::picture::Colour;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines of ffmpeg's that are kept.
const LINES: usize = 40;
/// How long the first words may come after the first frame: they were written before it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What ffmpeg said of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Seconds.
    pub duration: Option<f64>,
    /// Frames a second.
    pub rate: Option<f64>,
    /// What the bytes of its frames mean; `None` until it has said what it writes.
    pub colour: Option<Colour>,
    /// Lines on what is wrong with the file.
    pub complaints: Vec<String>,
    /// The last lines, whatever they say.
    pub last: VecDeque<String>,
    output: bool,
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

    /// Whether any line holds these words.
    #[must_use]
    pub fn says(&self, words: &str) -> bool {
        let lines = self.complaints.iter().chain(&self.last);
        lines.into_iter().any(|line| line.contains(words))
    }

    fn hear(&mut self, line: &str) {
        let line: String = line.trim().chars().take(400).collect();
        let (who, level, words) = parts(&line);
        if level == "info" {
            self.learn(words.trim());
        }
        // What the other end of the pipe says of times is about our frames, not about the file.
        let bad = matches!(level, "error" | "fatal" | "panic") && !who.contains("image2pipe");
        // A decoder that made up part of a frame calls that no error.
        let made_up = level == "warning" && words.contains("corrupt decoded frame")
            || !who.trim().is_empty() && words.trim().starts_with("concealing ");
        if (bad || made_up) && self.complaints.len() < LINES {
            self.complaints.push(words.trim().to_owned());
        }
        if !line.is_empty() {
            if self.last.len() == LINES {
                self.last.pop_front();
            }
            self.last.push_back(line);
        }
    }

    fn learn(&mut self, words: &str) {
        if words.starts_with("Output #0") {
            self.output = true;
        }
        if words.starts_with("Duration:") && self.duration.is_none() {
            self.duration = duration(words);
        }
        if words.starts_with("Stream #0") && words.contains("Video:") {
            if self.output && self.colour.is_none() {
                self.colour = Some(colour(words));
            } else if !self.output && self.rate.is_none() {
                self.rate = rate(words);
            }
        }
    }
}

/// Who says it (may be empty), its level, and what is said: `[mov,mp4 @ 0x5] [error] it is short`.
fn parts(line: &str) -> (&str, &str, &str) {
    const LEVELS: [&str; 6] = ["panic", "fatal", "error", "warning", "info", "verbose"];
    let found = LEVELS.iter().filter_map(|level| {
        let mark = format!("[{level}]");
        line.find(&mark).map(|at| (at, *level, at + mark.len()))
    });
    // The first one counts: what follows may quote anything.
    match found.min() {
        Some((at, level, end)) if line[..at].trim().is_empty() || line.starts_with('[') => {
            (&line[..at], level, &line[end..])
        }
        _ => ("", "info", line),
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

/// `... 640x360, 412 kb/s, 25 fps, 25 tbr, ...`; from 1000 on it says `1k fps`.
fn rate(line: &str) -> Option<f64> {
    let text = line
        .split(',')
        .find_map(|part| part.trim().strip_suffix(" fps"))?;
    let (text, times) = match text.strip_suffix('k') {
        Some(text) => (text, 1000.0),
        None => (text, 1.0),
    };
    let rate = text.parse::<f64>().ok()? * times;
    (0.1..=100_000.0).contains(&rate).then_some(rate)
}

/// `Stream #0:0: Video: pgmyuv, yuv420p(tv, bt709, progressive), 1920x1080, ...`
fn colour(line: &str) -> Colour {
    let format = line.split("yuv420p(").nth(1);
    let words = format.and_then(|rest| rest.split(')').next());
    words.map_or_else(Colour::default, Colour::named)
}

/// What was said so far, shared with the thread that listens.
#[derive(Default)]
pub(super) struct Ear {
    told: Mutex<Told>,
    heard: Condvar,
}

impl Ear {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What ffmpeg has said so far.
    pub(super) fn told(&self) -> Told {
        self.lock().clone()
    }

    /// What it had said when its first frame came: this thread may be ahead of the one that listens.
    pub(super) fn introduced(&self) -> Told {
        let waited = self
            .heard
            .wait_timeout_while(self.lock(), PATIENCE, |told| told.colour.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Hears everything until its end.
    pub(super) fn listen(&self, stderr: impl Read) {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        // A line without end must not take memory without end.
        while matches!(lines.by_ref().take(4096).read_until(b'\n', &mut line), Ok(n) if n > 0) {
            self.lock().hear(&String::from_utf8_lossy(&line));
            self.heard.notify_all();
            line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpegs_words_are_understood() {
        let mut told = Told::default();
        told.hear("[info]   Duration: 00:01:02.50, start: 0.000000, bitrate: 412 kb/s");
        told.hear("[info]   Stream #0:0[0x1](und): Video: h264 (High), yuv420p, 640x360 [SAR 1:1 DAR 16:9], 400 kb/s, 29.97 fps, 30 tbr");
        told.hear("[info] Output #0, image2pipe, to 'pipe:':");
        told.hear(
            "[info]   Stream #0:0: Video: pgmyuv, yuv420p(pc, bt709, progressive), 640x360, 25 fps",
        );
        assert_eq!((told.duration, told.rate), (Some(62.5), Some(29.97)));
        assert_eq!(told.expected(), 1873);
        assert_eq!(told.colour, Some(Colour::named("pc, bt709")));
        assert!(told.complaints.is_empty());
        told.hear("[mov,mp4 @ 0x5581] [error] stream 0, offset 0x5: partial file");
        assert_eq!(told.complaints, ["stream 0, offset 0x5: partial file"]);
        for n in 0..10_000 {
            told.hear(&format!("[error] {n}"));
        }
        assert!(told.complaints.len() <= LINES && told.last.len() <= LINES);
        assert!(told.says("9999") && !told.says("even"));
    }

    #[test]
    fn words_of_the_file_itself_are_no_complaints() {
        let mut told = Told::default();
        told.hear("[info] Input #0, mov, from 'file:/data/[error]/not found/corrupt.mp4':");
        told.hear("[info]     title           : Trial and [error]: invalid");
        told.hear("[image2pipe @ 0x5] [error] Application provided invalid, non monotonically increasing dts");
        assert_eq!(told.complaints, Vec::<String>::new());
        told.hear("[in#0/matroska,webm @ 0x5] [error] File ended prematurely");
        assert_eq!(told.complaints, ["File ended prematurely"]);
        told.hear("[info]     title           : concealing 3 errors");
        told.hear("[h264 @ 0x5] [info] concealing 548 DC, 548 AC, 548 MV errors in B frame");
        told.hear("[vist#0:0/h264 @ 0x5] [dec:h264 @ 0x6] [warning] corrupt decoded frame");
        assert_eq!(told.complaints.len(), 3);
    }

    #[test]
    fn very_fast_videos_have_a_rate() {
        assert_eq!(
            rate("Stream #0:0: Video: h264, 1k fps, 1k tbr"),
            Some(1000.0)
        );
        assert_eq!(rate("Stream #0:0: Video: h264, 25 fps"), Some(25.0));
        assert_eq!(rate("Stream #0:0: Video: h264, 0 fps"), None);
    }
}
