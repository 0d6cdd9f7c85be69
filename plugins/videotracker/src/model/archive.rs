//! The zip archive of a TorchScript file: every record's size and checksum, and its extra files.

use rawzip::{CompressionMethod, ZipArchive};
use std::collections::BTreeMap;
use std::io::Read;

/// The largest extra file that is read.
const EXTRA_LIMIT: u64 = 1 << 20;

/// Verifies every record; answers the extra files, the texts under `extra/`.
pub(super) fn walk(bytes: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let archive = ZipArchive::from_slice(bytes).map_err(|e| format!("the archive: {e}"))?;
    let mut extras = BTreeMap::new();
    let mut program = false;
    let mut entries = archive.entries();
    while let Some(record) = entries
        .next_entry()
        .map_err(|e| format!("the directory: {e}"))?
    {
        let name = String::from_utf8_lossy(record.file_path().as_ref()).into_owned();
        let entry = archive
            .get_entry(record.wayfinder())
            .map_err(|e| format!("{name}: {e}"))?;
        let (stored, plain) = (entry.data(), record.uncompressed_size_hint());
        let whole = match record.compression_method() {
            CompressionMethod::STORE => {
                if stored.len() as u64 != plain {
                    return Err(format!(
                        "{name} has {} bytes and says {plain}",
                        stored.len()
                    ));
                }
                read(entry.verifying_reader(stored), plain, &name)
            }
            CompressionMethod::DEFLATE => {
                let inflated = flate2::read::DeflateDecoder::new(stored).take(plain + 1);
                read(entry.verifying_reader(inflated), plain, &name)
            }
            _ => Err(format!(
                "{name} is compressed in a way that torch does not write"
            )),
        }?;
        program |= name.ends_with("/constants.pkl");
        let extra = name.split_once("/extra/").map(|(_, extra)| extra);
        if let Some(extra) = extra.filter(|_| plain <= EXTRA_LIMIT) {
            let text = String::from_utf8(whole).map_err(|_| format!("{name} is no text"))?;
            extras.insert(extra.to_owned(), text);
        }
    }
    match program {
        true => Ok(extras),
        false => Err("it holds no TorchScript program (no constants.pkl)".into()),
    }
}

/// Reads to the end, so that the checksum is compared; keeps the bytes of small files only.
fn read(mut reader: impl Read, plain: u64, name: &str) -> Result<Vec<u8>, String> {
    let mut kept = Vec::new();
    let done = match plain <= EXTRA_LIMIT {
        true => reader.read_to_end(&mut kept).map(|n| n as u64),
        false => std::io::copy(&mut reader, &mut std::io::sink()),
    };
    done.map(|_| kept)
        .map_err(|e| format!("{name} is damaged: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn zip(name: &str, data: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut output);
        let (mut entry, config) = archive.new_file(name).start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(data).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
        archive.finish().unwrap();
        output
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_seen() {
        let whole = zip("m/constants.pkl", b"123456789");
        assert_eq!(walk(&whole), Ok(BTreeMap::new()));
        let at = whole.windows(9).position(|w| w == b"123456789").unwrap();
        for bit in 0..72 {
            let mut flipped = whole.clone();
            flipped[at + bit / 8] ^= 1 << (bit % 8);
            let text = walk(&flipped).unwrap_err();
            assert!(text.contains("m/constants.pkl"), "{text}");
        }
    }

    #[test]
    fn an_archive_that_is_cut_off_or_holds_no_program_is_refused() {
        let whole = zip("m/data.pkl", b"123456789");
        let text = walk(&whole).unwrap_err();
        assert!(text.contains("TorchScript"), "{text}");
        for length in 0..whole.len() {
            assert!(walk(&whole[..length]).is_err(), "{length}");
        }
    }
}
