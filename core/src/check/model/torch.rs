//! Files of torch: zip archives, and the pickles of before version 1.6.

use super::super::bounded::Pulse;
use super::Opened;
use super::format::{self, Format};
use super::problem::{Problem, damaged};
use super::zip::{self, Archive, Sort, Sums};

/// Looks into the file; answers what it is.
pub(super) fn check(
    opened: &Opened,
    format: Format,
    pinned: bool,
    pulse: &Pulse,
) -> Result<String, Problem> {
    if !opened.head.starts_with(format::ZIP) {
        return no_archive(&opened.head, format);
    }
    let archive = zip::check(&opened.file, opened.length, pulse)?;
    let files = archive.files;
    let sort = match (format, archive.sort) {
        (_, Sort::Script) => "TorchScript",
        (Format::TorchScript, Sort::Saved) => {
            return wrong("it was saved with torch.save, not with torch.jit.save");
        }
        (_, Sort::Saved) => "torch archive",
        (Format::Torch | Format::Archive, Sort::Other(sort)) => sort,
        (Format::Archive, Sort::Foreign) => "zip archive",
        _ => return wrong("it is a zip archive, but none of torch"),
    };
    Ok(format!(
        "{sort} with {files} files, {}",
        remarks(&archive, pinned)
    ))
}

fn wrong(why: &str) -> Result<String, Problem> {
    Err(Problem::Format(why.into()))
}

fn no_archive(head: &[u8], format: Format) -> Result<String, Problem> {
    if head.first() == Some(&format::PICKLE) {
        return match format {
            Format::TorchScript => wrong("it is a pickle of torch.save"),
            _ => Ok("a torch pickle of the old format, which has no checksums".into()),
        };
    }
    damaged(match head.iter().all(|byte| *byte == 0) {
        true => "it begins with zero bytes: its content never arrived",
        false => "it begins like no file of torch",
    })
}

/// What was checked, and what was not.
fn remarks(archive: &Archive, pinned: bool) -> String {
    let mut text = match archive.sums {
        Sums::Verified => "checksums verified".to_owned(),
        Sums::Unread => "too large to verify its checksums here; pin its sha256".to_owned(),
        Sums::Absent => "written without checksums; pin its sha256".to_owned(),
    };
    if let Some(why) = &archive.uncompared {
        text.push_str(&format!(
            "; its tensors were not compared with their records: {why}"
        ));
    }
    if archive.sort == Sort::Script && !pinned {
        text.push_str("; libtorch believes every byte of it, so pin its sha256");
    }
    text
}
