//! What a host and its fork-server say to one another, on a socket pair that keeps messages whole.

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// The first word of a fork-server, once it has imported what it was told to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// Why it must not fork, if so.
    pub(super) unfit: Option<String>,
    /// What it left out, and why.
    pub(super) notes: Vec<String>,
}

/// Asks for a worker; its memory and the writing end of its output come with the message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) scratch: PathBuf,
    pub(super) cwd: Option<PathBuf>,
}

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Born {
    pub(super) pid: Option<u32>,
    /// Why there is none.
    pub(super) refused: Option<String>,
}

/// Descriptors that go with one message.
pub(super) const FDS: usize = 2;
/// Longest message.
const LONGEST: usize = 64 << 10;

/// Sends one message.
pub(super) fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> std::io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::NOBUFS.into());
    }
    loop {
        let flags = SendFlags::NOSIGNAL;
        match sendmsg(&socket, &[IoSlice::new(&text)], &mut control, flags) {
            Err(Errno::INTR) => {}
            done => return done.map(|_| ()).map_err(Into::into),
        }
    }
}

/// Waits for one message; `None` once the other side has closed.
pub(super) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> std::io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut text = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        let mut into = [IoSliceMut::new(&mut text)];
        match recvmsg(&socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(None),
            done => break done?.bytes,
        }
    };
    if got == 0 {
        return Ok(None);
    }
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok(Some((serde_json::from_slice(&text[..got])?, fds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    #[test]
    fn a_message_crosses_with_its_descriptors() {
        let flags = SocketFlags::CLOEXEC;
        let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let file = tempfile::tempfile().unwrap();
        let ask = Ask {
            scratch: "/tmp/x".into(),
            cwd: None,
        };
        send(&a, &ask, &[file.as_fd(), a.as_fd()]).unwrap();
        let (got, fds) = receive::<Ask>(&b).unwrap().unwrap();
        assert_eq!((got.scratch, fds.len()), (ask.scratch, 2));
        drop(fds);
        drop(a);
        assert!(receive::<Ask>(&b).unwrap().is_none());
    }
}
