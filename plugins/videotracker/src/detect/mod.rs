//! From a model's numbers to detections: the head's layout, the threshold, what overlaps.

mod centre;
mod nms;
mod yolo;

pub use nms::suppress;

use crate::backend::Answer;
use crate::fault::{self, Fault, Result};
use crate::model::{Family, Meta};
use crate::picture::Letterbox;
use crate::track::Detection;

/// What is kept of a model's answer.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Least confidence.
    pub confidence: f32,
    /// Boxes of one class that overlap more than this are one.
    pub iou: f32,
    /// Most detections of one frame.
    pub most: usize,
}

/// A view of one batch's answer, checked against the metadata.
pub struct Head<'a> {
    family: Family,
    classes: usize,
    stride: usize,
    answer: &'a Answer,
}

impl<'a> Head<'a> {
    /// Compares the answer's shape with what the metadata promise for `batch` frames.
    ///
    /// # Errors
    /// [`fault::MODEL_HEAD`] with both shapes.
    pub fn new(meta: &Meta, answer: &'a Answer, batch: usize) -> Result<Self> {
        let wanted = shape(meta, batch);
        let fits = answer.shape.len() == wanted.len()
            && wanted
                .iter()
                .zip(&answer.shape)
                .all(|(want, has)| want.is_none_or(|w| w == *has))
            && answer.data.len() == answer.shape.iter().product::<usize>();
        if !fits {
            let words: Vec<String> = wanted
                .iter()
                .map(|n| n.map_or("any".to_owned(), |n| n.to_string()))
                .collect();
            let message = format!(
                "the model answered {:?}, and family {:?} of {} classes or keypoints is [{}]",
                answer.shape,
                meta.family,
                meta.classes.len().max(meta.keypoints.len()),
                words.join(", ")
            );
            return Err(Fault::new(fault::MODEL_HEAD, message));
        }
        Ok(Self {
            family: meta.family,
            classes: meta.classes.len(),
            stride: meta.stride.unwrap_or(1),
            answer,
        })
    }

    /// The numbers of one frame of the batch.
    #[must_use]
    pub fn frame(&self, number: usize) -> &'a [f32] {
        let each: usize = self.answer.shape[1..].iter().product();
        &self.answer.data[number * each..][..each]
    }

    /// Sizes of one frame's numbers.
    #[must_use]
    pub fn sizes(&self) -> &'a [usize] {
        &self.answer.shape[1..]
    }

    /// The detections of one frame of the batch, in that frame's pixels, the most confident first.
    #[must_use]
    pub fn detections(
        &self,
        number: usize,
        place: &Letterbox,
        frame: (usize, usize),
        keep: Keep,
    ) -> Vec<Detection> {
        let numbers = self.frame(number);
        let found = match self.family {
            Family::YoloV8 => yolo::decode(numbers, self.classes, keep.confidence),
            Family::Centre => {
                let size = (self.sizes()[1], self.sizes()[2]);
                centre::decode(numbers, self.classes, size, self.stride, keep.confidence)
            }
            Family::Keypoints => Vec::new(),
        };
        let found = suppress(found, keep.iou, keep.most);
        let there = |one: Detection| {
            let [left, top, right, bottom] = one.xyxy;
            let [left, top] = place.back(left, top, frame);
            let [right, bottom] = place.back(right, bottom, frame);
            Detection {
                xyxy: [left, top, right, bottom],
                ..one
            }
        };
        found
            .into_iter()
            .map(there)
            .filter(|d| d.xyxy[2] > d.xyxy[0] && d.xyxy[3] > d.xyxy[1])
            .collect()
    }
}

/// The shape that the metadata promise; `None` is any size.
fn shape(meta: &Meta, batch: usize) -> Vec<Option<usize>> {
    let [_, height, width] = meta.input;
    let stride = meta.stride.unwrap_or(1);
    let cells = |n: usize| Some(n.div_ceil(stride));
    match meta.family {
        Family::YoloV8 => vec![Some(batch), Some(4 + meta.classes.len()), None],
        Family::Centre => vec![
            Some(batch),
            Some(meta.classes.len() + 4),
            cells(height),
            cells(width),
        ],
        Family::Keypoints => vec![
            Some(batch),
            Some(meta.keypoints.len()),
            cells(height),
            cells(width),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Task;

    fn meta(family: Family) -> Meta {
        Meta {
            family,
            task: Task::Detect,
            classes: vec!["player".into(), "ball".into()],
            input: [3, 64, 64],
            stride: Some(4),
            keypoints: Vec::new(),
            pitch: None,
            threshold: None,
            iou: None,
        }
    }

    fn zeros(shape: &[usize]) -> Answer {
        Answer {
            shape: shape.to_vec(),
            data: vec![0.0; shape.iter().product()],
        }
    }

    #[test]
    fn a_wrong_head_is_told_with_both_shapes() {
        let yolo = meta(Family::YoloV8);
        assert!(Head::new(&yolo, &zeros(&[2, 6, 100]), 2).is_ok());
        for shape in [&[1, 6, 100][..], &[2, 84, 100], &[2, 6], &[2, 6, 10, 10]] {
            let answer = zeros(shape);
            let fault = Head::new(&yolo, &answer, 2).err().unwrap();
            assert_eq!(fault.code, fault::MODEL_HEAD);
            assert!(
                fault.message.contains(&format!("{shape:?}")),
                "{}",
                fault.message
            );
        }
        let centre = meta(Family::Centre);
        assert!(Head::new(&centre, &zeros(&[1, 6, 16, 16]), 1).is_ok());
        assert!(Head::new(&centre, &zeros(&[1, 6, 8, 16]), 1).is_err());
    }

    #[test]
    fn a_box_is_told_in_the_frames_own_pixels() {
        let mut answer = zeros(&[1, 6, 3]);
        // Anchor 1: centre 32, 32, size 16 x 8, ball.
        for (row, value) in [(0, 32.0), (1, 32.0), (2, 16.0), (3, 8.0), (5, 0.9)] {
            answer.data[row * 3 + 1] = value;
        }
        let head = Head::new(&meta(Family::YoloV8), &answer, 1).unwrap();
        let place = Letterbox::new(128, 64, 64, 64);
        let keep = Keep {
            confidence: 0.5,
            iou: 0.7,
            most: 10,
        };
        let found = head.detections(0, &place, (128, 64), keep);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].class_id, found[0].confidence), (1, 0.9));
        assert_eq!(found[0].xyxy, [48.0, 24.0, 80.0, 40.0]);
    }
}
