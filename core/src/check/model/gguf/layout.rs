//! Where the tensors of a GGUF file lie: one after the other, each filled up to the alignment.

use super::super::problem::{Problem, damaged};
use super::block::{Block, block};

/// How many dimensions a tensor may have (`GGML_MAX_DIMS`).
pub(super) const DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;

/// The tensors' places, as far as they were told.
pub(super) struct Layout {
    alignment: u64,
    /// Where the last tensor ends, without what fills it up; counted from the data's start.
    end: u64,
    /// Whether that is sure: not behind a tensor of a type that is newer than the table.
    sure: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            alignment: DEFAULT_ALIGNMENT,
            end: 0,
            sure: true,
        }
    }
}

impl Layout {
    pub(super) fn align(&mut self, alignment: u32) -> Result<(), Problem> {
        if !alignment.is_power_of_two() {
            return damaged(format!("an alignment of {alignment} does not exist"));
        }
        self.alignment = u64::from(alignment);
        Ok(())
    }

    fn filled(&self, bytes: u64) -> u64 {
        bytes
            .checked_next_multiple_of(self.alignment)
            .unwrap_or(u64::MAX)
    }

    /// The next tensor, which must begin where the one before it ends.
    pub(super) fn tensor(&mut self, shape: &[u64], kind: u32, offset: u64) -> Result<(), Problem> {
        let expected = self.filled(self.end);
        let fits = match self.sure {
            true => offset == expected,
            false => offset >= expected && offset.is_multiple_of(self.alignment),
        };
        if !fits {
            return damaged(format!(
                "a tensor begins at byte {offset} of the data, not at {expected}"
            ));
        }
        let size = size(shape, kind)?;
        self.sure = size.is_some();
        let Some(end) = offset.checked_add(size.unwrap_or(0)) else {
            return damaged("a tensor is larger than every file");
        };
        self.end = end;
        Ok(())
    }

    /// The file ends with the last tensor; the header ends at byte `header`.
    pub(super) fn end(&self, header: u64, length: u64) -> Result<(), Problem> {
        if self.end == 0 && (header..=self.filled(header)).contains(&length) {
            return Ok(());
        }
        let need = self.filled(header).saturating_add(self.end);
        if need > length {
            return damaged(format!(
                "its tensors end at byte {need}, and the file at {length}"
            ));
        }
        if self.sure && length > self.filled(need) {
            return damaged(format!(
                "its tensors end at byte {need}, and the file goes on to {length}"
            ));
        }
        Ok(())
    }
}

/// The bytes of a tensor; none for a type that is newer than the table.
fn size(shape: &[u64], kind: u32) -> Result<Option<u64>, Problem> {
    let (elements, bytes) = match block(kind) {
        Block::Of(elements, bytes) => (elements, bytes),
        Block::Newer => return Ok(None),
        Block::None => return damaged(format!("tensor type {kind} does not exist")),
    };
    let row = shape.first().copied().unwrap_or(1);
    if !row.is_multiple_of(elements) {
        return damaged(format!("a row of {row} does not fit blocks of {elements}"));
    }
    let count = shape
        .iter()
        .try_fold(1_u64, |all, size| all.checked_mul(*size));
    match count.and_then(|count| (count / elements).checked_mul(bytes)) {
        Some(size) => Ok(Some(size)),
        None => damaged(format!("a tensor of {shape:?} is larger than every file")),
    }
}
