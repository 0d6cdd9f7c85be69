//! The models of the manifest: checked, opened once a device, asked for by what they are for.

use crate::backend::{Answer, Backend, How, Program};
use crate::detect::Head;
use crate::fault::{self, Fault, Result};
use crate::model::{Meta, Named, Task};
use crate::picture::{Letterbox, Picture};
use crate::settings::{Device, Settings};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A model that is open on one device.
pub(super) struct Model {
    program: Program,
    pub(super) meta: Meta,
}

impl Model {
    /// Runs it on a batch; `planes` is memory that is used again.
    pub(super) fn run(
        &self,
        frames: &[impl Picture],
        planes: &mut Vec<f32>,
    ) -> Result<(Answer, Vec<Letterbox>)> {
        let [_, height, width] = self.meta.input;
        let each = 3 * height * width;
        planes.resize(each * frames.len(), 0.0);
        let places = frames
            .iter()
            .zip(planes.chunks_exact_mut(each))
            .map(|(frame, planes)| frame.fill(planes, width, height))
            .collect();
        let answer = self.program.run(planes, frames.len(), height, width)?;
        Ok((answer, places))
    }

    /// Runs it on a grey frame: does its answer fit what it says of itself?
    fn rehearse(&self) -> Result<()> {
        let [_, height, width] = self.meta.input;
        let grey = vec![114.0 / 255.0; 3 * height * width];
        // The second run is the one that libtorch has optimised: the first user should not wait.
        for _ in 0..2 {
            let answer = self.program.run(&grey, 1, height, width).map_err(|fault| {
                match fault.code == fault::MODEL_RUN {
                    true => Fault::new(fault::MODEL_HEAD, fault.message),
                    false => fault,
                }
            })?;
            Head::new(&self.meta, &answer, 1)?;
        }
        Ok(())
    }
}

/// The models of the manifest.
pub(super) struct Models {
    backend: Arc<Backend>,
    named: Vec<Named>,
    half: bool,
    threads: u16,
    open: Mutex<HashMap<(String, Device), Arc<Model>>>,
}

impl Models {
    pub(super) fn new(backend: Arc<Backend>, named: Vec<Named>, settings: &Settings) -> Self {
        Self {
            backend,
            named,
            half: settings.half,
            threads: settings.threads,
            open: Mutex::default(),
        }
    }

    /// Checks, opens and rehearses every model on `device`.
    pub(super) fn rehearse(&self, device: Device) -> Result<()> {
        for named in &self.named {
            self.on(named, device)?.rehearse().map_err(|fault| {
                let message = format!("models.{}: {}", named.name, fault.message);
                Fault::new(fault.code, message)
            })?;
        }
        Ok(())
    }

    /// The model of one of these names that is for `task`.
    pub(super) fn of(&self, names: &[&str], task: Task, device: Device) -> Result<Arc<Model>> {
        for name in names {
            if let Some(named) = self.named.iter().find(|n| n.name == *name) {
                let model = self.on(named, device)?;
                if model.meta.task != task {
                    let message = format!("models.{name} is for {:?}", model.meta.task);
                    return Err(Fault::new(fault::MODEL_HEAD, message));
                }
                return Ok(model);
            }
        }
        let message = format!(
            "models.{} is not in the manifest",
            names.join(" or models.")
        );
        Err(Fault::new(fault::TOOL_MODEL, message))
    }

    fn on(&self, named: &Named, device: Device) -> Result<Arc<Model>> {
        // Held while a model is opened: two callers must not open it twice.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (named.name.clone(), device);
        if let Some(model) = open.get(&key) {
            return Ok(Arc::clone(model));
        }
        if let Device::Cuda(number) = device {
            let seen = self.backend.cuda_devices();
            if i64::from(number) >= seen {
                let message = format!("{device} was asked for, and libtorch sees {seen} devices");
                return Err(Fault::new(fault::DEVICE, message));
            }
        }
        let checked = named.check()?;
        let how = How {
            device,
            half: self.half,
            threads: self.threads,
        };
        let program = self.backend.program(&checked.bytes, how).map_err(|fault| {
            let message = format!("models.{}: {}", named.name, fault.message);
            Fault::new(fault.code, message)
        })?;
        let model = Arc::new(Model {
            program,
            meta: checked.meta,
        });
        open.insert(key, Arc::clone(&model));
        Ok(model)
    }
}
