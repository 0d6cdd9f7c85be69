//! Multi-object tracking: which detection of this frame is the object of the last one?

use serde::{Deserialize, Serialize};

/// One object that a detector saw in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Left, top, right, bottom, in pixels of the frame.
    pub xyxy: [f32; 4],
    /// 0 to 1.
    pub confidence: f32,
    /// Index into the model's classes.
    pub class_id: u32,
}

/// A detection that belongs to a known object.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// The object's number: no two objects and no two streams share one.
    pub track_id: u64,
    /// The detection's class.
    pub class_id: u32,
    /// The detection's box.
    pub xyxy: [f32; 4],
    /// The detection's confidence.
    pub confidence: f32,
    /// Index of the detection in the input.
    pub detection: usize,
}
