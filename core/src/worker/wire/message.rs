//! A message in a slot: a head in MessagePack, a body, and buffers that are only described in the
//! head, so that whoever reads may look at them where they lie.
//!
//! `[head length u32][0 u32][body length u64][head][body][buffer]...`; body and buffers begin at
//! multiples of 64. Nothing in it can run code: no pickle, no references.

use super::shm::Region;
use crate::call::OwnedTensor;
use crate::error::{Code, Error, Result};
use plugward_abi::DType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const PREFIX: usize = 16;
const ALIGN: usize = 64;

/// One buffer's description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::worker) struct TensorHead {
    pub(in crate::worker) code: u8,
    pub(in crate::worker) bits: u8,
    pub(in crate::worker) lanes: u16,
    pub(in crate::worker) shape: Vec<i64>,
    pub(in crate::worker) len: u64,
}

impl TensorHead {
    pub(in crate::worker) fn of(tensor: &OwnedTensor) -> Self {
        let DType { code, bits, lanes } = tensor.dtype;
        let len = tensor.data.len() as u64;
        Self {
            code,
            bits,
            lanes,
            shape: tensor.shape.clone(),
            len,
        }
    }

    pub(in crate::worker) fn dtype(&self) -> DType {
        DType {
            code: self.code,
            bits: self.bits,
            lanes: self.lanes,
        }
    }

    /// Whether shape and type describe `len` bytes.
    fn fits(&self) -> bool {
        let item = u64::from(self.bits) * u64::from(self.lanes) / 8;
        let count = self.shape.iter().try_fold(1_u64, |n, d| {
            u64::try_from(*d).ok().and_then(|d| n.checked_mul(d))
        });
        count.and_then(|n| n.checked_mul(item)) == Some(self.len)
    }
}

/// A request's head.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::worker) struct Head {
    pub(in crate::worker) tool: String,
    pub(in crate::worker) call_id: u64,
    /// Time left, in nanoseconds; `None` where there is no deadline.
    pub(in crate::worker) left_ns: Option<u64>,
    pub(in crate::worker) tensors: Vec<TensorHead>,
    /// Where each of them lies: frame and offset in the mapping.
    pub(in crate::worker) places: Vec<(u32, u64)>,
}

/// An answer's head: a fault, or none and the result is in body and buffers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::worker) struct ReplyHead {
    /// The call that it answers.
    pub(in crate::worker) call_id: u64,
    pub(in crate::worker) fault: Option<super::fault::WireFault>,
    pub(in crate::worker) tensors: Vec<TensorHead>,
}

/// Says how large a message would be that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::worker) struct TooLarge(pub(in crate::worker) usize);

/// Writes a message and returns its length.
pub(in crate::worker) fn write<'b>(
    slot: Region<'_>,
    head: &impl Serialize,
    body: &[u8],
    buffers: impl Iterator<Item = &'b [u8]>,
) -> std::result::Result<u64, TooLarge> {
    let head = rmp_serde::to_vec(head).map_err(|_| TooLarge(usize::MAX))?;
    let body_at = (PREFIX + head.len()).next_multiple_of(ALIGN);
    let mut fits = slot.put(0, &(head.len() as u64).to_le_bytes())
        && slot.put(8, &(body.len() as u64).to_le_bytes())
        && slot.put(PREFIX, &head)
        && slot.put(body_at, body);
    let mut end = body_at + body.len();
    for bytes in buffers {
        let at = end.next_multiple_of(ALIGN);
        fits = fits && slot.put(at, bytes);
        end = at.saturating_add(bytes.len());
    }
    if fits {
        Ok(end as u64)
    } else {
        Err(TooLarge(end))
    }
}

/// A message that was read: the head decoded, the rest still in the slot.
pub(in crate::worker) struct Parts<H> {
    pub(in crate::worker) head: H,
    pub(in crate::worker) body_at: usize,
    pub(in crate::worker) body_len: usize,
    /// Where the message ends.
    len: usize,
}

/// Reads the head of a message of `len` bytes.
pub(in crate::worker) fn read<H: DeserializeOwned>(slot: Region<'_>, len: u64) -> Result<Parts<H>> {
    let garbled = |why: &str| {
        Error::new(Code::WorkerProtocol).with_message(format!("a message is garbled: {why}"))
    };
    let number = |at| {
        let bytes = slot.take(at, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let sizes = number(0)
        .zip(number(8))
        .filter(|_| (PREFIX..=slot.cap()).contains(&len));
    let (head_len, body_len) = sizes.ok_or_else(|| garbled("its length"))?;
    let bytes = slot
        .take(PREFIX, head_len)
        .ok_or_else(|| garbled("its head's length"))?;
    let head = rmp_serde::from_slice(&bytes).map_err(|e| garbled(&format!("its head: {e}")))?;
    let body_at = (PREFIX + head_len).next_multiple_of(ALIGN);
    if body_at.checked_add(body_len).is_none_or(|end| end > len) {
        return Err(garbled("its body's length"));
    }
    Ok(Parts {
        head,
        body_at,
        body_len,
        len,
    })
}

impl<H> Parts<H> {
    /// The body, copied.
    pub(in crate::worker) fn body(&self, slot: Region<'_>) -> Vec<u8> {
        slot.take(self.body_at, self.body_len).unwrap_or_default()
    }

    /// Where each buffer lies. `None` where the description contradicts itself or the message.
    fn buffers(&self, heads: &[TensorHead]) -> Option<Vec<usize>> {
        let mut end = self.body_at + self.body_len;
        heads
            .iter()
            .map(|tensor| {
                let at = end.checked_next_multiple_of(ALIGN)?;
                end = at.checked_add(usize::try_from(tensor.len).ok()?)?;
                (end <= self.len && tensor.fits()).then_some(at)
            })
            .collect()
    }

    /// The buffers, copied.
    pub(in crate::worker) fn tensors(
        &self,
        heads: &[TensorHead],
        slot: Region<'_>,
    ) -> Option<Vec<OwnedTensor>> {
        let places = self.buffers(heads)?;
        let each = heads.iter().zip(places).map(|(head, at)| {
            let data = slot.take(at, head.len as usize)?;
            Some(OwnedTensor {
                dtype: head.dtype(),
                shape: head.shape.clone(),
                data: data.into(),
            })
        });
        each.collect()
    }
}

/// What a caller is told whose payload is too large for its slot.
pub(in crate::worker) fn too_large(code: Code, what: &str, needed: usize, cap: usize) -> Error {
    let mib = |n: usize| n as f64 / f64::from(1 << 20);
    Error::new(code).with_message(format!(
        "{what} of {:.1} MiB is larger than the {:.1} MiB that are allowed",
        mib(needed),
        mib(cap)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::layout::Shape;
    use super::super::shm::Segment;
    use super::*;

    fn tensor() -> OwnedTensor {
        OwnedTensor {
            dtype: DType::F32,
            shape: vec![2, 1],
            data: (0..8).collect::<Vec<u8>>().into(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_buffers_are_aligned() {
        let segment = Segment::create(Shape::new(1, 4096, 4096)).unwrap();
        let slot = segment.request(0);
        let tensors = [tensor(), tensor()];
        let head = Head {
            tool: "t".into(),
            tensors: tensors.iter().map(TensorHead::of).collect(),
            ..Head::default()
        };
        let buffers = tensors.iter().map(|t| &*t.data);
        let len = write(slot, &head, b"{}", buffers).unwrap();
        let parts: Parts<Head> = read(slot, len).unwrap();
        assert_eq!(parts.head, head);
        assert_eq!(parts.body(slot), b"{}");
        assert_eq!(parts.tensors(&parts.head.tensors, slot).unwrap(), tensors);
        let places = parts.buffers(&parts.head.tensors).unwrap();
        assert!(places.iter().all(|at| at % ALIGN == 0));
    }

    #[test]
    fn what_does_not_fit_says_how_much_it_needs() {
        let segment = Segment::create(Shape::new(1, 4096, 4096)).unwrap();
        let body = vec![0; 1 << 20];
        let refused = write(
            segment.request(0),
            &Head::default(),
            &body,
            std::iter::empty(),
        );
        assert!(matches!(refused, Err(TooLarge(n)) if n > 1 << 20));
    }

    #[test]
    fn a_worker_that_lies_is_refused() {
        let segment = Segment::create(Shape::new(1, 4096, 4096)).unwrap();
        let slot = segment.reply(0);
        let len = write(slot, &ReplyHead::default(), b"1", std::iter::empty()).unwrap();
        let parts: Parts<ReplyHead> = read(slot, len).unwrap();
        let lie = TensorHead {
            len: 9,
            ..TensorHead::of(&tensor())
        };
        assert!(parts.tensors(&[lie], slot).is_none());
        let huge = TensorHead {
            shape: vec![i64::MAX, 4],
            len: u64::MAX,
            ..TensorHead::of(&tensor())
        };
        assert!(parts.tensors(&[huge], slot).is_none());
        assert!(read::<ReplyHead>(slot, u64::MAX).is_err());
        // What is left of an earlier message is none of one that was cut.
        for cut in 0..len {
            assert!(read::<ReplyHead>(slot, cut).is_err(), "{cut} of {len}");
        }
        for word in [0, 8] {
            slot.put(word, &u64::MAX.to_le_bytes());
            assert!(read::<ReplyHead>(slot, len).is_err());
        }
        slot.put(0, &8_u64.to_le_bytes());
        slot.put(PREFIX, &[0xc1; 8]);
        assert!(read::<ReplyHead>(slot, len).is_err());
    }
}
