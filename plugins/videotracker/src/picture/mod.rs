//! Pictures: decoding, the model's input, drawing, encoding.

mod decode;
mod draw;
mod letterbox;

pub use decode::{check_size, decode};
pub use draw::Canvas;
pub use letterbox::{Letterbox, fill};

/// One picture: rows of red, green and blue bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width * height * 3` bytes.
    pub rgb: Vec<u8>,
}

impl Frame {
    /// A black one.
    #[must_use]
    pub fn black(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            rgb: vec![0; width * height * 3],
        }
    }
}
