//! Every cast of a pointer that crosses the edge, as a type that states who owns what.
//!
//! | type | C sees | who owns it |
//! |---|---|---|
//! | [`Shared`] | `const T *` | the other side; read during the call only |
//! | [`Owned`] | `T *` | whoever holds it: made by `give`, ended once by `take` |
//! | [`Out`] | `T *out` | C owns the place, this side fills it |
//! | [`Utf8`] | `plugward_bytes` | C; read during the call only |
//!
//! Values of these types are made by C, or in this file. What the header demands of C callers
//! ("a valid pointer or NULL, of the type that it says, not freed before") is the promise that every
//! `SAFETY` comment here stands on. What can be checked is checked: NULL, alignment, sizes, UTF-8.

use plugward_abi::{Bytes, DType, Device, Tensor};
use plugward_core::error::{Code, Error, Result};

/// A parameter that must point somewhere does not.
fn null(name: &str) -> Error {
    Error::new(Code::AbiNull).with_message(format!("{name} is NULL"))
}

fn aligned<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(null(name));
    }
    if !pointer.is_aligned() {
        let text = format!("{name} points to no place where its type can lie (misaligned)");
        return Err(Error::new(Code::AbiArgument).with_message(text));
    }
    Ok(())
}

/// A borrowed object: C keeps it alive and unchanged during the call.
#[repr(transparent)]
pub struct Shared<T>(*const T);

impl<T> Shared<T> {
    /// NULL, as a result.
    pub(crate) const NULL: Self = Self(std::ptr::null());

    /// Lends `value` to C, for as long as the handle that it belongs to lives.
    pub(crate) fn lend(value: &T) -> Self {
        Self(value)
    }

    /// The object, which must be there.
    pub(crate) fn get(&self, name: &str) -> Result<&T> {
        aligned(self.0, name)?;
        // SAFETY: not NULL and aligned; C promises that it is valid during the call.
        Ok(unsafe { &*self.0 })
    }

    /// The object, or `None` for NULL: accessors answer NULL neutrally.
    pub(crate) fn peek(&self) -> Option<&T> {
        self.get("").ok()
    }
}

/// An options struct: `struct_size` comes first, and all-zero is a value of it.
///
/// # Safety
/// `repr(C)`, the first member is the `u32` `struct_size`, and any bytes that C may write are a
/// value.
pub(crate) unsafe trait Options: Copy {
    /// Its name in the header.
    const NAME: &'static str;
    /// Its size when it was first published; never changes.
    const FIRST_SIZE: usize;
}

impl<T: Options> Shared<T> {
    /// Reads as many bytes as both sides know; the rest is zero. `None` for NULL.
    pub(crate) fn options(&self) -> Result<Option<T>> {
        if self.0.is_null() {
            return Ok(None);
        }
        aligned(self.0, T::NAME)?;
        // SAFETY: not NULL and aligned; every options struct begins with this member.
        let size = unsafe { *self.0.cast::<u32>() } as usize;
        if size < T::FIRST_SIZE {
            return Err(Error::new(Code::AbiStructSize).with_message(format!(
                "{}.struct_size is {size}; the first version had {}",
                T::NAME,
                T::FIRST_SIZE
            )));
        }
        let mut value = std::mem::MaybeUninit::<T>::zeroed();
        let known = size.min(size_of::<T>());
        // SAFETY: C says that `size` bytes are there, and `value` has room for `known`.
        unsafe {
            value
                .as_mut_ptr()
                .cast::<u8>()
                .copy_from_nonoverlapping(self.0.cast(), known)
        };
        // SAFETY: `Options` promises that zeros and whatever C wrote are a value.
        Ok(Some(unsafe { value.assume_init() }))
    }
}

/// An object that changes its owner: given to C, or taken back from it.
#[repr(transparent)]
pub struct Owned<T>(*mut T);

impl<T> Owned<T> {
    /// NULL.
    pub(crate) const NULL: Self = Self(std::ptr::null_mut());

    /// Gives `value` to C.
    pub(crate) fn give(value: T) -> Self {
        Self(Box::into_raw(Box::new(value)))
    }

    /// Takes back what [`Owned::give`] gave; `None` for NULL.
    pub(crate) fn take(self) -> Option<Box<T>> {
        // SAFETY: C passes on what `give` gave, once.
        (!self.0.is_null()).then(|| unsafe { Box::from_raw(self.0) })
    }
}

/// What an out parameter holds until it is filled.
pub(crate) trait Blank {
    /// Zero, or NULL.
    const BLANK: Self;
}

impl<T> Blank for Owned<T> {
    const BLANK: Self = Self::NULL;
}

impl Blank for u32 {
    const BLANK: Self = 0;
}

impl Blank for Tensor {
    const BLANK: Self = Self {
        data: std::ptr::null_mut(),
        device: Device { kind: 0, id: 0 },
        ndim: 0,
        dtype: DType {
            code: 0,
            bits: 0,
            lanes: 0,
        },
        shape: std::ptr::null(),
        strides: std::ptr::null(),
        byte_offset: 0,
    };
}

/// A place that C owns and this side fills.
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T: Blank> Out<T> {
    /// Zeroes the place, which must be there. Comes first in every function that has one, so that
    /// no later failure leaves it unset.
    pub(crate) fn open(&self, name: &str) -> Result<Slot<'_, T>> {
        aligned(self.0, name)?;
        // SAFETY: not NULL and aligned; C promises room for one value. Nothing is read or dropped.
        unsafe { self.0.write(T::BLANK) };
        // SAFETY: as above, and it is initialised now.
        Ok(Slot(unsafe { &mut *self.0 }))
    }

    /// The same for a parameter that may be NULL.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<Slot<'_, T>>> {
        if self.0.is_null() {
            Ok(None)
        } else {
            self.open(name).map(Some)
        }
    }
}

/// A zeroed place.
pub(crate) struct Slot<'a, T>(&'a mut T);

impl<T> Slot<'_, T> {
    /// Fills the place.
    pub(crate) fn set(self, value: T) {
        *self.0 = value;
    }
}

/// Text that C lends for the call: UTF-8, pointer and length.
#[repr(transparent)]
pub struct Utf8(Bytes);

impl Utf8 {
    /// The text.
    pub(crate) fn read(&self, name: &str) -> Result<&str> {
        let bytes = slice(self.0.data, self.0.len, name)?;
        std::str::from_utf8(bytes).map_err(|wrong| {
            let at = wrong.valid_up_to();
            Error::new(Code::AbiUtf8).with_message(format!("{name} is not UTF-8 at byte {at}"))
        })
    }
}

/// An array that C lends for the call. `(NULL, 0)` is the empty one.
pub(crate) fn slice<'a, T>(data: *const T, len: usize, name: &str) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    aligned(data, name)?;
    if len > isize::MAX as usize / size_of::<T>().max(1) {
        let text = format!("{name} has an impossible length, {len}");
        return Err(Error::new(Code::AbiArgument).with_message(text));
    }
    // SAFETY: not NULL, aligned, of a possible length; C promises that it is valid in the call.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// Text that this side lends to C, for as long as its handle lives.
pub(crate) fn lend(text: &str) -> Bytes {
    if text.is_empty() {
        Bytes::EMPTY
    } else {
        Bytes::borrow(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As of the third version: two members were added since the first.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Grown {
        struct_size: u32,
        first: u32,
        second: u64,
        third: u64,
    }

    // SAFETY: repr(C) of integers, `struct_size` first.
    unsafe impl Options for Grown {
        const NAME: &'static str = "grown";
        const FIRST_SIZE: usize = 8;
    }

    fn read(struct_size: u32) -> Result<Grown> {
        // The bytes behind a struct that says it is shorter must not be looked at.
        let value = Grown {
            struct_size,
            first: 1,
            second: 2,
            third: 3,
        };
        let read = Shared::lend(&value).options()?;
        read.ok_or_else(|| null("value"))
    }

    #[test]
    fn a_shorter_struct_is_read_as_far_as_it_goes_and_a_longer_one_as_far_as_we_know() {
        let grown = |struct_size, second, third| Grown {
            struct_size,
            first: 1,
            second,
            third,
        };
        assert_eq!(read(8), Ok(grown(8, 0, 0)));
        assert_eq!(read(16), Ok(grown(16, 2, 0)));
        assert_eq!(read(24), Ok(grown(24, 2, 3)));
        assert_eq!(read(4096), Ok(grown(4096, 2, 3)));
        for too_small in [0, 4, 7] {
            assert_eq!(read(too_small).unwrap_err().code(), Code::AbiStructSize);
        }
    }

    #[test]
    fn empty_text_and_wrong_text_are_told_apart() {
        let read = |data, len| Utf8(Bytes { data, len }).read("name").map(str::to_owned);
        assert_eq!(read(std::ptr::null(), 0), Ok(String::new()));
        assert_eq!(read(b"abc".as_ptr(), 2), Ok("ab".to_owned()));
        assert_eq!(read(std::ptr::null(), 1).unwrap_err().code(), Code::AbiNull);
        let wrong = read(b"ab\xff".as_ptr(), 3).unwrap_err();
        assert_eq!(wrong.code(), Code::AbiUtf8);
        assert!(
            wrong.message().contains("name is not UTF-8 at byte 2"),
            "{wrong}"
        );
    }

    #[test]
    fn a_place_is_zeroed_before_anything_else() {
        let mut place = 7_u32;
        drop(Out(&raw mut place).open("place"));
        assert_eq!(place, 0);
        assert!(Out::<u32>(std::ptr::null_mut()).open("place").is_err());
        assert!(
            Out::<u32>(std::ptr::null_mut())
                .optional("place")
                .is_ok_and(|p| p.is_none())
        );
    }
}
