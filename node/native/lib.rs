//! Plugward's Node addon: the narrow door between the core and the TypeScript package.
//!
//! State, generations, health and metrics are the core's. JavaScript runs the plugins' code, because
//! nobody else can; it takes a ticket from the core for each call and gives it back with what became
//! of the call. From Rust to JavaScript there is one way, the [`signal`] function, so that there is
//! one place where the event loop is woken. `node/src/native.ts` is this crate's interface.

pub mod calls;
pub mod check;
pub mod guard;
pub mod heap;
pub mod leaving;
mod loader;
mod packages;
pub mod runtime;
mod seats;
mod signal;
pub mod ticket;
pub mod view;
mod words;
pub mod worker;
