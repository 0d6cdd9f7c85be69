//! The walk through an archive's directory.

use super::super::problem::{Problem, damaged};
use super::{Sort, directory, header, problem};
use rawzip::{ReaderAt, ZipArchive, ZipFileHeaderRecord};
use std::collections::BTreeMap;

/// How many records are remembered by name; the largest models have some thousands.
const RECORDS: usize = 1 << 17;
/// How many bytes their names may have in all.
const NAMES: usize = 8 << 20;

/// What the directory says.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) files: u64,
    /// The bytes of all records, plain or packed, whichever is more.
    pub(super) bytes: u64,
    /// The folder that everything lies in: that of the first record, as libtorch takes it.
    pub(super) root: String,
    /// The plain size of every record, by its name.
    pub(super) sizes: BTreeMap<String, u64>,
    /// Whether there are more records than are remembered.
    pub(super) crowded: bool,
    /// Whether a record that is not empty has a checksum; `torch.save` can do without.
    pub(super) summed: bool,
    names: usize,
    spans: Vec<(u64, u64)>,
}

/// Walks the directory, and looks at what stands around each record.
pub(super) fn walk<R: ReaderAt>(
    archive: &ZipArchive<R>,
    buffer: &mut [u8],
) -> Result<Walk, Problem> {
    let mut walk = Walk::default();
    let mut local = vec![0; 2 * 65_536];
    let mut entries = archive.entries(buffer);
    while let Some(record) = entries.next_entry().map_err(directory)? {
        let name = String::from_utf8_lossy(record.file_path().as_ref()).into_owned();
        let span = place(archive, &mut local, &record, &name)?;
        walk.bytes = walk.bytes.saturating_add(
            record
                .uncompressed_size_hint()
                .max(record.compressed_size_hint()),
        );
        walk.summed |= record.crc32() != 0;
        walk.remember(name, record.uncompressed_size_hint(), span)?;
    }
    if walk.files != archive.entries_hint() {
        let (has, says) = (walk.files, archive.entries_hint());
        return damaged(format!("the directory has {has} files and says {says}"));
    }
    walk.apart()?;
    Ok(walk)
}

/// Where a record lies with all that belongs to it.
fn place<R: ReaderAt>(
    archive: &ZipArchive<R>,
    local: &mut [u8],
    record: &ZipFileHeaderRecord<'_>,
    name: &str,
) -> Result<(u64, u64), Problem> {
    let told = |error| problem(error, name);
    let entry = archive.get_entry(record.wayfinder()).map_err(told)?;
    let own = entry.local_header(local).map_err(told)?;
    header::agree(name, record, &own)?;
    header::one_disk(name, archive.get_ref(), record)?;
    let (_, content) = entry.compressed_data_range();
    if content > archive.directory_offset() {
        return damaged(format!("{name} reaches beyond the directory's start"));
    }
    let end = content + header::descriptor(name, archive.get_ref(), content, record)?;
    if end > archive.directory_offset() {
        return damaged(format!("{name} reaches beyond the directory's start"));
    }
    Ok((record.local_header_offset(), end))
}

impl Walk {
    fn remember(&mut self, name: String, size: u64, span: (u64, u64)) -> Result<(), Problem> {
        if self.files == 0 {
            self.root = name.split('/').next().unwrap_or_default().to_owned();
        }
        self.files += 1;
        self.names = self.names.saturating_add(name.len());
        if self.sizes.len() >= RECORDS || self.names > NAMES {
            self.crowded = true;
            return Ok(());
        }
        self.spans.push(span);
        match self.sizes.insert(name, size) {
            None => Ok(()),
            Some(_) => {
                damaged("a record's name occurs twice in it: which of them counts is not certain")
            }
        }
    }

    /// No record lies in another.
    fn apart(&mut self) -> Result<(), Problem> {
        self.spans.sort_unstable();
        let overlap = self.spans.windows(2).any(|two| two[0].1 > two[1].0);
        self.spans = Vec::new();
        match overlap {
            true => damaged("two of its records lie in each other"),
            false => Ok(()),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.sizes.contains_key(&format!("{}/{name}", self.root))
    }

    /// What this archive is, by the records that torch 2.11 writes and needs.
    pub(super) fn sort(&self) -> Result<Sort, Problem> {
        match (self.has("constants.pkl"), self.has("data.pkl")) {
            (true, true) => Ok(Sort::Script),
            (false, true) => Ok(Sort::Saved),
            (true, false) => damaged("it has constants.pkl and no data.pkl"),
            _ if self.has(".data/extern_modules") => Ok(Sort::Other("torch.package")),
            _ if self.has("archive_format") => Ok(Sort::Other("torch.export")),
            _ => Ok(Sort::Foreign),
        }
    }
}
