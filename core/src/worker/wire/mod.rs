//! What host and worker share: a mapping, the words in it, and the messages that lie in its slots.
//!
//! One memfd holds everything. Its size never changes (it is sealed), so a worker cannot make the
//! host fault by cutting it short; pages exist only once they are touched, so a slot may be as
//! large as the largest payload that is allowed and costs nothing until one comes.

mod checkpoint;
mod fault;
pub(super) mod futex;
mod layout;
mod message;
mod shm;

pub(super) use fault::{from_wire, to_wire};
pub(super) use layout::{
    ANSWERED, Crash, DIED, IDLE, KEEP, Lane, MAX_FRAMES, MAX_LANES, NOTE, Op, PAGE, PROTOCOL,
    Phase, Shape, busy,
};
pub(super) use message::{Head, Parts, ReplyHead, TensorHead, TooLarge, read, too_large, write};
pub(super) use shm::{Region, Segment};
