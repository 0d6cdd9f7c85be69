//! The zip archives of PyTorch: TorchScript and `torch.save`.
//!
//! libtorch does not check the checksums when it loads, and a model with a flipped bit loads and
//! answers wrongly, so they are checked here; nor does it check that a record is as long as its
//! tensor, so that is checked as well (see [`pickle`](super::pickle)). The `zip` crate was rejected because it looks for
//! the directory's end backwards through the whole file, which takes hours on a huge sparse one;
//! `rawzip` has a bound for that, needs constant memory and verifies sizes and checksums.

use super::super::bounded::Pulse;
use super::pickle;
use super::problem::{Problem, damaged};
use rawzip::{CompressionMethod, ErrorKind, FileReader, ReaderAt, ZipArchive, ZipLocator};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

/// The longest zip comment plus the record before it.
const SEARCH: u64 = 65_536 + 128;
/// Above this many bytes in all, checksums are not verified: a pinned sha256 is the better way.
const CHECKSUM_LIMIT: u64 = 64 * 1024 * 1024;

/// What an archive holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Archive {
    /// It has `constants.pkl`: a TorchScript program.
    pub(super) script: bool,
    /// It has `data.pkl`: some archive of torch.
    pub(super) torch: bool,
    /// How many files are in it.
    pub(super) files: u64,
    /// Whether all checksums were verified.
    pub(super) verified: bool,
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

/// Walks the directory and every file's own header, and verifies the checksums of small archives.
pub(super) fn check(file: &File, length: u64, pulse: &Pulse) -> Result<Archive, Problem> {
    let reader = Beating(FileReader::from(file.try_clone()?), pulse);
    let mut buffer = vec![0; rawzip::MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipLocator::new()
        .max_search_space(SEARCH)
        .locate_in_reader(reader, &mut buffer, length)
        .map_err(|(_, error)| problem(error, "the archive"))?;
    let mut found = walk(&archive, &mut buffer)?;
    tensors(&archive, &mut buffer, &found.sizes)?;
    if found.bytes <= CHECKSUM_LIMIT {
        verify(&archive, &mut buffer)?;
        found.archive.verified = true;
    }
    Ok(found.archive)
}

struct Walk {
    archive: Archive,
    bytes: u64,
    /// The plain size of every record, by its name; empty where there are too many.
    sizes: BTreeMap<String, u64>,
}

/// How many records are remembered by name; the largest models have some thousands.
const RECORDS: u64 = 1 << 17;

fn walk<R: ReaderAt>(archive: &ZipArchive<R>, buffer: &mut [u8]) -> Result<Walk, Problem> {
    let mut walk = Walk {
        archive: Archive::default(),
        bytes: 0,
        sizes: BTreeMap::new(),
    };
    let mut local = vec![0; 2 * 65_536];
    let mut entries = archive.entries(buffer);
    while let Some(record) = entries
        .next_entry()
        .map_err(|e| problem(e, "the directory"))?
    {
        let path = record.file_path();
        let name = String::from_utf8_lossy(path.as_ref());
        let entry = archive
            .get_entry(record.wayfinder())
            .map_err(|e| problem(e, &name))?;
        let header = entry
            .local_header(&mut local)
            .map_err(|e| problem(e, &name))?;
        if header.file_path().as_ref() != path.as_ref()
            || header.compression_method() != record.compression_method()
        {
            return damaged(format!(
                "{name}: directory and header contradict each other"
            ));
        }
        if entry.compressed_data_range().1 > archive.directory_offset() {
            return damaged(format!("{name} reaches beyond the directory's start"));
        }
        let (stored, plain) = (
            record.compressed_size_hint(),
            record.uncompressed_size_hint(),
        );
        if record.compression_method() == CompressionMethod::STORE && stored != plain {
            return damaged(format!("{name} is stored and has two different sizes"));
        }
        walk.archive.files += 1;
        if walk.archive.files <= RECORDS {
            walk.sizes.insert(name.to_string(), plain);
        }
        walk.archive.script |= name.ends_with("/constants.pkl");
        walk.archive.torch |= name.ends_with("/data.pkl");
        walk.bytes = walk.bytes.saturating_add(plain.max(stored));
    }
    if walk.archive.files != archive.entries_hint() {
        let (has, says) = (walk.archive.files, archive.entries_hint());
        return damaged(format!("the directory has {has} files and says {says}"));
    }
    Ok(walk)
}

/// Compares the records of tensors with what the archive's pickles say of them.
fn tensors<R: ReaderAt>(
    archive: &ZipArchive<R>,
    buffer: &mut [u8],
    sizes: &BTreeMap<String, u64>,
) -> Result<(), Problem> {
    let mut entries = archive.entries(buffer);
    while let Some(record) = entries
        .next_entry()
        .map_err(|e| problem(e, "the directory"))?
    {
        let name = String::from_utf8_lossy(record.file_path().as_ref()).into_owned();
        let Some((root, folder)) = pickled(&name) else {
            continue;
        };
        if record.compression_method() != CompressionMethod::STORE
            || record.uncompressed_size_hint() > pickle::LIMIT
        {
            continue;
        }
        let entry = archive
            .get_entry(record.wayfinder())
            .map_err(|e| problem(e, &name))?;
        let mut bytes = Vec::new();
        let mut reader = entry.reader().take(pickle::LIMIT);
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| checksum_problem(&name, error))?;
        for (key, needed) in pickle::storages(&bytes).unwrap_or_default() {
            let place = format!("{root}/{folder}/{key}");
            match sizes.get(&place) {
                Some(has) if *has < needed => {
                    return damaged(format!(
                        "{place} has {has} bytes, and its tensor needs {needed}: reading it would \
                         leave the record"
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The root of an archive and the folder of the tensors that a pickle in it speaks of.
fn pickled(name: &str) -> Option<(&str, &str)> {
    match name.rsplit_once('/')? {
        (root, "data.pkl") => Some((root, "data")),
        (root, "constants.pkl") => Some((root, "constants")),
        _ => None,
    }
}

/// Reads every file and compares its checksum.
fn verify<R: ReaderAt>(archive: &ZipArchive<R>, buffer: &mut [u8]) -> Result<(), Problem> {
    let mut entries = archive.entries(buffer);
    while let Some(record) = entries
        .next_entry()
        .map_err(|e| problem(e, "the directory"))?
    {
        let name = String::from_utf8_lossy(record.file_path().as_ref()).into_owned();
        let entry = archive
            .get_entry(record.wayfinder())
            .map_err(|e| problem(e, &name))?;
        let reader = entry.reader();
        // One byte more than promised is enough to see that there is more.
        let limit = record.uncompressed_size_hint().saturating_add(1);
        let outcome = match record.compression_method() {
            CompressionMethod::STORE => drain(entry.verifying_reader(reader.take(limit))),
            CompressionMethod::DEFLATE => {
                let inflated = flate2::read::DeflateDecoder::new(reader);
                drain(entry.verifying_reader(inflated.take(limit)))
            }
            // torch writes no other method; its loader refuses what it does not know.
            _ => continue,
        };
        outcome.map_err(|error| checksum_problem(&name, error))?;
    }
    Ok(())
}

fn drain(mut reader: impl Read) -> io::Result<()> {
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
