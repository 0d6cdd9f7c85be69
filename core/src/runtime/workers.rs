//! Which plugins get a process of their own, and who starts it.

use super::Runtime;
use super::load::{Step, failed};
use crate::call::Loader;
use crate::error::{Code, Error};
use crate::lifecycle::Event;
use crate::manifest::{Assumption, Isolation, Kind, Manifest, Parsed};
use std::sync::Arc;

/// Who starts worker processes of a kind, and whether plugins that name no isolation get one.
pub(super) type Offer = (Arc<dyn Loader>, bool);

impl Runtime {
    /// Runs plugins of `kind` that are isolated by process with `loader` from now on.
    /// `by_default`: also those whose manifest names no isolation.
    pub fn set_worker_loader(&self, kind: Kind, loader: Arc<dyn Loader>, by_default: bool) {
        self.0.workers.lock().insert(kind, (loader, by_default));
    }

    /// What starts worker processes for `kind`, if anything can, and whether it is the default.
    fn worker_loader(&self, kind: Kind) -> Option<Offer> {
        let mut workers = self.0.workers.lock();
        if let Some(known) = workers.get(&kind) {
            return Some(known.clone());
        }
        let loader = (kind == Kind::Native).then(|| self.native_workers())??;
        workers.insert(kind, (Arc::clone(&loader), true));
        Some((loader, true))
    }

    #[cfg(target_os = "linux")]
    fn native_workers(&self) -> Option<Arc<dyn Loader>> {
        use crate::worker::{Program, WorkerLoader};
        let program = match &self.0.options.worker {
            Some(path) => Some(Program::new(path)),
            None => Program::native(),
        };
        let (program, runtime) = (program?, Arc::downgrade(&self.0));
        let choose = move |manifest: &Manifest| {
            let runtime = runtime.upgrade();
            let door = runtime.and_then(|runtime| runtime.surroundings.load_full());
            let mut program = program.clone();
            program
                .env
                .extend(door.iter().flat_map(|door| door.environment(manifest)));
            program
        };
        Some(Arc::new(WorkerLoader::choosing(choose).ok()?))
    }

    #[cfg(not(target_os = "linux"))]
    fn native_workers(&self) -> Option<Arc<dyn Loader>> {
        None
    }

    /// The loader of a plugin that came as a manifest, and the isolation where it names none: a
    /// process, wherever one can be had.
    pub(super) fn placed(&self, parsed: &mut Parsed) -> Option<Arc<dyn Loader>> {
        let kind = parsed.manifest.kind;
        let in_process = || self.0.loaders.lock().get(&kind).cloned();
        match parsed.manifest.isolation {
            Some(Isolation::Process) => {
                let found = self.worker_loader(kind).map(|(loader, _)| loader);
                found.or_else(in_process)
            }
            None if kind != Kind::Host => match self.worker_loader(kind) {
                Some((loader, true)) => {
                    by_process(parsed);
                    Some(loader)
                }
                _ => in_process(),
            },
            _ => in_process(),
        }
    }
}

/// Fills in the isolation of a plugin whose loader starts processes.
pub(super) fn by_process(parsed: &mut Parsed) {
    if parsed.manifest.isolation.is_none() {
        parsed.manifest.isolation = Some(Isolation::Process);
        let message = "runs in a worker process, the default where one is available";
        parsed.assumptions.push(Assumption {
            key: "isolation".into(),
            message: message.into(),
        });
    }
}

/// Who asks for a process and cannot have one is told so, because a silent weaker isolation would
/// be a lie.
pub(super) fn isolation(manifest: &Manifest, loader: &dyn Loader) -> Step {
    let by_process = manifest.effective_isolation() == Isolation::Process;
    if manifest.require_enforcement && !by_process {
        let error = Error::new(Code::WorkerEnforcement).with_message(format!(
            "require_enforcement is set, and isolation \"{}\" enforces no permissions",
            manifest.effective_isolation()
        ));
        return Err((Event::DependencyMissing, error));
    }
    if manifest.python_interpreter().is_some() && !by_process {
        let error = Error::new(Code::LoadIsolation)
            .with_message(format!(
                "an interpreter of its own (\"python\": {:?}) needs a process of its own, not isolation \"{}\"",
                manifest.python.as_deref().unwrap_or_default(),
                manifest.effective_isolation()
            ))
            .with_remedy("set \"isolation\": \"process\" in the manifest, or leave it out");
        return Err((Event::DependencyMissing, error));
    }
    match (by_process, loader.isolates()) {
        (true, false) => Err((Event::DependencyMissing, no_process(manifest))),
        (false, true) => Err(failed(Error::new(Code::LoadIsolation).with_message(
            format!(
                "its loader starts worker processes, its manifest asks for isolation \"{}\"",
                manifest.effective_isolation()
            ),
        ))),
        _ => Ok(()),
    }
}

fn no_process(manifest: &Manifest) -> Error {
    if !cfg!(target_os = "linux") {
        return Error::new(Code::LoadIsolation)
            .with_message("isolation \"process\" is not available on this platform")
            .with_remedy("set \"isolation\": \"thread\" in the manifest, or leave it out");
    }
    if manifest.kind == Kind::Native {
        return Error::new(Code::WorkerProgram);
    }
    Error::new(Code::LoadIsolation)
        .with_message(format!(
            "isolation \"process\" is not available for plugins of kind \"{}\" in this host",
            manifest.kind
        ))
        .with_remedy("set \"isolation\": \"thread\" in the manifest, or leave it out")
}
