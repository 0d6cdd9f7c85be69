//! A mount that never answers, as a network mount whose server is gone.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A FUSE mount whose first request is answered, so that it counts as alive, and no other.
pub(crate) struct DeadMount {
    place: CString,
    device: Option<File>,
}

impl DeadMount {
    /// Mounts; `None` where that is not possible.
    #[allow(unsafe_code, reason = "mount has no safe form in std")]
    pub(crate) fn new(place: &Path) -> Option<Self> {
        let mut device = File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .ok()?;
        let place = CString::new(place.as_os_str().as_bytes()).unwrap();
        let options = format!(
            "fd={},rootmode=40755,user_id=0,group_id=0",
            device.as_raw_fd()
        );
        let options = CString::new(options).unwrap();
        // SAFETY: all strings are NUL-terminated and outlive the call.
        let rc = unsafe {
            libc::mount(
                c"dead".as_ptr(),
                place.as_ptr(),
                c"fuse".as_ptr(),
                libc::MS_NOSUID | libc::MS_NODEV,
                options.as_ptr().cast(),
            )
        };
        if rc != 0 {
            return None;
        }
        greet(&mut device);
        Some(Self {
            place,
            device: Some(device),
        })
    }
}

/// Answers FUSE_INIT (linux/fuse.h, protocol 7.31): header of 16 bytes, body of 64.
fn greet(device: &mut File) {
    let mut request = vec![0; 256 * 1024];
    assert!(
        device.read(&mut request).unwrap() >= 40,
        "a request has a header"
    );
    let mut answer = vec![0; 80];
    answer[0] = 80;
    answer[8..16].copy_from_slice(&request[8..16]);
    answer[16] = 7;
    answer[20] = 31;
    answer[36..40].copy_from_slice(&4096_u32.to_le_bytes());
    device.write_all(&answer).unwrap();
}

impl Drop for DeadMount {
    /// Ends the connection, which wakes everybody who waits, and unmounts.
    #[allow(unsafe_code, reason = "umount2 has no safe form in std")]
    fn drop(&mut self) {
        drop(self.device.take());
        // SAFETY: the path is NUL-terminated.
        unsafe { libc::umount2(self.place.as_ptr(), libc::MNT_DETACH) };
    }
}
