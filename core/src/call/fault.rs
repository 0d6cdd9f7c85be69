//! What can go wrong in a call, and what that means for the plugin.

use super::Effect;
use crate::error::{Code, Error};
use crate::manifest::FailsOn;
use std::time::Duration;

/// What became of the plugin's code when its deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// It was stopped where it was.
    Stopped,
    /// Its worker process was killed.
    Killed,
    /// It still runs on a thread that nobody waits for.
    Abandoned,
    /// It could not be stopped, returned late, and its result was discarded.
    ReturnedLate,
}

/// One fault, as the executing side saw it.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The plugin raised an exception, or answered an error.
    Raised {
        /// The exception's class name.
        kind: String,
        /// Its message.
        message: String,
        /// Its full traceback, where it is at hand.
        traceback: Option<String>,
    },
    /// The plugin says that its input is at fault.
    RefusedInput {
        /// Its message.
        message: String,
    },
    /// The plugin raised an exception because its manifest does not grant what it tried.
    Denied {
        /// The plugin's words, and the manifest line that would allow it.
        error: Error,
    },
    /// The deadline passed.
    Deadline {
        /// What the deadline was.
        limit: Duration,
        /// What became of the code.
        how: Interruption,
    },
    /// The deadline passed before the call had its turn.
    QueueTimeout {
        /// What the deadline was.
        limit: Duration,
    },
    /// The caller gave up, or the plugin was stopped.
    Cancelled,
    /// The plugin tried to end the process.
    Exited {
        /// The exit status it asked for, as text.
        status: String,
        /// Its full traceback, where it is at hand.
        traceback: Option<String>,
    },
    /// A Rust panic or a C++ exception left the plugin.
    Panicked {
        /// Its message.
        message: String,
    },
    /// Too much memory.
    Memory {
        /// What happened.
        message: String,
    },
    /// The worker process died.
    Crashed {
        /// How and why.
        error: Error,
        /// Whether the plugin's code had been entered.
        entered: bool,
    },
    /// The call never reached the plugin: its arguments have no room, its worker no thread.
    NotStarted(Error),
    /// Ready-made: schema violations, conversion errors and the like, which are no lifecycle fault.
    Error(Error),
}

impl Fault {
    /// The error that the caller gets.
    #[must_use]
    pub fn to_error(&self, plugin: &str, tool: &str) -> Error {
        match self {
            Fault::Raised {
                kind,
                message,
                traceback,
            } => {
                let error = Error::new(Code::CallPluginError)
                    .with_kind(kind.clone())
                    .with_message(message.clone());
                with_traceback(error, traceback)
            }
            Fault::RefusedInput { message } => {
                Error::new(Code::CallRefusedInput).with_message(message.clone())
            }
            Fault::Deadline { limit, how } => deadline(plugin, tool, *limit, *how),
            Fault::QueueTimeout { limit } => {
                Error::new(Code::CallQueueTimeout).with_message(format!(
                    "{plugin}.{tool} waited {} for its turn and was not begun",
                    ms(*limit)
                ))
            }
            Fault::Cancelled => Error::new(Code::CallCancelled)
                .with_message(format!("the call of {plugin}.{tool} was cancelled")),
            Fault::Exited { status, traceback } => {
                let error = Error::new(Code::CallExited).with_message(format!(
                    "{plugin}.{tool} tried to end the process with status {status}"
                ));
                with_traceback(error, traceback)
            }
            Fault::Panicked { message } => Error::new(Code::CallPanicked)
                .with_message(format!("{plugin}.{tool} panicked: {message}")),
            Fault::Memory { message } => Error::new(Code::CallMemory).with_message(message.clone()),
            Fault::Crashed { error, .. }
            | Fault::Denied { error }
            | Fault::NotStarted(error)
            | Fault::Error(error) => error.clone(),
        }
    }

    /// The same for a fault that is done with: its texts are moved, not copied.
    #[must_use]
    pub fn into_error(self, plugin: &str, tool: &str) -> Error {
        match self {
            Fault::Raised {
                kind,
                message,
                traceback,
            } => {
                let error = Error::new(Code::CallPluginError)
                    .with_kind(kind)
                    .with_message(message);
                match traceback {
                    Some(text) => error.with_traceback(text),
                    None => error,
                }
            }
            Fault::NotStarted(error) | Fault::Error(error) => error,
            other => other.to_error(plugin, tool),
        }
    }

    /// Whether it ends the plugin's generation.
    #[must_use]
    pub fn is_final(&self, fails_on: FailsOn) -> bool {
        match self {
            Fault::Raised { .. } | Fault::Denied { .. } | Fault::Exited { .. } => {
                fails_on == FailsOn::Exception
            }
            Fault::Deadline { .. }
            | Fault::Panicked { .. }
            | Fault::Memory { .. }
            | Fault::Crashed { .. } => true,
            Fault::RefusedInput { .. }
            | Fault::QueueTimeout { .. }
            | Fault::Cancelled
            | Fault::NotStarted(_)
            | Fault::Error(_) => false,
        }
    }

    /// Whether the plugin, not its caller, is counted an error.
    #[must_use]
    pub fn counts(&self) -> bool {
        match self {
            Fault::RefusedInput { .. } | Fault::QueueTimeout { .. } | Fault::Cancelled => false,
            Fault::NotStarted(error) | Fault::Error(error) => {
                error.code().row().kind != "InvalidInput"
            }
            // Its caller left, and the host ended it.
            Fault::Crashed { error, .. } => error.code() != Code::WorkerCancelled,
            _ => true,
        }
    }

    /// What may have happened to the outside world.
    #[must_use]
    pub fn effect(&self) -> Effect {
        match self {
            Fault::QueueTimeout { .. }
            | Fault::NotStarted(_)
            | Fault::Crashed { entered: false, .. } => Effect::NotStarted,
            // Found on the way in: the plugin's code was not entered.
            Fault::Error(error)
                if matches!(error.code(), Code::CallInvalidInput | Code::WorkerPayload) =>
            {
                Effect::NotStarted
            }
            Fault::Deadline {
                how: Interruption::Abandoned,
                ..
            }
            | Fault::Crashed { entered: true, .. }
            | Fault::Cancelled => Effect::MayHaveRun,
            Fault::Deadline {
                how: Interruption::ReturnedLate,
                ..
            }
            | Fault::Error(_) => Effect::Completed,
            _ => Effect::Stopped,
        }
    }
}

fn with_traceback(error: Error, traceback: &Option<String>) -> Error {
    match traceback {
        Some(text) => error.with_traceback(text.clone()),
        None => error,
    }
}

fn deadline(plugin: &str, tool: &str, limit: Duration, how: Interruption) -> Error {
    let what = match how {
        Interruption::Stopped => "and was interrupted",
        Interruption::Killed => "and its worker process was killed",
        Interruption::Abandoned => {
            "and could not be interrupted: its thread was abandoned and is counted in health"
        }
        Interruption::ReturnedLate => {
            "and could not be interrupted: it came back late and its result was discarded"
        }
    };
    Error::new(Code::CallDeadline).with_message(format!(
        "{plugin}.{tool} did not end within {} {what}",
        ms(limit)
    ))
}

/// A duration as people read it, `1500 ms`.
pub(crate) fn ms(d: Duration) -> String {
    let ms = d.as_secs_f64() * 1e3;
    if ms >= 10.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.3} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised() -> Fault {
        Fault::Raised {
            kind: "ValueError".into(),
            message: "no".into(),
            traceback: None,
        }
    }

    #[test]
    fn only_faults_of_the_plugin_end_its_generation() {
        assert!(raised().is_final(FailsOn::Exception));
        assert!(!raised().is_final(FailsOn::Crash));
        let late = Fault::Deadline {
            limit: Duration::from_secs(1),
            how: Interruption::Abandoned,
        };
        assert!(late.is_final(FailsOn::Crash));
        let refused = Fault::RefusedInput {
            message: "x".into(),
        };
        assert!(!refused.is_final(FailsOn::Exception) && !refused.counts());
        assert!(
            !Fault::QueueTimeout {
                limit: Duration::ZERO
            }
            .is_final(FailsOn::Exception)
        );
    }

    #[test]
    fn what_never_reached_the_plugin_has_no_effect() {
        let error = || Error::new(Code::WorkerKept);
        assert_eq!(Fault::NotStarted(error()).effect(), Effect::NotStarted);
        assert_eq!(Fault::Error(error()).effect(), Effect::Completed);
        let begun = Fault::Crashed {
            error: error(),
            entered: false,
        };
        assert_eq!(begun.effect(), Effect::NotStarted);
    }

    #[test]
    fn the_plugins_own_words_are_kept() {
        let error = raised().to_error("p", "t");
        assert_eq!((error.kind(), error.message()), ("ValueError", "no"));
        assert_eq!(error.code(), Code::CallPluginError);
    }
}
