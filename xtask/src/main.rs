//! `cargo xtask generate` writes every generated file, `cargo xtask check` tells which of the
//! committed ones have drifted from their source, and whether the doors compile different cores.
//!
//! A generator is one file with one function from nothing to a text; [`generators::ALL`] lists
//! them. The same list serves writing, checking and the test, so none can be forgotten.

mod drift;
mod errors_h;
mod errors_md;
mod errors_py;
mod errors_ts;
mod features;
mod generators;
mod header;
mod manifest_schema;
mod names;
mod plugin_h;
mod plugward_h;
mod readme;
mod touch_up;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["generate"] => drift::generate(),
        ["check"] => drift::check(),
        _ => Err("usage: cargo xtask generate | check".into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("xtask: {wrong}");
            ExitCode::from(2)
        }
    }
}
