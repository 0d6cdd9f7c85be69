//! The records that end an archive: where its directory is, and how many files it has.
//!
//! `rawzip` repairs what it can: a wrong place of the directory, a broken zip64 record. An archive
//! that needs a repair is damaged, so every field is compared with the others and with the file.
//! Field places: APPNOTE.TXT 4.3.14 to 4.3.16.

use super::super::problem::{Problem, damaged};
use super::{bytes, number};
use rawzip::{ReaderAt, ZipArchive};

const END: usize = 22;
const LOCATOR: usize = 20;
const WIDE: usize = 56;

/// What an end record says.
struct Says {
    disks: [u64; 2],
    files: [u64; 2],
    size: u64,
    offset: u64,
}

/// Checks that the end records agree with each other, the directory and the file's length.
pub(super) fn check<R: ReaderAt>(archive: &ZipArchive<R>, length: u64) -> Result<(), Problem> {
    let (reader, at) = (archive.get_ref(), archive.eocd_offset());
    let end = bytes::<END>(reader, at)?;
    let comment = number(&end, 20, 2);
    if at + END as u64 + comment != length {
        return damaged("the archive does not end where its last record ends");
    }
    let short = Says {
        disks: [number(&end, 4, 2), number(&end, 6, 2)],
        files: [number(&end, 8, 2), number(&end, 10, 2)],
        size: number(&end, 12, 4),
        offset: number(&end, 16, 4),
    };
    let (says, directory_end) = match wide(reader, at)? {
        Some((long, start)) => {
            agree(&short, &long)?;
            (long, start)
        }
        None => (short, at),
    };
    if says.disks != [0, 0] {
        return damaged("the archive claims to lie on several disks");
    }
    if says.files[0] != says.files[1] || says.files[1] != archive.entries_hint() {
        return damaged("the archive's end names two numbers of files");
    }
    if says.offset.checked_add(says.size) != Some(directory_end)
        || says.offset != archive.directory_offset()
    {
        return damaged("the directory does not lie where the archive's end says");
    }
    Ok(())
}

/// The zip64 record and where it begins, if the archive has one.
fn wide(reader: &impl ReaderAt, end: u64) -> Result<Option<(Says, u64)>, Problem> {
    let Some(at) = end.checked_sub(LOCATOR as u64) else {
        return Ok(None);
    };
    let locator = bytes::<LOCATOR>(reader, at)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let start = number(&locator, 8, 8);
    if number(&locator, 4, 4) != 0 || number(&locator, 16, 4) != 1 {
        return damaged("the archive claims to lie on several disks");
    }
    if start.checked_add(WIDE as u64).is_none_or(|end| end > at) {
        return damaged("the archive's zip64 record lies beyond its end");
    }
    let wide = bytes::<WIDE>(reader, start)?;
    let size = number(&wide, 4, 8);
    if !wide.starts_with(b"PK\x06\x06") || (start + 12).checked_add(size) != Some(at) {
        return damaged("the archive's zip64 record is damaged");
    }
    let says = Says {
        disks: [number(&wide, 16, 4), number(&wide, 20, 4)],
        files: [number(&wide, 24, 8), number(&wide, 32, 8)],
        size: number(&wide, 40, 8),
        offset: number(&wide, 48, 8),
    };
    Ok(Some((says, start)))
}

/// Each short field says the same as the long one, or that the long one counts.
fn agree(short: &Says, long: &Says) -> Result<(), Problem> {
    let two = |short: [u64; 2], long: [u64; 2]| {
        (0..2).all(|i| short[i] == long[i] || short[i] == u64::from(u16::MAX))
    };
    let one = |short: u64, long: u64| short == long || short == u64::from(u32::MAX);
    match two(short.disks, long.disks)
        && two(short.files, long.files)
        && one(short.size, long.size)
        && one(short.offset, long.offset)
    {
        true => Ok(()),
        false => damaged("the archive's two end records contradict each other"),
    }
}
