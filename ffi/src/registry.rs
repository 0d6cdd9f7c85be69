//! The registry of plugins that the host executes itself.

use crate::error::Error;
use crate::guard::guard;
use crate::ownership::{Owned, Shared, Utf8};
use crate::runtime::Runtime;

/// Lists a plugin that the host executes itself, in LOADED. Its state then follows
/// `plugward_mark`. An empty `version` is allowed.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_register(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    description: Utf8,
    version: Utf8,
) -> Owned<Error> {
    guard("plugward_register", || {
        let runtime = runtime.get("runtime")?.here()?;
        let (description, version) = (description.read("description")?, version.read("version")?);
        runtime.register(plugin.read("plugin")?, description, version)
    })
}

/// Counts one execution of a plugin that the host executes itself. A negative `elapsed_ms` is
/// unknown.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_record(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    ok: bool,
    elapsed_ms: f64,
) -> Owned<Error> {
    guard("plugward_record", || {
        let runtime = runtime.get("runtime")?.here()?;
        runtime.record(
            plugin.read("plugin")?,
            ok,
            (elapsed_ms >= 0.0).then_some(elapsed_ms),
        )
    })
}
