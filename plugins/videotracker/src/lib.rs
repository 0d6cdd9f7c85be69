//! VideoTracker: detection, multi-object tracking, pitch and radar of images and videos, as a native
//! plugin of Plugward.

pub mod track;
