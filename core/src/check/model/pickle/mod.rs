//! How many bytes the tensors of a torch archive need, by its own pickle.
//!
//! libtorch believes the pickle: it makes a storage of the size that stands there over the record
//! that the archive holds, and a record that is shorter is read beyond its end. So the pickle's
//! storages are found here and compared. Nothing is executed: the opcodes that the picklers of
//! torch write (protocols 2 to 5) move words on a stack (see [`machine`]).
//!
//! A file may hold any pickle, so nothing in here grows with what it says: a word is a place in the
//! pickle's own bytes, a tuple is kept only where it is a persistent id (five flat words, which
//! cannot nest), and stack and memo have a limit. What is not known here ends the look without a
//! verdict, and the finding says so.

mod element;
mod machine;
mod opcodes;

use super::problem::Problem;
use machine::Machine;

/// The most that is read of a pickle, in bytes.
pub(super) const LIMIT: u64 = 16 << 20;

/// Why a look at a pickle ended without a verdict.
#[derive(Debug)]
pub(super) enum Stop {
    /// Something in it is not known here.
    Unknown(String),
    /// It is no pickle, or half of one.
    Broken(&'static str),
    /// A storage does not fit its record.
    Refused(Problem),
}

/// Tells `visit` every storage of a pickle: its record's key and the bytes that it needs.
pub(super) fn storages(
    bytes: &[u8],
    visit: &mut dyn FnMut(&str, u64) -> Result<(), Problem>,
) -> Result<(), Stop> {
    let mut machine = Machine::new(bytes, visit);
    while machine.step()? {}
    match machine.strange {
        true => Err(Stop::Unknown(
            "it refers to something that is no storage".into(),
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
