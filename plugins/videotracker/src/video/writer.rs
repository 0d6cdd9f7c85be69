//! An annotated video, frame by frame.

use crate::fault::{self, Fault, Result};
use crate::picture::Frame;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A video that is being written; without [`Writer::finish`] its file goes with it.
pub struct Writer {
    child: Child,
    input: Option<ChildStdin>,
    size: (usize, usize),
    finished: bool,
    /// Where it goes.
    pub path: PathBuf,
}

impl Writer {
    /// Begins an MP4 (H.264) of frames of `size` pixels.
    ///
    /// # Errors
    /// [`fault::PROGRAM`].
    pub fn create(program: &Path, path: &Path, size: (usize, usize), rate: f64) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24"])
            .args([
                "-s",
                &format!("{}x{}", size.0, size.1),
                "-r",
                &format!("{rate:.4}"),
            ])
            .args(["-i", "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"])
            .args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "26"])
            .args(["-pix_fmt", "yuv420p", "-movflags", "+faststart"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| Fault::new(fault::PROGRAM, format!("{}: {e}", program.display())))?;
        let input = child.stdin.take();
        Ok(Self {
            child,
            input,
            size,
            finished: false,
            path: path.to_owned(),
        })
    }

    /// Appends a frame; false where it is left out, because it has another size than the first.
    ///
    /// # Errors
    /// [`fault::OUTPUT`] with ffmpeg's words.
    pub fn write(&mut self, frame: &Frame) -> Result<bool> {
        if (frame.width, frame.height) != self.size {
            return Ok(false);
        }
        let written = self.input.as_mut().map(|pipe| pipe.write_all(&frame.rgb));
        match written {
            Some(Ok(())) => Ok(true),
            _ => Err(self.refused()),
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`fault::OUTPUT`] with ffmpeg's words.
    pub fn finish(mut self) -> Result<PathBuf> {
        drop(self.input.take());
        let status = self.child.wait();
        match status.is_ok_and(|s| s.success()) {
            true => {
                self.finished = true;
                Ok(self.path.clone())
            }
            false => Err(self.refused()),
        }
    }

    /// What ffmpeg said; errors only, a few lines.
    fn refused(&mut self) -> Fault {
        drop(self.input.take());
        let mut words = String::new();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(4096).read_to_string(&mut words);
        }
        let message = format!("{}: {}", self.path.display(), words.trim());
        Fault::new(fault::OUTPUT, message)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.finished {
            // A part of a video would look like the whole.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
