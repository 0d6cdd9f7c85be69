//! Faults and errors as they travel from a worker to its host.

use crate::call::Fault;
use crate::error::{Code, Error};
use serde::{Deserialize, Serialize};

/// A fault on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::worker) enum WireFault {
    Raised(String, String, Option<String>),
    RefusedInput(String),
    Cancelled,
    Exited(String, Option<String>),
    Panicked(String),
    Memory(String),
    Error(WireError),
    Denied(WireError),
}

/// An error on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::worker) struct WireError {
    code: String,
    kind: String,
    message: String,
    cause: String,
    remedy: String,
    traceback: Option<String>,
}

impl From<&Error> for WireError {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().as_str().to_owned(),
            kind: error.kind().to_owned(),
            message: error.message().to_owned(),
            cause: error.cause().to_owned(),
            remedy: error.remedy().to_owned(),
            traceback: error.traceback().map(str::to_owned),
        }
    }
}

impl From<WireError> for Error {
    fn from(wire: WireError) -> Self {
        let code = Code::from_code(&wire.code).unwrap_or(Code::WorkerProtocol);
        let error = Error::new(code)
            .with_kind(wire.kind)
            .with_message(wire.message)
            .with_cause(wire.cause)
            .with_remedy(wire.remedy);
        match wire.traceback {
            Some(text) => error.with_traceback(text),
            None => error,
        }
    }
}

/// For the worker.
pub(in crate::worker) fn to_wire(fault: Fault) -> WireFault {
    match fault {
        Fault::Raised {
            kind,
            message,
            traceback,
        } => WireFault::Raised(kind, message, traceback),
        Fault::RefusedInput { message } => WireFault::RefusedInput(message),
        // The host keeps the time: it asked the call to stop, and it did.
        Fault::Cancelled | Fault::Deadline { .. } | Fault::QueueTimeout { .. } => {
            WireFault::Cancelled
        }
        Fault::Exited { status, traceback } => WireFault::Exited(status, traceback),
        Fault::Panicked { message } => WireFault::Panicked(message),
        Fault::Memory { message } => WireFault::Memory(message),
        Fault::Crashed { error, .. } | Fault::NotStarted(error) | Fault::Error(error) => {
            WireFault::Error((&error).into())
        }
        Fault::Denied { error } => WireFault::Denied((&error).into()),
    }
}

/// For the host.
pub(in crate::worker) fn from_wire(fault: WireFault) -> Fault {
    match fault {
        WireFault::Raised(kind, message, traceback) => Fault::Raised {
            kind,
            message,
            traceback,
        },
        WireFault::RefusedInput(message) => Fault::RefusedInput { message },
        WireFault::Cancelled => Fault::Cancelled,
        WireFault::Exited(status, traceback) => Fault::Exited { status, traceback },
        WireFault::Panicked(message) => Fault::Panicked { message },
        WireFault::Memory(message) => Fault::Memory { message },
        WireFault::Error(error) => Fault::Error(error.into()),
        WireFault::Denied(error) => Fault::Denied {
            error: error.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_arrives_as_it_left() {
        let error = Error::new(Code::LoadConstruct)
            .with_message("m")
            .with_traceback("t");
        let bytes = rmp_serde::to_vec(&to_wire(Fault::Error(error.clone()))).unwrap();
        let Fault::Error(back) = from_wire(rmp_serde::from_slice(&bytes).unwrap()) else {
            panic!("another fault")
        };
        assert_eq!(back.to_value(), error.to_value());
        assert_eq!(back.traceback(), Some("t"));
    }
}
