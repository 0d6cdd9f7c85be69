//! The life of a worker process: handshake, one thread a lane, end.

use super::lane::Guest;
use super::{crash, lane, parent};
use crate::call::Loader;
use crate::error::{Code, Error, Result};
use crate::worker::wire::{PROTOCOL, Phase, Segment, futex};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Exit status of a worker that could not begin.
const MISUSED: i32 = 64;
/// Exit status of a worker of another version.
const FOREIGN: i32 = 65;

/// Serves the host whose shared memory is this process's standard input, with plugins that `loader`
/// loads, on the calling thread and further ones. Returns the exit status for the process, which calls
/// [`leave`](super::leave) before it exits.
///
/// The same [`Loader`] would load the plugin in process; what differs is only who dies of it.
#[must_use]
pub fn serve(loader: Arc<dyn Loader>) -> i32 {
    match begin(loader) {
        Ok(Some(guest)) => lane::run(guest, 0),
        Ok(None) => FOREIGN,
        Err(error) => {
            eprintln!("plugward worker: {error}");
            MISUSED
        }
    }
}

fn begin(loader: Arc<dyn Loader>) -> Result<Option<&'static Guest>> {
    let refused = |what: &str, e: &dyn std::fmt::Display| {
        Error::new(Code::WorkerStart).with_message(format!("{what}: {e}"))
    };
    let stdin = std::io::stdin();
    let fd = stdin
        .as_fd()
        .try_clone_to_owned()
        .map_err(|e| refused("standard input", &e))?;
    let segment: &'static Segment = Box::leak(Box::new(Segment::open(fd)?));
    let header = segment.header();
    header.worker_version.store(PROTOCOL, Ordering::Relaxed);
    if segment.host_version() != PROTOCOL {
        announce(segment, Phase::Foreign);
        return Ok(None);
    }
    parent::die_with(header.host_pid.load(Ordering::Relaxed))?;
    let null = std::fs::File::open("/dev/null").map_err(|e| refused("/dev/null", &e))?;
    rustix::stdio::dup2_stdin(&null).map_err(|e| refused("standard input", &e))?;
    segment.protect_requests()?;
    crash::watch(&header.crash);
    let guest = Guest::new(segment, loader);
    lane::enlist(guest, 0)?;
    announce(segment, Phase::Ready);
    Ok(Some(guest))
}

fn announce(segment: &Segment, phase: Phase) {
    segment
        .header()
        .phase
        .store(phase as u32, Ordering::Release);
    futex::wake(&segment.header().phase);
}
