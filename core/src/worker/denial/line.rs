//! Lines of a manifest, told to people as what to do.

use crate::error::{Code, Error};
use crate::permissions::place;
use crate::worker::order::Order;
use std::path::Path;

pub(super) const NETWORK: &str = "set permissions.network = true";
pub(super) const SUBPROCESS: &str = "set permissions.subprocess = true";
/// Ends the remedy of what is refused whatever the manifest says.
const NOTHING: &str = "nothing in the manifest allows it: the plugin must do without";

/// `add "/data" to permissions.write`.
pub(super) fn add(path: &Path, to: &str) -> String {
    format!("add \"{}\" to permissions.{to}", path.display())
}

/// The error whose remedy is all of `lines`.
pub(super) fn error(order: &Order, code: Code, cause: String, lines: &[String]) -> Error {
    let remedy = format!("{} in {}", lines.join(" and "), place(&order.manifest));
    Error::new(code).with_cause(cause).with_remedy(remedy)
}

pub(super) fn network(order: &Order) -> Option<Error> {
    let cause = "the plugin may not use the network";
    (!order.manifest.permissions.network).then(|| {
        error(
            order,
            Code::DeniedNetwork,
            cause.to_owned(),
            &[NETWORK.to_owned()],
        )
    })
}

pub(super) fn subprocess(order: &Order) -> Option<Error> {
    let cause = "the plugin may not start programs or other processes";
    (!order.manifest.permissions.subprocess).then(|| {
        error(
            order,
            Code::DeniedSubprocess,
            cause.to_owned(),
            &[SUBPROCESS.to_owned()],
        )
    })
}

pub(super) fn variable(order: &Order, name: &str) -> Option<Error> {
    let known = order.withheld.iter().any(|withheld| withheld == name);
    known.then(|| {
        error(
            order,
            Code::DeniedEnvironment,
            format!("the host has the variable {name}, and the plugin does not see it"),
            &[format!("add \"{name}\" to env")],
        )
    })
}

/// Refused to every plugin.
pub(super) fn never(cause: &str) -> Error {
    Error::new(Code::DeniedAlways)
        .with_cause(cause)
        .with_remedy(NOTHING)
}

/// A folder was to change, and its error does not name it.
pub(super) fn some_folder(order: &Order) -> Error {
    let cause = "what was to change lies in no path that permissions.write names";
    let line = "add its folder to permissions.write".to_owned();
    error(order, Code::DeniedWrite, cause.to_owned(), &[line])
}

/// It was refused, and what it was is not to be known: every line that is not granted.
pub(super) fn something(order: &Order) -> Error {
    let permissions = &order.manifest.permissions;
    let mut lines = Vec::new();
    if !permissions.network {
        lines.push(NETWORK);
    }
    if !permissions.subprocess {
        lines.push(SUBPROCESS);
    }
    if !permissions.read.is_empty() {
        lines.push("add what it reads to permissions.read");
    }
    lines.push("add what it writes to permissions.write");
    let remedy = format!(
        "if it is the sandbox: {}, in {}",
        lines.join(", or "),
        place(&order.manifest)
    );
    Error::new(Code::DeniedSomething)
        .with_cause("the system refused it, and the plugin's words do not tell what it tried")
        .with_remedy(remedy)
}
