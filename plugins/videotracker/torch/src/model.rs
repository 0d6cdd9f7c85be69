//! One TorchScript program on its device.

#![allow(
    unsafe_code,
    reason = "a tensor over the caller's memory: one of the named unsafe addresses"
)]

use crate::table::{Input, Setup};
use tch::{CModule, Device, IValue, Kind, TchError, Tensor};

/// A program, ready to run.
pub(crate) struct Model {
    module: CModule,
    device: Device,
    kind: Kind,
}

/// What went wrong, in libtorch's words.
pub(crate) struct Trouble(pub(crate) String);

impl From<TchError> for Trouble {
    fn from(error: TchError) -> Self {
        Self(error.to_string())
    }
}

impl Model {
    pub(crate) fn open(mut bytes: &[u8], setup: Setup) -> Result<Self, Trouble> {
        #[cfg(feature = "faults")]
        crate::edge::injected(true)?;
        let device = match usize::try_from(setup.device) {
            Ok(number) => Device::Cuda(number),
            Err(_) => Device::Cpu,
        };
        if setup.threads > 0 {
            // There is no fallible form; it throws for numbers below 1 only.
            tch::set_num_threads(setup.threads);
        }
        let mut module = CModule::load_data_on_device(&mut bytes, device)?;
        module.f_set_eval()?;
        let half = setup.half != 0 && device.is_cuda();
        let kind = if half { Kind::Half } else { Kind::Float };
        if half {
            // There is no fallible form: it panics when the card is full, which the caller's guard catches.
            module.to(device, kind, false);
        }
        Ok(Self {
            module,
            device,
            kind,
        })
    }

    /// The program's answer as compact floats on the CPU.
    ///
    /// # Safety
    /// `input` must describe memory that is there until this returns.
    pub(crate) unsafe fn run(&self, input: &Input) -> Result<Tensor, Trouble> {
        #[cfg(feature = "faults")]
        crate::edge::injected(false)?;
        // There is no fallible form; it sets a flag of this thread and cannot throw.
        let _no_gradients = tch::no_grad_guard();
        // SAFETY: by the caller's promise; the view does not outlive this function.
        let view = unsafe {
            Tensor::f_from_blob(
                input.data.cast(),
                &input.shape,
                &[],
                Kind::Float,
                Device::Cpu,
            )?
        };
        let planes = view.f_to_device(self.device)?.f_to_kind(self.kind)?;
        let mut given = [IValue::Tensor(planes)];
        let answer = self.module.forward_is(&given);
        if answer.is_err() {
            self.release(&mut given);
        }
        Ok(first(answer?)?
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Float)?
            .f_contiguous()?)
    }
}

impl Model {
    /// Gives back the input's memory after a failure.
    ///
    /// `tch` frees its copies of the arguments only where all goes well: a reference to the input stays
    /// for ever, and on a full card each failure would make it fuller. The reference is to the same
    /// tensor, so an empty one takes its place. `forward_ts` does not leak, but refuses models that
    /// answer a tuple, and they would be run twice.
    fn release(&self, given: &mut [IValue; 1]) {
        let [IValue::Tensor(planes)] = given else {
            return;
        };
        if let Ok(nothing) = Tensor::f_zeros([0_i64], (self.kind, self.device)) {
            let _ = planes.f_set_data(&nothing);
        }
    }
}

/// Exports often answer a tuple or list whose first member is the prediction.
fn first(value: IValue) -> Result<Tensor, Trouble> {
    match value {
        IValue::Tensor(tensor) => Ok(tensor),
        IValue::Tuple(values) | IValue::GenericList(values) => match values.into_iter().next() {
            Some(value) => first(value),
            None => Err(Trouble("the model answered an empty tuple".into())),
        },
        IValue::TensorList(tensors) => match tensors.into_iter().next() {
            Some(tensor) => Ok(tensor),
            None => Err(Trouble("the model answered an empty list".into())),
        },
        _ => Err(Trouble("the model answered no tensor".into())),
    }
}
