//! Starting a worker process: no code of ours runs between fork and exec.
//!
//! The shared memory is the child's standard input, its output is a pipe, every other descriptor
//! of the host is closed on exec. Limits and permissions are set by the worker itself before it
//! touches the plugin; doing it in a `pre_exec` hook was rejected: that forces a `fork`, which
//! copies the page tables of a large host and may only call what is safe after a fork of threads.

use super::program::Program;
use crate::error::{Code, Error, Result};
use crate::manifest::Manifest;
use crate::permissions;
use crate::worker::wire::Segment;
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A process that was started, and the reading end of what it writes.
pub(super) struct Spawned {
    pub(super) pid: u32,
    pub(super) output: OwnedFd,
}

/// The command for `program`.
pub(super) fn command(
    program: &Program,
    manifest: &Manifest,
    segment: &Segment,
    scratch: &Path,
) -> Result<(Command, OwnedFd)> {
    let refused = |e: &dyn std::fmt::Display| {
        Error::new(Code::WorkerStart).with_message(format!("{}: {e}", program.path.display()))
    };
    let memory = segment.fd().try_clone_to_owned().map_err(|e| refused(&e))?;
    let (reader, writer) = output().map_err(|e| refused(&e))?;
    let twin = writer.try_clone().map_err(|e| refused(&e))?;
    let mut command = Command::new(&program.path);
    command
        .args(&program.args)
        .env_clear()
        .envs(environment(program, manifest))
        .env("TMPDIR", scratch)
        .stdin(Stdio::from(memory))
        .stdout(Stdio::from(twin))
        .stderr(Stdio::from(writer))
        .process_group(0);
    Ok((command, reader))
}

/// A pipe for what a worker writes: our end, which does not block, and its own.
pub(super) fn output() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader, writer))
}

/// The environment of `program` for a plugin, sorted.
pub(super) fn environment(program: &Program, manifest: &Manifest) -> Vec<(OsString, OsString)> {
    // OpenMP threads that spin while they wait slow every worker down: 12x a frame under load.
    let mut all = BTreeMap::from([("OMP_WAIT_POLICY".into(), "passive".into())]);
    let given = |name: &OsString| is_allowed(manifest, name) && !program.without.contains(name);
    all.extend(std::env::vars_os().filter(|(name, _)| given(name)));
    all.extend(program.env.iter().cloned());
    all.into_iter().collect()
}

fn is_allowed(manifest: &Manifest, name: &std::ffi::OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| permissions::is_allowed(manifest, name))
}

/// Starts it; for the reaper's thread.
pub(super) fn spawn(mut command: Command, output: OwnedFd) -> Result<Spawned> {
    let child = command.spawn().map_err(|e| {
        let program = command.get_program().to_string_lossy().into_owned();
        Error::new(Code::WorkerStart).with_message(format!("{program}: {e}"))
    })?;
    // Dropping the command closes the host's copies of the pipe's writing end.
    Ok(Spawned {
        pid: child.id(),
        output,
    })
}
