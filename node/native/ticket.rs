//! A call under way, in JavaScript's hands.

use crate::guard::{Thrown, guard};
use crate::seats::Sitting;
use crate::words::{Told, read};
use napi_derive::napi;
use plugward_core::call::{Ended as CoreEnded, Fault, Interruption, Ticket as CoreTicket};
use plugward_core::{Code, Error, Result};

/// What became of a call.
#[napi(object)]
pub struct Ended {
    /// `not_started`, `completed`, `stopped` or `may_have_run`.
    pub effect: String,
    /// From admission to end.
    pub elapsed_ms: f64,
    /// The generation that was called.
    pub generation: u32,
    /// Unique in the process.
    pub call_id: f64,
    /// The error as JSON, where there is one.
    pub error: Option<String>,
}

/// As JavaScript sees it.
pub(crate) fn shown(ended: &CoreEnded, error: Option<&Error>) -> Ended {
    Ended {
        effect: ended.effect.as_str().to_owned(),
        elapsed_ms: ended.elapsed.as_secs_f64() * 1e3,
        generation: ended.generation,
        call_id: ended.call_id as f64,
        error: error.map(|e| {
            let mut value = e.to_value();
            if let (Some(text), Some(map)) = (e.traceback(), value.as_object_mut()) {
                map.insert("traceback".into(), text.into());
            }
            value.to_string()
        }),
    }
}

/// A call under way: end it with `succeed` or `fault`. One that is forgotten counts as a panic.
#[napi]
pub struct Ticket {
    open: Option<(CoreTicket, Option<Sitting>)>,
    call_id: f64,
    generation: u32,
    wants_result: bool,
}

#[napi]
impl Ticket {
    pub(crate) fn new(ticket: CoreTicket, sitting: Option<Sitting>) -> Self {
        let target = ticket.target();
        let wants_result =
            target.tool().checks_output() || target.generation().error_field.is_some();
        let (call_id, generation) = (ticket.call_id() as f64, target.generation().number);
        Self {
            open: Some((ticket, sitting)),
            call_id,
            generation,
            wants_result,
        }
    }

    /// Unique in the process.
    #[napi(getter)]
    pub fn call_id(&self) -> f64 {
        self.call_id
    }

    /// The generation that was entered.
    #[napi(getter)]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether `succeed` needs the result as JSON: it has a schema, or an error field.
    #[napi(getter)]
    pub fn wants_result(&self) -> bool {
        self.wants_result
    }

    /// How long the call may take; nothing when it may take for ever.
    #[napi(getter)]
    pub fn limit_ms(&self) -> Option<f64> {
        self.open
            .as_ref()
            .and_then(|(t, _)| t.limit())
            .map(|l| l.as_secs_f64() * 1e3)
    }

    /// The plugin answered. After the deadline that is a fault all the same.
    #[napi]
    pub fn succeed(&mut self, result: Option<String>) -> Result<Ended, Thrown> {
        guard(|| {
            let (ticket, in_time) = self.take()?;
            if !in_time {
                let limit = ticket.limit().unwrap_or_default();
                return Ok(ended(
                    ticket,
                    &Fault::Deadline {
                        limit,
                        how: Interruption::ReturnedLate,
                    },
                ));
            }
            if let Some(fault) = result.and_then(|text| objection(&ticket, &text)) {
                return Ok(ended(ticket, &fault));
            }
            Ok(match ticket.succeed() {
                Ok(done) => shown(&done, None),
                Err((done, error)) => shown(&done, Some(&error)),
            })
        })
    }

    /// The plugin did not answer as it should; `fault` is JSON.
    #[napi]
    pub fn fault(&mut self, fault: String) -> Result<Ended, Thrown> {
        guard(|| {
            let (ticket, _) = self.take()?;
            let fault = match read::<Told>(&fault) {
                Ok(told) => told.into_fault(ticket.limit()),
                Err(error) => Fault::Error(error),
            };
            Ok(ended(ticket, &fault))
        })
    }

    fn take(&mut self) -> Result<(CoreTicket, bool)> {
        let twice = || Error::new(Code::AbiArgument).with_message("the call has ended already");
        let (ticket, sitting) = self.open.take().ok_or_else(twice)?;
        Ok((ticket, sitting.is_none_or(Sitting::leave)))
    }
}

fn ended(ticket: CoreTicket, fault: &Fault) -> Ended {
    let (done, error) = ticket.fault(fault);
    shown(&done, Some(&error))
}

/// Why a result is not accepted: its schema, or the manifest's error field.
fn objection(ticket: &CoreTicket, text: &str) -> Option<Fault> {
    let value: serde_json::Value = match read(text) {
        Ok(value) => value,
        Err(error) => return Some(Fault::Error(error)),
    };
    if let Err(error) = ticket.target().tool().check_output(&value) {
        return Some(Fault::Error(error));
    }
    let field = ticket.target().generation().error_field.as_deref()?;
    let said = match value.get(field)? {
        serde_json::Value::Null | serde_json::Value::Bool(false) => return None,
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(Fault::Error(
        Error::new(Code::CallErrorField).with_message(said),
    ))
}
