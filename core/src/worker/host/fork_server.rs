//! One fork-server: started like a worker, asked for workers.

use super::child::{Child, Reason};
use super::reaper::Reaper;
use super::spawn::{self, Spawned};
use super::tail::Tail;
use crate::error::{Code, Error, Result};
use crate::log::Logger;
use crate::platform::fork_epoch;
use crate::sync::Mutex;
use crate::worker::fork::{Ask, Born, Ready, receive, send};
use crate::worker::wire::Segment;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, setpgid};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a fork may take, a thousand times what it does.
const PATIENCE: Duration = Duration::from_secs(5);

/// What makes two fork-servers the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Recipe {
    pub(super) path: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) preload: Vec<String>,
    pub(super) env: Vec<(OsString, OsString)>,
}

/// A living fork-server.
pub(super) struct ForkServer {
    child: Arc<Child>,
    tail: Arc<Tail>,
    /// One request at a time.
    socket: Mutex<OwnedFd>,
    forks: u32,
}

/// A fork-server that has just begun, and what it said first.
pub(super) struct Begun {
    pub(super) server: Arc<ForkServer>,
    pub(super) unfit: Option<String>,
    pub(super) notes: Vec<String>,
}

fn refused(e: impl std::fmt::Display) -> Error {
    Error::new(Code::WorkerStart).with_message(format!("the fork-server: {e}"))
}

impl ForkServer {
    /// Starts one and waits until it has imported what it should, at most until `deadline`.
    /// `on_exit` runs on the reaper's thread when it has ended, whenever that is.
    pub(super) fn start(
        recipe: &Recipe,
        reaper: &Reaper,
        log: &Logger,
        deadline: Instant,
        on_exit: impl FnOnce() + Send + 'static,
    ) -> Result<Begun> {
        let (command, socket, output) = command(recipe)?;
        let spawned = reaper.run(move || spawn::spawn(command, output))??;
        let child = Arc::new(Child::adopt(spawned.pid)?);
        let tail = Arc::new(Tail::new(spawned.output, log.clone()));
        reaper.watch(
            Arc::clone(&child),
            Arc::clone(&tail),
            None,
            Box::new(on_exit),
        );
        let server = Arc::new(Self {
            child,
            tail,
            socket: Mutex::new(socket),
            forks: fork_epoch(),
        });
        let Ready { unfit, notes } = server.hear(&server.socket.lock(), deadline)?;
        Ok(Begun {
            server,
            unfit,
            notes,
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        self.child.try_reap().is_none()
    }

    /// How it ended, with its last words.
    pub(super) fn obituary(&self) -> String {
        let exit = self.child.try_reap().unwrap_or_default();
        let how = match (exit.signal, exit.status) {
            (Some(signal), _) => crate::platform::signal_name(signal).to_owned(),
            (None, Some(status)) => format!("status {status}"),
            (None, None) => "an unknown end".to_owned(),
        };
        match self.tail.last_words().last() {
            Some(line) => format!("{how}: {line}"),
            None => how,
        }
    }

    /// Asks for a worker that has `segment` as its memory.
    pub(super) fn fork(&self, segment: &Segment, scratch: &Path) -> Result<Spawned> {
        let (output, writer) = spawn::output().map_err(refused)?;
        let ask = Ask {
            scratch: scratch.to_owned(),
            cwd: std::env::current_dir().ok(),
        };
        let socket = self.socket.lock();
        send(&*socket, &ask, &[segment.fd(), writer.as_fd()]).map_err(refused)?;
        let born: Born = self.hear(&socket, Instant::now() + PATIENCE)?;
        let pid = born
            .pid
            .ok_or_else(|| refused(born.refused.unwrap_or_default()))?;
        // Its own group, also before it has come to make one itself.
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = setpgid(Some(pid), Some(pid));
        }
        Ok(Spawned { pid, output })
    }

    /// Waits for a message. A fork-server that keeps silent is killed.
    fn hear<T: serde::de::DeserializeOwned>(
        &self,
        socket: &OwnedFd,
        deadline: Instant,
    ) -> Result<T> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).ok();
            let mut fds = [PollFd::new(socket, PollFlags::IN)];
            match poll(&mut fds, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(n) if n > 0 => break,
                _ => {
                    self.child.kill(Reason::Start);
                    return Err(refused("it did not answer in time and was killed"));
                }
            }
        }
        match receive(socket).map_err(refused)? {
            Some((message, _)) => Ok(message),
            None => {
                let _ = self.child.wait(Instant::now() + Duration::from_secs(1));
                Err(refused(format!("it ended, {}", self.obituary())))
            }
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        // In a forked child of the host it is the parent's.
        if self.forks == fork_epoch() {
            self.child.kill(Reason::Stopped);
        }
    }
}

fn command(recipe: &Recipe) -> Result<(Command, OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(refused)?;
    let (reader, writer) = spawn::output().map_err(refused)?;
    let twin = writer.try_clone().map_err(refused)?;
    let mut command = Command::new(&recipe.path);
    command
        .args(&recipe.args)
        .arg(recipe.preload.join(","))
        .env_clear()
        .envs(recipe.env.iter().cloned())
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::from(twin))
        .stderr(Stdio::from(writer))
        .process_group(0);
    Ok((command, ours, reader))
}
