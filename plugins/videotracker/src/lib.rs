//! VideoTracker: detection, multi-object tracking, pitch and radar of images and videos, as a native
//! plugin of Plugward.
//!
//! A frame goes one way: decoded (`picture`, `video`), letterboxed into the model's input, run by
//! libtorch (`backend`), decoded into boxes (`detect`) or keypoints (`pitch`), tracked (`track`),
//! told as JSON (`tools`). Everything but `backend` is Rust without libtorch and is built and tested
//! on every machine.

pub mod backend;
pub mod detect;
pub mod fault;
pub mod model;
pub mod picture;
pub mod pitch;
mod plugin;
pub mod settings;
pub mod tools;
pub mod track;
pub mod video;
