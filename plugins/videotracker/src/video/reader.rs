//! Frames of a video file, one after the other, with bounded memory.
//!
//! ffmpeg writes each frame as a picture whose header says its size: no probe beforehand, and a file that lies about
//! its size cannot shift the frames. Where nothing is drawn the frames come as the video holds them, in brightness and
//! half the colour: half the bytes, and no conversion of pixels that nobody looks at.

use super::stream;
use super::told::{Ear, Told};
use crate::fault::{self, Fault, Result};
use crate::picture::Shot;
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Frames that are decoded ahead of the model.
const AHEAD: usize = 2;
/// Memory of frames that is kept for later ones.
const SPARE: usize = 16;
/// Bytes that the pipe holds, where the system allows it: fewer changes between two processes for each frame.
const PIPE: usize = 1 << 20;
/// Threads that decode; each holds frames of its own.
const THREADS: usize = 8;
/// The containers that are opened: one file holds all. Playlists, scripts and patterns of names would open others.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,\
                       asf,ogg,mxf,nut,wtv,rm,dv,gif,apng,mjpeg,yuv4mpegpipe,jpeg_pipe,png_pipe,webp_pipe,bmp_pipe";

/// How a video ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ending {
    /// Whether every frame could be read.
    pub complete: bool,
    /// ffmpeg's words on what could not.
    pub warnings: Vec<String>,
}

/// How ffmpeg is asked.
#[derive(Clone, Copy)]
struct Ask {
    max_pixels: u64,
    /// As pixels; else in planes.
    pixels: bool,
    /// With the option that versions before 5.1 know.
    old: bool,
}

/// A video that is being read.
pub struct Reader {
    child: Child,
    frames: Receiver<Result<Shot>>,
    spare: SyncSender<Vec<u8>>,
    threads: Vec<JoinHandle<()>>,
    ear: Arc<Ear>,
    told: Told,
    waiting: Option<Shot>,
    seen: u64,
}

impl Reader {
    /// Opens `file` and waits for its first frame. `pixels`: every frame is to be drawn on.
    ///
    /// # Errors
    /// [`fault::FILE`] with ffmpeg's words, [`fault::SIZE`], [`fault::PROGRAM`].
    pub fn open(program: &Path, file: &Path, max_pixels: u64, pixels: bool) -> Result<Self> {
        // Not a pipe, whose other end may never come; and whether it may be read, ffmpeg says in words of its own.
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(unreadable(file, "it is no file")),
            Err(error) => return Err(unreadable(file, &error.to_string())),
        }
        std::fs::File::open(file).map_err(|error| unreadable(file, &error.to_string()))?;
        let mut ask = Ask {
            max_pixels,
            pixels,
            old: false,
        };
        loop {
            let mut reader = Self::start(program, file, ask)?;
            if reader.waiting.is_some() {
                return Ok(reader);
            }
            let ending = reader.end();
            let told = reader.ear.told();
            if told.says("'fps_mode'") && !ask.old {
                ask.old = true;
            } else if told.says("needs even width and height") && !ask.pixels {
                ask.pixels = true;
            } else {
                return Err(nothing(file, &told, &ending));
            }
        }
    }

    fn start(program: &Path, file: &Path, ask: Ask) -> Result<Self> {
        let mut child = command(program, file, ask)
            .spawn()
            .map_err(|e| Fault::new(fault::PROGRAM, format!("{}: {e}", program.display())))?;
        let ear: Arc<Ear> = Arc::default();
        let (sender, frames) = sync_channel(AHEAD);
        let (spare, used) = sync_channel(SPARE);
        let mut threads = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let ear = Arc::clone(&ear);
            threads.push(std::thread::spawn(move || ear.listen(stderr)));
        }
        if let Some(stdout) = child.stdout.take() {
            threads.push(std::thread::spawn(move || {
                pump(stdout, &sender, &used, ask.max_pixels);
            }));
        }
        let mut reader = Self {
            child,
            frames,
            spare,
            threads,
            ear,
            told: Told::default(),
            waiting: None,
            seen: 0,
        };
        reader.waiting = reader.frames.recv().ok().transpose()?;
        if reader.waiting.is_some() {
            reader.told = reader.ear.introduced();
        }
        Ok(reader)
    }

    /// What ffmpeg had said when the first frame came.
    #[must_use]
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// The next frame; `None` after the last one.
    ///
    /// # Errors
    /// [`fault::SIZE`] where a later frame is larger than the first.
    pub fn next_frame(&mut self) -> Result<Option<Shot>> {
        let next = match self.waiting.take() {
            Some(first) => Some(first),
            None => self.frames.recv().ok().transpose()?,
        };
        self.seen += u64::from(next.is_some());
        Ok(next.map(|shot| match shot {
            Shot::Planes(mut planes) => {
                planes.colour = self.told.colour.unwrap_or_default();
                Shot::Planes(planes)
            }
            pixels @ Shot::Pixels(_) => pixels,
        }))
    }

    /// Takes the memory of a frame that nobody needs any more.
    pub fn recycle(&self, shot: Shot) {
        let _ = self.spare.try_send(shot.into_memory());
    }

    /// Waits for ffmpeg's end; for after the last frame.
    pub fn end(&mut self) -> Ending {
        let status = self.child.wait();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let told = self.ear.told();
        let good = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        let mut warnings = told.complaints.clone();
        if !good && warnings.is_empty() {
            warnings = told.last.iter().rev().take(3).rev().cloned().collect();
        }
        // A tenth fewer than the container promises: some decoders give up without a word.
        if self.seen * 10 < told.expected() * 9 {
            warnings.push(format!(
                "{} frames could be read of about {}",
                self.seen,
                told.expected()
            ));
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

/// Frames from the pipe to the channel, in memory of earlier ones where there is some.
fn pump(
    stdout: ChildStdout,
    frames: &SyncSender<Result<Shot>>,
    used: &Receiver<Vec<u8>>,
    max_pixels: u64,
) {
    // Only faster: a system that grants less is as good.
    let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE);
    let mut pipe = BufReader::with_capacity(1 << 16, stdout);
    loop {
        let memory = used.try_recv().unwrap_or_default();
        let Some(next) = stream::next(&mut pipe, memory, max_pixels).transpose() else {
            return;
        };
        let failed = next.is_err();
        if frames.send(next).is_err() || failed {
            return;
        }
    }
}

fn unreadable(file: &Path, why: &str) -> Fault {
    let why: String = why.chars().take(2000).collect();
    Fault::new(fault::FILE, format!("{}: {why}", file.display()))
}

/// Why a file gave no frame at all.
fn nothing(file: &Path, told: &Told, ending: &Ending) -> Fault {
    let words = match ending.warnings.is_empty() {
        true => "it holds no frame".to_owned(),
        false => ending.warnings.join("; "),
    };
    let fault = unreadable(file, &words);
    match told.says("exceeds specified max pixel count") || told.says("Picture size") {
        true => Fault::new(fault::SIZE, fault.message),
        false => fault,
    }
}

fn command(program: &Path, file: &Path, ask: Ask) -> Command {
    let mut input = std::ffi::OsString::from("file:");
    input.push(file);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(THREADS));
    let mut command = Command::new(program);
    command
        .args([
            "-hide_banner",
            "-nostdin",
            "-nostats",
            "-loglevel",
            "level+info",
        ])
        .args(["-protocol_whitelist", "file", "-format_whitelist", FORMATS])
        .args(["-max_pixels", &ask.max_pixels.to_string()])
        .args(["-threads", &threads.to_string()])
        .arg("-i")
        .arg(input)
        .args(["-map", "0:v:0"]);
    command.args([if ask.old { "-vsync" } else { "-fps_mode" }, "passthrough"]);
    command.args(match ask.pixels {
        true => ["-pix_fmt", "rgb24", "-c:v", "ppm"],
        false => ["-pix_fmt", "yuv420p", "-c:v", "pgmyuv"],
    });
    command
        .args(["-f", "image2pipe", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}
