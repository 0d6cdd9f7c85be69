//! Pictures: decoding, the model's input, drawing, encoding.

mod decode;
mod draw;
mod letterbox;
mod planes;

pub use decode::{check_size, decode};
pub use draw::Canvas;
pub use letterbox::Letterbox;
pub use planes::{Colour, Planes};

/// What a model can be shown.
pub trait Picture {
    /// Pixels a row, and rows.
    fn size(&self) -> (usize, usize);

    /// Writes the picture into `planes`: 3 x `rows` x `columns` floats of 0 to 1. Scaled to fit with its shape kept;
    /// the rest is grey.
    fn fill(&self, planes: &mut [f32], columns: usize, rows: usize) -> Letterbox;
}

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

impl Picture for Frame {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn fill(&self, planes: &mut [f32], columns: usize, rows: usize) -> Letterbox {
        letterbox::fill(self, planes, columns, rows)
    }
}

/// A frame of a video.
#[derive(Clone, Debug, PartialEq)]
pub enum Shot {
    /// As pixels, which can be drawn on.
    Pixels(Frame),
    /// As the video holds it.
    Planes(Planes),
}

impl Shot {
    /// Its memory, for the next one.
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        match self {
            Self::Pixels(frame) => frame.rgb,
            Self::Planes(planes) => planes.data,
        }
    }
}

impl Picture for Shot {
    fn size(&self) -> (usize, usize) {
        match self {
            Self::Pixels(frame) => frame.size(),
            Self::Planes(planes) => (planes.width, planes.height),
        }
    }

    fn fill(&self, planes: &mut [f32], columns: usize, rows: usize) -> Letterbox {
        match self {
            Self::Pixels(frame) => frame.fill(planes, columns, rows),
            Self::Planes(own) => own.fill(planes, columns, rows),
        }
    }
}
