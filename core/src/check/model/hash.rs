//! sha256 of model files: streamed, with progress, and remembered, so that a file of many GB is
//! read once in the life of the process.
//!
//! A remembered sum is used only while path, device, inode, size, modification time and change
//! time are all the same. The change time is there because a copy can set the modification time.

use super::super::bounded::Pulse;
use super::problem::Problem;
use crate::sync::Mutex;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Called with the path, the bytes read so far and the bytes in all.
pub type Progress = Arc<dyn Fn(&Path, u64, u64) + Send + Sync>;

/// A file at one moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    path: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
    identity: [i128; 3],
}

/// What was read, by file.
static KNOWN: Mutex<BTreeMap<Key, [u8; 32]>> = Mutex::new(BTreeMap::new());
/// How many sums are remembered; beyond that, all are forgotten at once.
const KNOWN_LIMIT: usize = 4096;
/// Timestamps are no finer than this; a younger file may change without a trace.
const TICK: Duration = Duration::from_millis(20);
/// How many bytes lie between two reports.
const REPORT: u64 = 8 * 1024 * 1024;

impl Key {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            size: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(metadata),
        }
    }
}

/// Device, inode and change time in nanoseconds.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> [i128; 3] {
    use std::os::unix::fs::MetadataExt;
    let changed = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    [
        i128::from(metadata.dev()),
        i128::from(metadata.ino()),
        changed,
    ]
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> [i128; 3] {
    [0; 3]
}

/// Whether the file last changed so long ago that a further change would show.
#[cfg(unix)]
fn settled(key: &Key) -> bool {
    let changed = Duration::from_nanos(u64::try_from(key.identity[2]).unwrap_or(0));
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH + changed)
        .is_ok_and(|age| age > TICK)
}

#[cfg(not(unix))]
fn settled(key: &Key) -> bool {
    key.modified
        .and_then(|time| time.elapsed().ok())
        .is_some_and(|age| age > TICK)
}

/// A file's sum, and whether it was remembered.
pub(super) struct Sum {
    pub(super) hex: String,
    pub(super) remembered: bool,
}

/// The sum of an open file.
pub(super) fn sha256(
    path: &Path,
    file: &File,
    progress: Option<&Progress>,
    pulse: &Pulse,
) -> Result<Sum, Problem> {
    let key = Key::of(path, &file.metadata()?);
    if let Some(sum) = KNOWN.lock().get(&key) {
        return Ok(Sum {
            hex: hex(sum),
            remembered: true,
        });
    }
    let fresh = settled(&key);
    let sum = read(path, file, key.size, progress, pulse)?;
    if fresh && Key::of(path, &file.metadata()?) == key {
        let mut known = KNOWN.lock();
        if known.len() >= KNOWN_LIMIT {
            known.clear();
        }
        known.insert(key, sum);
    }
    Ok(Sum {
        hex: hex(&sum),
        remembered: false,
    })
}

fn read(
    path: &Path,
    mut file: &File,
    size: u64,
    progress: Option<&Progress>,
    pulse: &Pulse,
) -> Result<[u8; 32], Problem> {
    file.rewind()?;
    let (mut sha, mut chunk) = (Sha256::new(), vec![0; 256 * 1024]);
    let (mut done, mut reported) = (0, 0);
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        sha.update(&chunk[..count]);
        done += count as u64;
        pulse.beat();
        if pulse.stopped() {
            return Err(Problem::Stopped);
        }
        if done - reported >= REPORT || done == size {
            reported = done;
            if let Some(progress) = progress {
                progress(path, done, size);
            }
        }
    }
    Ok(sha.finalize().into())
}

fn hex(sum: &[u8; 32]) -> String {
    use std::fmt::Write;
    sum.iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Forgets every sum. For tests and for hosts that know that a file changed unseen.
pub fn forget_checksums() {
    KNOWN.lock().clear();
}
