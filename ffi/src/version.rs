//! Which version the library is, and whether the header fits.

use crate::error::Error;
use crate::guard::guard;
use crate::ownership::Owned;
use plugward_abi::Bytes;
use plugward_core::error::{Code, Error as CoreError};

/// Major version of this header: another major number is refused.
pub const VERSION_MAJOR: u32 = 0;
/// Minor version of this header. Before 1.0 it counts as major.
pub const VERSION_MINOR: u32 = 1;
/// Patch version of this header.
pub const VERSION_PATCH: u32 = 0;

/// The library's version: `major << 16 | minor << 8 | patch`.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_version() -> u32 {
    guard("plugward_version", || {
        Ok(VERSION_MAJOR << 16 | VERSION_MINOR << 8 | VERSION_PATCH)
    })
}

/// The library's version as text, `"0.1.0"`. Static.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_version_text() -> Bytes {
    guard("plugward_version_text", || {
        Ok(Bytes::borrow(env!("CARGO_PKG_VERSION").as_bytes()))
    })
}

/// Whether a program that was compiled against version `major.minor` may use this library; see
/// `PLUGWARD_CHECK_VERSION()`. PW-ABI-004 if not.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_version_check(major: u32, minor: u32) -> Owned<Error> {
    guard("plugward_version_check", || {
        let fits = match VERSION_MAJOR {
            0 => major == 0 && minor == VERSION_MINOR,
            _ => major == VERSION_MAJOR && minor <= VERSION_MINOR,
        };
        if fits {
            return Ok(());
        }
        Err(CoreError::new(Code::AbiVersion).with_message(format!(
            "the program was compiled against {major}.{minor}, the library is {}",
            env!("CARGO_PKG_VERSION")
        )))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_packages() {
        let text = format!("{VERSION_MAJOR}.{VERSION_MINOR}.{VERSION_PATCH}");
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
    }
}
