//! Loading, restarting and unloading plugins.

use crate::callback::{Callbacks, callback_loader};
use crate::error::Error;
use crate::guard::guard;
use crate::manifest::parse;
use crate::ownership::{Out, Owned, Shared, Utf8};
use crate::reports::Reports;
use crate::runtime::Runtime;
use plugward_core::error::{Code, Error as CoreError};
use plugward_core::manifest::Kind;
use std::path::Path;

/// Loads every plugin at `path`: a manifest, a plugin's folder, or a folder of them. A plugin's
/// fault is in its report, not in the returned error.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_load_path(
    runtime: Shared<Runtime>,
    path: Utf8,
    out: Out<Owned<Reports>>,
) -> Owned<Error> {
    guard("plugward_load_path", || {
        let out = out.open("out")?;
        let runtime = runtime.get("runtime")?.here()?;
        let path = path.read("path")?;
        if path.is_empty() {
            return Err(CoreError::new(Code::AbiArgument).with_message("path is empty"));
        }
        out.set(Reports::give(runtime.load_path(Path::new(path))));
        Ok(())
    })
}

/// Loads one plugin from its manifest (JSON or TOML text). With `callbacks` the plugin is of kind
/// `host` and runs the host's own functions; with NULL the loader of its kind is used.
///
/// When an error is returned (bad arguments, a manifest that cannot be read), `callbacks->user` is
/// still the caller's. Otherwise `callbacks->destroy` is called exactly once, after the last use:
/// also where the report says that the plugin was not loaded.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_load_manifest(
    runtime: Shared<Runtime>,
    manifest: Utf8,
    callbacks: Shared<Callbacks>,
    out: Out<Owned<Reports>>,
) -> Owned<Error> {
    guard("plugward_load_manifest", || {
        let out = out.open("out")?;
        let runtime = runtime.get("runtime")?.here()?;
        let callbacks = callbacks.options()?;
        let parsed = parse(manifest.read("manifest")?)?;
        let report = match callbacks {
            None => runtime.load(parsed),
            Some(_) if parsed.manifest.kind != Kind::Host => {
                let text = format!(
                    "callbacks go with kind \"host\", not \"{}\"",
                    parsed.manifest.kind
                );
                return Err(CoreError::new(Code::AbiArgument).with_message(text));
            }
            Some(callbacks) => runtime.load_with(parsed, callback_loader(callbacks)?),
        };
        out.set(Reports::give(vec![report]));
        Ok(())
    })
}

/// Begins the plugin's next generation. Results of the old one are refused as stale.
///
/// Thread: any, but not from inside a call of the plugin.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_restart(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    out: Out<Owned<Reports>>,
) -> Owned<Error> {
    guard("plugward_restart", || {
        let out = out.open("out")?;
        let report = runtime
            .get("runtime")?
            .here()?
            .restart(plugin.read("plugin")?)?;
        out.set(Reports::give(vec![report]));
        Ok(())
    })
}

/// Puts a new generation in the place of the present one without losing a call. The manifest is
/// read again where it came from a file. Where the new version does not come up, the report holds
/// the error and the old one serves as before. Waits for the calls under way, at most
/// `drain_timeout_ms`.
///
/// Thread: any, but not from inside a call of the plugin.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reload(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    out: Out<Owned<Reports>>,
) -> Owned<Error> {
    guard("plugward_reload", || {
        let out = out.open("out")?;
        let runtime = runtime.get("runtime")?.here()?;
        let report = runtime.reload(plugin.read("plugin")?)?;
        out.set(Reports::give(vec![report]));
        Ok(())
    })
}

/// Stops a plugin in good order: no further calls, those under way may end (at most
/// `drain_timeout_ms`), then its worker ends. It stays listed, UNAVAILABLE with PW-LIFE-003, until
/// `plugward_restart` or `plugward_reload` starts it again.
///
/// Thread: any, but not from inside a call of the plugin.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_stop(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    out: Out<Owned<Reports>>,
) -> Owned<Error> {
    guard("plugward_stop", || {
        let out = out.open("out")?;
        let runtime = runtime.get("runtime")?.here()?;
        let report = runtime.stop(plugin.read("plugin")?)?;
        out.set(Reports::give(vec![report]));
        Ok(())
    })
}

/// Ends a plugin and forgets it. Calls under way are left to end; their results are refused.
///
/// Thread: any, but not from inside a call of the plugin.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_unload(runtime: Shared<Runtime>, plugin: Utf8) -> Owned<Error> {
    guard("plugward_unload", || {
        runtime
            .get("runtime")?
            .here()?
            .unload(plugin.read("plugin")?)
    })
}
