//! The arrays of a request, where they lie, and as long as somebody looks at them.

use super::lane::Incoming;
use crate::call::{Keep, TensorView};
use crate::worker::wire::TensorHead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells the host that a frame is still looked at.
struct Pin(&'static AtomicU32);

impl Pin {
    fn new(count: &'static AtomicU32) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The arrays of one request.
pub(super) struct Arrays<'a>(Vec<(&'a TensorHead, &'static [u8], Keep)>);

impl<'a> Arrays<'a> {
    /// `None` where the request contradicts itself.
    pub(super) fn of(request: &'a Incoming<'static>) -> Option<Self> {
        let head = &request.parts.head;
        if head.tensors.len() != head.places.len() {
            return None;
        }
        let segment = request.slot.segment();
        let each = head
            .tensors
            .iter()
            .zip(&head.places)
            .map(|(tensor, (frame, at))| {
                let data = segment
                    .region(*at, tensor.len)
                    .view(0, tensor.len as usize)?;
                let keep: Keep = Arc::new(Pin::new(segment.header().pins.get(*frame as usize)?));
                Some((tensor, data, keep))
            });
        each.collect::<Option<_>>().map(Self)
    }

    /// As executors take them.
    pub(super) fn views(&self) -> impl Iterator<Item = TensorView<'_>> {
        self.0.iter().map(|(head, data, keep)| TensorView {
            dtype: head.dtype(),
            shape: &head.shape,
            data,
            keep: Some(keep),
        })
    }
}
