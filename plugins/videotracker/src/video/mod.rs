//! Videos, by the `ffmpeg` program at the other end of a pipe.
//!
//! Foreign video never enters this process: a decoder that crashes is a child that ended. Linking
//! libav was rejected: 1 ms a frame faster, but the decoders of the whole world in the worker, and a
//! build that needs one version of their headers. The decoder runs beside the model, so its time is
//! mostly hidden.

mod program;
mod reader;
mod stream;
mod told;
mod writer;

pub use program::find as find_program;
pub use reader::{Ending, Reader};
pub use told::Told;
pub use writer::Writer;
