//! The zip archives of PyTorch: TorchScript and `torch.save`.
//!
//! libtorch does not check the checksums when it loads, and a model with a flipped bit loads and
//! answers wrongly, so they are checked here; nor does it check that a record is as long as its
//! tensor, so that is checked as well (see [`storages`]). What an archive says twice, in its
//! directory and before each record, must agree (see [`header`] and [`end`]).
//!
//! The `zip` crate was rejected because it looks for the directory's end backwards through the whole
//! file, which takes hours on a huge sparse one; `rawzip` has a bound for that, needs constant memory
//! and verifies sizes and checksums.

mod end;
mod header;
mod storages;
mod walk;

use super::super::bounded::Pulse;
use super::problem::{Problem, damaged};
use rawzip::{
    CompressionMethod, ErrorKind, FileReader, ReaderAt, ZipArchive, ZipEntry, ZipLocator,
};
use std::fs::File;
use std::io::{self, Read};

/// The longest zip comment plus the record before it.
const SEARCH: u64 = 65_536 + 128;
/// Above this many bytes in all, checksums are not verified: a pinned sha256 is the better way.
const CHECKSUM_LIMIT: u64 = 64 * 1024 * 1024;

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// It has `constants.pkl` and `data.pkl`: a TorchScript program.
    Script,
    /// It has `data.pkl`: written by `torch.save`.
    Saved,
    /// A `torch.package` or a `torch.export` archive.
    Other(&'static str),
    /// Nothing of torch.
    Foreign,
}

/// What the checksums say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    /// All were read, and all fit.
    Verified,
    /// There is too much to read.
    Unread,
    /// It was written without (`compute_crc32 = False` in torch's configuration): all are 0.
    Absent,
}

/// What an archive holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Archive {
    /// What it is.
    pub(super) sort: Sort,
    /// How many files are in it.
    pub(super) files: u64,
    /// What its checksums say.
    pub(super) sums: Sums,
    /// Why the tensors were not compared with their records, where they were not.
    pub(super) uncompared: Option<String>,
}

/// A file that reports each read to the pulse.
struct Beating<'a>(FileReader, &'a Pulse);

impl ReaderAt for Beating<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.1.stopped() {
            return Err(io::Error::other("the check was given up"));
        }
        let read = self.0.read_at(buffer, offset)?;
        self.1.beat();
        Ok(read)
    }
}

/// Walks the directory and every file's own header, verifies the checksums of small archives, and
/// compares the tensors with their records.
pub(super) fn check(file: &File, length: u64, pulse: &Pulse) -> Result<Archive, Problem> {
    let reader = Beating(FileReader::from(file.try_clone()?), pulse);
    let mut buffer = vec![0; rawzip::MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipLocator::new()
        .max_search_space(SEARCH)
        .locate_in_reader(reader, &mut buffer, length)
        .map_err(|(_, error)| problem(error, "the archive"))?;
    end::check(&archive, length)?;
    let found = walk::walk(&archive, &mut buffer)?;
    let sums = match found {
        _ if !found.summed => Sums::Absent,
        _ if found.bytes > CHECKSUM_LIMIT => Sums::Unread,
        _ => verify(&archive, &mut buffer)?,
    };
    Ok(Archive {
        sort: found.sort()?,
        files: found.files,
        sums,
        uncompared: storages::compare(&archive, &mut buffer, &found)?,
    })
}

/// Reads every file and compares its checksum.
fn verify<R: ReaderAt>(archive: &ZipArchive<R>, buffer: &mut [u8]) -> Result<Sums, Problem> {
    let mut entries = archive.entries(buffer);
    while let Some(record) = entries.next_entry().map_err(directory)? {
        let name = String::from_utf8_lossy(record.file_path().as_ref()).into_owned();
        let entry = archive
            .get_entry(record.wayfinder())
            .map_err(|e| problem(e, &name))?;
        let size = record.uncompressed_size_hint();
        let content = content(&entry, record.compression_method(), size, &name)?;
        drain(&mut entry.verifying_reader(content)).map_err(|e| checksum_problem(&name, e))?;
    }
    Ok(Sums::Verified)
}

/// A record's plain content, and one byte more than promised where there is more.
fn content<'a, R: ReaderAt>(
    entry: &'a ZipEntry<'_, R>,
    method: CompressionMethod,
    size: u64,
    name: &str,
) -> Result<Box<dyn Read + 'a>, Problem> {
    let limit = size.saturating_add(1);
    let reader = entry.reader();
    Ok(match method {
        CompressionMethod::STORE => Box::new(reader.take(limit)),
        CompressionMethod::DEFLATE => {
            Box::new(flate2::read::DeflateDecoder::new(reader).take(limit))
        }
        other => {
            return damaged(format!(
                "{name} is packed by method {other}, which torch cannot read"
            ));
        }
    })
}

fn drain(reader: &mut dyn Read) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    while reader.read(&mut chunk)? > 0 {}
    Ok(())
}

/// A checksum that does not fit, told from a disk that does not read.
fn checksum_problem(name: &str, error: io::Error) -> Problem {
    if error.raw_os_error().is_some() {
        return Problem::Read(error);
    }
    Problem::Damaged(format!("{name} is damaged: {error}"))
}

fn directory(error: rawzip::Error) -> Problem {
    problem(error, "the directory")
}

fn problem(error: rawzip::Error, what: &str) -> Problem {
    match error.into_kind() {
        ErrorKind::MissingEndOfCentralDirectory => {
            Problem::Damaged("the archive's directory is missing: the file is cut off".into())
        }
        ErrorKind::IO(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Problem::Read(error)
        }
        kind => Problem::Damaged(format!("{what}: {kind}")),
    }
}

/// `N` bytes of the file at `offset`.
fn bytes<const N: usize>(reader: &impl ReaderAt, offset: u64) -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    let mut done = 0;
    while done < N {
        match reader.read_at(&mut bytes[done..], offset.saturating_add(done as u64))? {
            0 => return damaged("the file ends in the middle of a record"),
            read => done += read,
        }
    }
    Ok(bytes)
}

/// The little-endian number of `size` bytes at `at`.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let bytes = bytes.get(at..at + size).unwrap_or_default();
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
