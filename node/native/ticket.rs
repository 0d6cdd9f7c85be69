//! Calls under way, in JavaScript's hands: by number, because making a JavaScript object for each
//! call costs ten times what the core does for it.

use crate::seats::Sitting;
use crate::words::{Told, read};
use napi::bindgen_prelude::Float64Array;
use napi_derive::napi;
use parking_lot::Mutex;
use plugward_core::call::{Ended as CoreEnded, Fault, Interruption, Ticket};
use plugward_core::{Code, Error, Result};

/// What became of a call that did not go well.
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
    /// The error as JSON.
    pub error: String,
}

fn shown(ended: &CoreEnded, error: &Error) -> Ended {
    let mut value = error.to_value();
    if let (Some(text), Some(map)) = (error.traceback(), value.as_object_mut()) {
        map.insert("traceback".into(), text.into());
    }
    Ended {
        effect: ended.effect.as_str().to_owned(),
        elapsed_ms: ended.elapsed.as_secs_f64() * 1e3,
        generation: ended.generation,
        call_id: ended.call_id as f64,
        error: value.to_string(),
    }
}

/// A ticket and its armed deadline.
pub(crate) type Open = (Ticket, Option<Sitting>);

/// The calls under way.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<Slab>);

#[derive(Default)]
struct Slab {
    open: Vec<Option<Open>>,
    free: Vec<usize>,
}

impl Tickets {
    /// Keeps a ticket; answers its number and whether its result is wanted as JSON.
    pub(crate) fn keep(&self, ticket: Open, facts: &mut Facts) -> f64 {
        let target = ticket.0.target();
        let wants = target.tool().checks_output() || target.generation().error_field.is_some();
        facts.admitted(&ticket.0);
        let mut slab = self.0.lock();
        let at = slab.free.pop().unwrap_or(slab.open.len());
        if at == slab.open.len() {
            slab.open.push(None);
        }
        slab.open[at] = Some(ticket);
        (at * 2 + usize::from(wants)) as f64
    }

    fn take(&self, number: f64) -> Result<(Ticket, bool)> {
        let at = number as usize / 2;
        let mut slab = self.0.lock();
        let open = slab.open.get_mut(at).and_then(Option::take);
        let (ticket, sitting) = open.ok_or_else(no_such_call)?;
        slab.free.push(at);
        drop(slab);
        Ok((ticket, sitting.is_none_or(Sitting::leave)))
    }

    /// Takes back the deadline of a call under way.
    pub(crate) fn pardon(&self, number: f64) -> Result<()> {
        let mut slab = self.0.lock();
        let open = slab.open.get_mut(number as usize / 2);
        let (_, sitting) = open.and_then(Option::as_mut).ok_or_else(no_such_call)?;
        if let Some(sitting) = sitting.take() {
            sitting.leave();
        }
        Ok(())
    }

    /// The plugin answered. After the deadline that is a fault all the same.
    pub(crate) fn succeed(
        &self,
        number: f64,
        result: Option<String>,
        facts: &mut Facts,
    ) -> Result<Option<Ended>> {
        let (ticket, in_time) = self.take(number)?;
        if !in_time {
            let limit = ticket.limit().unwrap_or_default();
            let late = Fault::Deadline {
                limit,
                how: Interruption::ReturnedLate,
            };
            return Ok(Some(faulted(ticket, &late)));
        }
        if let Some(fault) = result.and_then(|text| objection(&ticket, &text)) {
            return Ok(Some(faulted(ticket, &fault)));
        }
        Ok(match ticket.succeed() {
            Ok(ended) => {
                facts.ended(&ended);
                None
            }
            Err((ended, error)) => Some(shown(&ended, &error)),
        })
    }

    /// The plugin did not answer as it should; `fault` is JSON.
    pub(crate) fn fault(&self, number: f64, fault: &str) -> Result<Ended> {
        let (ticket, _) = self.take(number)?;
        let fault = match read::<Told>(fault) {
            Ok(told) => told.into_fault(ticket.limit()),
            Err(error) => Fault::Error(error),
        };
        Ok(faulted(ticket, &fault))
    }
}

fn no_such_call() -> Error {
    Error::new(Code::AbiArgument).with_message("there is no such call, or it has ended")
}

fn faulted(ticket: Ticket, fault: &Fault) -> Ended {
    let (ended, error) = ticket.fault(fault);
    shown(&ended, &error)
}

/// Why a result is not accepted: its schema, or the manifest's error field.
fn objection(ticket: &Ticket, text: &str) -> Option<Fault> {
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

/// Four numbers that JavaScript reads after a call of the addon: call id, deadline in milliseconds
/// (0 for none), generation, elapsed milliseconds.
pub(crate) struct Facts(Float64Array);

impl Facts {
    /// Takes JavaScript's array.
    pub(crate) fn new(array: Float64Array) -> Result<Self> {
        if array.len() < 4 {
            return Err(Error::new(Code::AbiArgument).with_message("four numbers are needed"));
        }
        Ok(Self(array))
    }

    fn write(&mut self, at: usize, number: f64) {
        #[allow(
            unsafe_code,
            reason = "numbers for JavaScript, without an object a call"
        )]
        // SAFETY: the array lives as long as `self`, is only written on JavaScript's own thread, and
        // JavaScript does not run while it is. A detached array has length 0.
        let numbers = unsafe { self.0.as_mut() };
        if let Some(place) = numbers.get_mut(at) {
            *place = number;
        }
    }

    fn admitted(&mut self, ticket: &Ticket) {
        self.write(0, ticket.call_id() as f64);
        self.write(1, ticket.limit().map_or(0.0, |l| l.as_secs_f64() * 1e3));
        self.write(2, f64::from(ticket.target().generation().number));
    }

    fn ended(&mut self, ended: &CoreEnded) {
        self.write(3, ended.elapsed.as_secs_f64() * 1e3);
    }
}
