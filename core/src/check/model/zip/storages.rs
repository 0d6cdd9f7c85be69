//! Compares the records of tensors with what the archive's pickles say of them.

use super::super::pickle::{self, Stop};
use super::super::problem::{Problem, damaged};
use super::walk::Walk;
use super::{checksum_problem, content, directory, problem};
use rawzip::{ReaderAt, ZipArchive, ZipFileHeaderRecord};
use std::io::Read;

/// The pickles of an archive, and the folder of the tensors that each speaks of.
const PICKLES: [(&str, &str); 2] = [("data.pkl", "data"), ("constants.pkl", "constants")];

/// Compares; answers why some tensors were not compared, where that is so.
pub(super) fn compare<R: ReaderAt>(
    archive: &ZipArchive<R>,
    buffer: &mut [u8],
    walk: &Walk,
) -> Result<Option<String>, Problem> {
    if !walk.has("data.pkl") {
        return Ok(None);
    }
    if walk.crowded {
        return Ok(Some("there are too many records".into()));
    }
    let mut reason = None;
    let mut entries = archive.entries(buffer);
    while let Some(record) = entries.next_entry().map_err(directory)? {
        let name = String::from_utf8_lossy(record.file_path().as_ref()).into_owned();
        let inner = name
            .strip_prefix(&walk.root)
            .and_then(|n| n.strip_prefix('/'));
        let pickle = PICKLES.iter().find(|(pickle, _)| inner == Some(pickle));
        let Some((pickle, folder)) = pickle else {
            continue;
        };
        if record.uncompressed_size_hint() > pickle::LIMIT {
            reason = Some(format!(
                "{pickle} is larger than {} MiB",
                pickle::LIMIT >> 20
            ));
            continue;
        }
        let bytes = unpacked(archive, &record, &name, walk.summed)?;
        let outcome = pickle::storages(&bytes, &mut |key, needed| {
            fits(walk, &format!("{}/{folder}/{key}", walk.root), needed)
        });
        match outcome {
            Ok(()) => {}
            Err(Stop::Unknown(why)) => reason = Some(format!("{pickle}: {why}")),
            Err(Stop::Broken(why)) => return damaged(format!("{name} is no pickle: {why}")),
            Err(Stop::Refused(problem)) => return Err(problem),
        }
    }
    Ok(reason)
}

/// The plain bytes of a record that has at most as many as its directory says.
fn unpacked<R: ReaderAt>(
    archive: &ZipArchive<R>,
    record: &ZipFileHeaderRecord<'_>,
    name: &str,
    summed: bool,
) -> Result<Vec<u8>, Problem> {
    let entry = archive
        .get_entry(record.wayfinder())
        .map_err(|e| problem(e, name))?;
    let size = record.uncompressed_size_hint();
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    let content = content(&entry, record.compression_method(), size, name)?;
    let mut content: Box<dyn Read> = match summed {
        true => Box::new(entry.verifying_reader(content)),
        false => content,
    };
    content
        .read_to_end(&mut bytes)
        .map_err(|error| checksum_problem(name, error))?;
    match bytes.len() as u64 == size {
        true => Ok(bytes),
        false => damaged(format!("{name} has not the size that its directory says")),
    }
}

fn fits(walk: &Walk, place: &str, needed: u64) -> Result<(), Problem> {
    match walk.sizes.get(place) {
        // Nothing is read for a tensor without elements.
        None if needed == 0 => Ok(()),
        None => damaged(format!(
            "{place} is missing, and a tensor of {needed} bytes needs it"
        )),
        Some(has) if *has < needed => damaged(format!(
            "{place} has {has} bytes, and its tensor needs {needed}: reading it would leave the \
             record"
        )),
        Some(_) => Ok(()),
    }
}
