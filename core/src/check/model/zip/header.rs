//! What stands around one record: its own header before it, and what may follow it.
//!
//! Every field that the directory says too must say the same. Not compared are those that nobody
//! who loads a model reads: times, the versions of the program that wrote it and of the one that
//! may read it, attributes, and the content of extra fields. The places are those of APPNOTE.TXT
//! 4.3.7 to 4.3.12.

use super::super::problem::{Problem, damaged};
use super::{bytes, number};
use rawzip::extra_fields::ExtraFields;
use rawzip::{CompressionMethod, ReaderAt, ZipFileHeaderRecord, ZipLocalFileHeader};

/// Encrypted, strongly encrypted, header masked.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Where a directory record names its disk.
const DISK: u64 = 34;
/// The signature that most programs write before a data descriptor.
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// Compares a directory record with the header that stands before the content.
pub(super) fn agree(
    name: &str,
    record: &ZipFileHeaderRecord<'_>,
    header: &ZipLocalFileHeader<'_>,
) -> Result<(), Problem> {
    let (method, flags) = (record.compression_method(), record.flags());
    if flags.bits() & ENCRYPTED != 0 {
        return damaged(format!("{name} is encrypted, and torch cannot read that"));
    }
    if method != CompressionMethod::STORE && method != CompressionMethod::DEFLATE {
        return damaged(format!(
            "{name} is packed by method {method}, which torch cannot read"
        ));
    }
    let (stored, plain) = (
        record.compressed_size_hint(),
        record.uncompressed_size_hint(),
    );
    let pairs = [
        (u64::from(record.crc32()), u64::from(header.crc32())),
        (stored, header.compressed_size_hint()),
        (plain, header.uncompressed_size_hint()),
    ];
    // With a data descriptor behind the content the header may leave all three numbers open.
    let open = flags.has_data_descriptor()
        && pairs
            .iter()
            .all(|(_, said)| matches!(said, 0 | 0xffff_ffff));
    if header.file_path().as_ref() != record.file_path().as_ref()
        || header.compression_method() != method
        || header.flags() != flags
        || !(open || pairs.iter().all(|(is, said)| is == said))
    {
        return damaged(format!(
            "{name}: directory and header contradict each other"
        ));
    }
    if method == CompressionMethod::STORE && stored != plain {
        return damaged(format!("{name} is stored and has two different sizes"));
    }
    extra(name, header.extra_fields())?;
    extra(name, record.extra_fields())
}

/// Extra fields fill their place; what aligns a record may be zeros.
fn extra(name: &str, mut fields: ExtraFields<'_>) -> Result<(), Problem> {
    fields.by_ref().for_each(drop);
    match fields.remaining_bytes().iter().all(|byte| *byte == 0) {
        true => Ok(()),
        false => damaged(format!("{name}: the extra fields do not fill their place")),
    }
}

/// A record of the directory names the first disk; `rawzip` does not tell.
pub(super) fn one_disk(
    name: &str,
    reader: &impl ReaderAt,
    record: &ZipFileHeaderRecord<'_>,
) -> Result<(), Problem> {
    let disk = bytes::<2>(reader, record.central_directory_offset() + DISK)?;
    match number(&disk, 0, 2) {
        0 => Ok(()),
        disk => damaged(format!("{name} claims to lie on disk {disk}")),
    }
}

/// How long the data descriptor at `at` is, which must say what the directory says.
///
/// Whether its sizes have 32 or 64 bits is not written anywhere for sure (torch writes 64 behind
/// 4 GiB, where the directory needs 32), so the form that fits counts.
pub(super) fn descriptor(
    name: &str,
    reader: &impl ReaderAt,
    at: u64,
    record: &ZipFileHeaderRecord<'_>,
) -> Result<u64, Problem> {
    if !record.flags().has_data_descriptor() {
        return Ok(0);
    }
    // The directory's own end follows, so there are as many bytes.
    let all = bytes::<24>(reader, at)?;
    let signed = if all.starts_with(DESCRIPTOR) { 4 } else { 0 };
    let crc = number(&all, signed, 4);
    let fits = |width: usize| {
        crc == u64::from(record.crc32())
            && number(&all, signed + 4, width) == record.compressed_size_hint()
            && number(&all, signed + 4 + width, width) == record.uncompressed_size_hint()
    };
    match [4, 8].into_iter().find(|width| fits(*width)) {
        Some(width) => Ok((signed + 4 + 2 * width) as u64),
        None => damaged(format!(
            "{name}: directory and data descriptor contradict each other"
        )),
    }
}
