//! What every call returns.

use crate::error::Error;
use crate::guard::guard;
use crate::ownership::{Owned, Shared, lend};
use plugward_abi::{Bytes, Tensor};
use plugward_core::call::{Effect as CoreEffect, Outcome as CoreOutcome};
use plugward_core::error::{Code, Error as CoreError};
use plugward_core::native::borrow_tensor;
use std::sync::OnceLock;

/// What may have happened to the outside world, one of `PLUGWARD_EFFECT_`.
pub type Effect = u32;
/// The plugin was not entered.
pub const EFFECT_NOT_STARTED: Effect = 0;
/// The plugin's code ran to its end.
pub const EFFECT_COMPLETED: Effect = 1;
/// The plugin's code was stopped, or raised, on its way.
pub const EFFECT_STOPPED: Effect = 2;
/// Nobody knows: it may still run.
pub const EFFECT_MAY_HAVE_RUN: Effect = 3;

/// The answer to a call: a result or an error. Everything in it lives as long as it does.
pub struct Outcome {
    outcome: CoreOutcome,
    error: Option<Error>,
    json: OnceLock<String>,
    result: OnceLock<String>,
}

impl Outcome {
    /// Gives the outcome to C.
    pub(crate) fn give(outcome: CoreOutcome) -> Owned<Self> {
        let error = outcome.result.as_ref().err().cloned().map(Error::new);
        Owned::give(Self {
            outcome,
            error,
            json: OnceLock::new(),
            result: OnceLock::new(),
        })
    }
}

fn of<T>(outcome: &Shared<Outcome>, read: impl FnOnce(&CoreOutcome) -> T, otherwise: T) -> T {
    outcome.peek().map_or(otherwise, |o| read(&o.outcome))
}

/// Whether there is a result; false for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_ok(outcome: Shared<Outcome>) -> bool {
    guard("plugward_outcome_ok", || {
        Ok(of(&outcome, CoreOutcome::is_ok, false))
    })
}

/// The whole answer: `{"ok": true, "result", ...}` or `{"ok": false, "error", "error_type", "code",
/// "cause", "remedy", ...}`.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_json(outcome: Shared<Outcome>) -> Bytes {
    guard("plugward_outcome_json", || {
        let text = |o: &Outcome| lend(o.json.get_or_init(|| o.outcome.to_value().to_string()));
        Ok(outcome.peek().map_or(Bytes::EMPTY, text))
    })
}

/// The result alone, one JSON value; empty where there is an error.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_result_json(outcome: Shared<Outcome>) -> Bytes {
    guard("plugward_outcome_result_json", || {
        let Some(outcome) = outcome.peek() else {
            return Ok(Bytes::EMPTY);
        };
        let Ok(reply) = &outcome.outcome.result else {
            return Ok(Bytes::EMPTY);
        };
        Ok(lend(outcome.result.get_or_init(|| reply.value.to_string())))
    })
}

/// What went wrong; NULL where there is a result. Belongs to the outcome.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_error(outcome: Shared<Outcome>) -> Shared<Error> {
    guard("plugward_outcome_error", || {
        let error = outcome.peek().and_then(|o| o.error.as_ref());
        Ok(error.map_or(Shared::NULL, Shared::lend))
    })
}

/// What may have happened to the outside world, one of `PLUGWARD_EFFECT_`.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_effect(outcome: Shared<Outcome>) -> Effect {
    guard("plugward_outcome_effect", || {
        Ok(of(&outcome, |o| number(o.ended.effect), EFFECT_NOT_STARTED))
    })
}

const fn number(effect: CoreEffect) -> Effect {
    match effect {
        CoreEffect::NotStarted => EFFECT_NOT_STARTED,
        CoreEffect::Completed => EFFECT_COMPLETED,
        CoreEffect::Stopped => EFFECT_STOPPED,
        CoreEffect::MayHaveRun => EFFECT_MAY_HAVE_RUN,
    }
}

/// From admission to end, in milliseconds.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_elapsed_ms(outcome: Shared<Outcome>) -> f64 {
    guard("plugward_outcome_elapsed_ms", || {
        Ok(of(&outcome, |o| o.ended.elapsed.as_secs_f64() * 1e3, 0.0))
    })
}

/// The generation that was called; 0 when none was.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_generation(outcome: Shared<Outcome>) -> u32 {
    guard("plugward_outcome_generation", || {
        Ok(of(&outcome, |o| o.ended.generation, 0))
    })
}

/// The call's number, unique in the process; 0 when it was not admitted.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_call_id(outcome: Shared<Outcome>) -> u64 {
    guard("plugward_outcome_call_id", || {
        Ok(of(&outcome, |o| o.ended.call_id, 0))
    })
}

/// How many tensors go with the result.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_tensor_count(outcome: Shared<Outcome>) -> usize {
    guard("plugward_outcome_tensor_count", || {
        Ok(of(
            &outcome,
            |o| o.result.as_ref().map_or(0, |r| r.tensors.len()),
            0,
        ))
    })
}

/// A view of the tensor at `index`: read-only, compact, on the CPU, valid until the outcome is
/// freed. PW-ABI-007 beyond the end.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_tensor(
    outcome: Shared<Outcome>,
    index: usize,
    out: crate::ownership::Out<Tensor>,
) -> Owned<Error> {
    guard("plugward_outcome_tensor", || {
        let out = out.open("out")?;
        let outcome = outcome.get("outcome")?;
        let tensors = outcome
            .outcome
            .result
            .as_ref()
            .map_or(&[][..], |r| &r.tensors);
        let found = tensors.get(index).ok_or_else(|| {
            let text = format!("index {index}; the outcome has {} tensors", tensors.len());
            CoreError::new(Code::AbiArgument).with_message(text)
        })?;
        out.set(borrow_tensor(found));
        Ok(())
    })
}

/// Ends an outcome. NULL is nothing to end.
///
/// Thread: any, while no other thread uses the outcome.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_outcome_free(outcome: Owned<Outcome>) {
    guard("plugward_outcome_free", || {
        drop(outcome.take());
        Ok(())
    })
}
