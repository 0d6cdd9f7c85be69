//! The mapping itself: the one place where addresses in shared memory are made.

#![allow(
    unsafe_code,
    reason = "mmap and shared memory: one of the named unsafe addresses"
)]

use super::layout::{Header, Lane, MAGIC, PROTOCOL, Shape};
use crate::call::CHECKPOINT_LIMIT;
use crate::error::{Code, Error, Result};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

/// One mapping of a worker's shared memory.
pub(in crate::worker) struct Segment {
    base: NonNull<u8>,
    shape: Shape,
    fd: OwnedFd,
}

// SAFETY: the mapping belongs to the process, not to a thread; its words are atomics, its slots are
// only reached through `Region`, whose users follow the protocol of the lane's word.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

fn refuse(what: &str, error: impl std::fmt::Display) -> Error {
    Error::new(Code::WorkerStart).with_message(format!("{what}: {error}"))
}

impl Segment {
    /// The host's side: new, zeroed, sealed.
    pub(in crate::worker) fn create(shape: Shape) -> Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create("plugward", flags).map_err(|e| refuse("memfd", e))?;
        rustix::fs::ftruncate(&fd, shape.total()).map_err(|e| refuse("shared memory", e))?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&fd, seals).map_err(|e| refuse("sealing", e))?;
        let segment = Self {
            base: map(&fd, shape.total())?,
            shape,
            fd,
        };
        let header = segment.header();
        header.magic.store(MAGIC, Ordering::Relaxed);
        header.host_version.store(PROTOCOL, Ordering::Relaxed);
        header.lanes.store(shape.lanes, Ordering::Relaxed);
        header
            .request_slot
            .store(shape.request_slot, Ordering::Relaxed);
        header.reply_slot.store(shape.reply_slot, Ordering::Relaxed);
        header.host_pid.store(std::process::id(), Ordering::Release);
        Ok(segment)
    }

    /// The worker's side. The version is not looked at: that is the handshake's part.
    pub(in crate::worker) fn open(fd: OwnedFd) -> Result<Self> {
        let stranger = |why: &str| Error::new(Code::WorkerProtocol).with_message(why);
        let size = rustix::fs::fstat(&fd)
            .map_err(|e| refuse("shared memory", e))?
            .st_size as u64;
        if size < super::layout::PAGE {
            return Err(stranger(
                "standard input is not a Plugward host's shared memory",
            ));
        }
        let least = Shape {
            lanes: 1,
            request_slot: 0,
            reply_slot: 0,
        };
        let mut segment = Self {
            base: map(&fd, size)?,
            shape: least,
            fd,
        };
        let header = segment.header();
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return Err(stranger(
                "standard input is not a Plugward host's shared memory",
            ));
        }
        let shape = Shape {
            lanes: header.lanes.load(Ordering::Relaxed),
            request_slot: header.request_slot.load(Ordering::Relaxed),
            reply_slot: header.reply_slot.load(Ordering::Relaxed),
        };
        if segment.host_version() == PROTOCOL {
            segment.shape = shape.checked(size)?;
        }
        Ok(segment)
    }

    /// Makes the request slots read-only in this process: a plugin that writes into its arguments
    /// faults instead of changing the host's.
    pub(in crate::worker) fn protect_requests(&self) -> Result<()> {
        let (from, to) = (self.shape.requests(), self.shape.replies());
        // SAFETY: the range lies within the mapping and nothing in this process writes to it.
        let done = unsafe {
            let at = self.base.as_ptr().add(from as usize);
            rustix::mm::mprotect(at.cast(), (to - from) as usize, MprotectFlags::READ)
        };
        done.map_err(|e| refuse("mprotect", e))
    }

    pub(in crate::worker) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Bytes that were touched and not given back.
    #[cfg(test)]
    pub(in crate::worker) fn resident(&self) -> u64 {
        rustix::fs::fstat(&self.fd).map_or(0, |s| s.st_blocks as u64 * 512)
    }

    /// The number of its file, by which it is known among others.
    pub(in crate::worker) fn inode(&self) -> u64 {
        rustix::fs::fstat(&self.fd).map_or(0, |s| s.st_ino)
    }

    pub(in crate::worker) fn shape(&self) -> Shape {
        self.shape
    }

    pub(in crate::worker) fn host_version(&self) -> u32 {
        self.header().host_version.load(Ordering::Relaxed)
    }

    pub(in crate::worker) fn header(&self) -> &Header {
        // SAFETY: the first page is always mapped; every member is an atomic.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    /// # Panics
    /// For a lane that is not there.
    pub(in crate::worker) fn lane(&self, lane: u32) -> &Lane {
        assert!(lane < self.shape.lanes, "no lane {lane}");
        // SAFETY: the lane lies within the mapping and is aligned; every member is an atomic.
        unsafe {
            self.base
                .add(self.shape.lane_at(lane) as usize)
                .cast::<Lane>()
                .as_ref()
        }
    }

    /// A lane's request slot.
    pub(in crate::worker) fn request(&self, lane: u32) -> Region<'_> {
        self.region(self.shape.request_at(lane), self.shape.request_slot)
    }

    /// The reply slot of a lane.
    pub(in crate::worker) fn reply(&self, lane: u32) -> Region<'_> {
        self.region(self.shape.reply_at(lane), self.shape.reply_slot)
    }

    /// One of the two places of the last checkpoint.
    pub(super) fn checkpoint(&self, place: u32) -> Region<'_> {
        let at = self.shape.checkpoint_at(place & 1);
        // SAFETY: `at..at + CHECKPOINT_LIMIT` lies within the mapping: the request slots follow.
        let base = unsafe { self.base.add(at as usize) };
        Region {
            base,
            cap: CHECKPOINT_LIMIT,
            at,
            segment: self,
        }
    }

    /// A part of the slots, as the host named it; empty where it is none.
    pub(in crate::worker) fn region(&self, at: u64, cap: u64) -> Region<'_> {
        let end = at.checked_add(cap).filter(|end| *end <= self.shape.total());
        let (at, cap) = match end {
            Some(_) if at >= self.shape.requests() => (at, cap),
            _ => (self.shape.requests(), 0),
        };
        // SAFETY: `at..at + cap` lies within the mapping.
        let base = unsafe { self.base.add(at as usize) };
        Region {
            base,
            cap: cap as usize,
            at,
            segment: self,
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // The size is the file's, which is sealed.
        let size = rustix::fs::fstat(&self.fd).map_or(0, |s| s.st_size as usize);
        // SAFETY: the mapping is ours, and nothing that borrows from it is left.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), size) };
    }
}

fn map(fd: &OwnedFd, size: u64) -> Result<NonNull<u8>> {
    let flags = MapFlags::SHARED | MapFlags::NORESERVE;
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the kernel chooses.
    let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), size as usize, prot, flags, fd, 0) };
    let base = base.map_err(|e| refuse("mapping the shared memory", e))?;
    NonNull::new(base.cast()).ok_or_else(|| refuse("mapping the shared memory", "no address"))
}

/// A slot, or a part of one. The other process may write to it at any time: what comes out is a
/// copy, and what matters is checked after it was copied.
#[derive(Clone, Copy)]
pub(in crate::worker) struct Region<'a> {
    base: NonNull<u8>,
    cap: usize,
    at: u64,
    segment: &'a Segment,
}

impl<'a> Region<'a> {
    /// The mapping that it lies in.
    pub(in crate::worker) fn segment(&self) -> &'a Segment {
        self.segment
    }

    /// Where it begins.
    pub(in crate::worker) fn start(&self) -> NonNull<u8> {
        self.base
    }

    pub(in crate::worker) fn cap(&self) -> usize {
        self.cap
    }

    /// Copies `bytes` to `at`; false where they do not fit.
    pub(in crate::worker) fn put(&self, at: usize, bytes: &[u8]) -> bool {
        if at.checked_add(bytes.len()).is_none_or(|end| end > self.cap) {
            return false;
        }
        // SAFETY: the target lies within the region, and `bytes` is not in shared memory that
        // this process writes.
        unsafe {
            self.base
                .add(at)
                .as_ptr()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        };
        true
    }

    /// Copies `len` bytes from `at`; `None` where they are not all within the region.
    pub(in crate::worker) fn take(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        if at.checked_add(len)? > self.cap {
            return None;
        }
        let mut out: Vec<u8> = Vec::new();
        out.try_reserve_exact(len).ok()?;
        // SAFETY: the source lies within the region, the target has room for `len` bytes.
        unsafe {
            out.as_mut_ptr()
                .copy_from_nonoverlapping(self.base.add(at).as_ptr(), len);
            out.set_len(len);
        }
        Some(out)
    }

    /// Looks at `len` bytes from `at` where they lie. For the worker's request slots only: the host
    /// does not write to them while the call that they belong to is under way.
    pub(in crate::worker) fn view(&self, at: usize, len: usize) -> Option<&'a [u8]> {
        if at.checked_add(len)? > self.cap {
            return None;
        }
        // SAFETY: within the mapping, which outlives 'a, and not written while it is looked at.
        Some(unsafe { std::slice::from_raw_parts(self.base.add(at).as_ptr(), len) })
    }

    /// Gives the pages beyond `keep` bytes back to the system.
    pub(in crate::worker) fn trim(&self, keep: u64) {
        let Some(rest) = (self.cap as u64).checked_sub(keep).filter(|rest| *rest > 0) else {
            return;
        };
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        // Failing costs memory that the next large payload uses again.
        let _ = rustix::fs::fallocate(&self.segment.fd, flags, self.at + keep, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_seen_alike_from_both_sides_and_cannot_be_cut() {
        let host = Segment::create(Shape::new(2, 1000, 1000)).unwrap();
        let fd = host.fd().try_clone_to_owned().unwrap();
        assert!(rustix::fs::ftruncate(&fd, 0).is_err(), "sealed");
        let worker = Segment::open(fd).unwrap();
        assert_eq!(worker.shape(), host.shape());
        assert!(host.request(1).put(8, b"hello"));
        assert_eq!(worker.request(1).view(8, 5), Some(b"hello".as_slice()));
        assert_eq!(worker.request(0).take(8, 5), Some(vec![0; 5]));
    }

    #[test]
    fn nothing_outside_a_region_is_reached() {
        let host = Segment::create(Shape::new(1, 1000, 1000)).unwrap();
        let cap = host.reply(0).cap();
        assert!(!host.reply(0).put(cap - 1, b"ab"));
        assert!(!host.reply(0).put(usize::MAX, b"ab"));
        assert_eq!(host.reply(0).take(cap, 1), None);
        assert_eq!(host.region(0, 10).cap(), 0, "the words are no slot");
        assert_eq!(host.region(u64::MAX, 10).cap(), 0);
    }

    #[test]
    fn trimmed_pages_come_back_as_zeroes() {
        let host = Segment::create(Shape::new(1, 1 << 20, 1000)).unwrap();
        host.request(0).put(1 << 19, b"x");
        host.request(0).trim(4096);
        assert_eq!(host.request(0).take(1 << 19, 1), Some(vec![0]));
    }
}
