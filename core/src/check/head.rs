//! The first bytes of a file, and whether it holds anything but zeros: for hosts that ask no more of
//! a model than that. On a thread of its own with a bound, since the storage may be a dead mount.

use super::bounded::{Answer, ask};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// How long the storage may be silent.
const BOUND: Duration = Duration::from_secs(5);
/// How much is read in each place, in bytes.
const PIECE: u64 = 64 << 10;

/// What the beginning of a file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its first bytes, 64 kB at most.
    pub bytes: Vec<u8>,
    /// How many bytes it has.
    pub length: u64,
    /// Whether its beginning, middle and end hold nothing but zeros.
    pub blank: bool,
}

/// Reads the beginning of a regular file.
///
/// # Errors
/// Why there is none, in one sentence.
pub fn read_head(path: &Path) -> Result<Head, String> {
    read_head_within(path, BOUND)
}

fn read_head_within(path: &Path, bound: Duration) -> Result<Head, String> {
    let owned = path.to_owned();
    match ask(&path.to_string_lossy(), bound, move |_| look(&owned)) {
        Answer::Done(Ok(found)) => found.ok_or_else(|| "there is no such file".into()),
        Answer::Done(Err(error)) => Err(format!("it cannot be read: {error}")),
        Answer::Silent(time) => Err(format!(
            "its storage did not answer for {:.1} s",
            time.as_secs_f64()
        )),
        Answer::Broke(why) => Err(why),
    }
}

/// `None` where there is no regular file.
fn look(path: &Path) -> io::Result<Option<Head>> {
    if !fs::metadata(path).is_ok_and(|about| about.is_file()) {
        return Ok(None);
    }
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let bytes = piece(&mut file, 0)?;
    let mut blank = is_blank(&bytes);
    for at in [length / 2, length.saturating_sub(PIECE)] {
        blank = blank && (length <= PIECE || is_blank(&piece(&mut file, at)?));
    }
    Ok(Some(Head {
        bytes,
        length,
        blank,
    }))
}

/// A pipe that takes the file's place meanwhile is opened without waiting.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

fn piece(file: &mut File, at: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(PIECE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_begins_with_and_whether_it_is_blank() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert!(read_head(&path).is_err());
        assert!(read_head(folder.path()).is_err());
        fs::write(&path, "text").unwrap();
        let head = read_head(&path).unwrap();
        assert_eq!((head.bytes.as_slice(), head.length), (&b"text"[..], 4));
        assert!(!head.blank);
        for length in [1, 70_000, 10_000_000] {
            fs::write(&path, vec![0; length]).unwrap();
            assert!(read_head(&path).unwrap().blank, "{length}");
        }
        let mut end = vec![0; 300_000];
        end[299_999] = 1;
        fs::write(&path, end).unwrap();
        assert!(!read_head(&path).unwrap().blank);
    }

    /// What cannot be opened without waiting is refused before it is opened.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert_eq!(read_head(&path).unwrap_err(), "there is no such file");
    }
}
