//! Text that the library made and C frees.

use crate::guard::guard;
use crate::ownership::{Owned, Shared, lend};
use plugward_abi::Bytes;

/// Text that belongs to whoever holds it.
pub struct Text(String);

impl Text {
    /// Gives `text` to C.
    pub(crate) fn give(text: String) -> Owned<Text> {
        Owned::give(Self(text))
    }
}

/// The text, valid until the string is freed; empty for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_string_bytes(string: Shared<Text>) -> Bytes {
    guard("plugward_string_bytes", || {
        Ok(string.peek().map_or(Bytes::EMPTY, |s| lend(&s.0)))
    })
}

/// Ends a string. NULL is nothing to end.
///
/// Thread: any, while no other thread uses the string.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_string_free(string: Owned<Text>) {
    guard("plugward_string_free", || {
        drop(string.take());
        Ok(())
    })
}
