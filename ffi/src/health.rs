//! Health, from an immutable snapshot: never blocks, never enters a plugin.

use crate::bytes::Text;
use crate::error::Error;
use crate::guard::guard;
use crate::ownership::{Out, Owned, Shared, Utf8};
use crate::runtime::Runtime;

/// Health of every plugin, a JSON array sorted by name.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_health_json(
    runtime: Shared<Runtime>,
    out: Out<Owned<Text>>,
) -> Owned<Error> {
    guard("plugward_health_json", || {
        let out = out.open("out")?;
        out.set(Text::give(runtime.get("runtime")?.here()?.health_json()));
        Ok(())
    })
}

/// Health of one plugin, a JSON object. PW-REG-001 where there is no plugin of that name.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_health_plugin_json(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    out: Out<Owned<Text>>,
) -> Owned<Error> {
    guard("plugward_health_plugin_json", || {
        let out = out.open("out")?;
        let (runtime, plugin) = (runtime.get("runtime")?.here()?, plugin.read("plugin")?);
        let found = runtime.registry().find(plugin)?;
        out.set(Text::give(json(&plugward_core::health::one(&found))));
        Ok(())
    })
}

/// Counts by state, readiness and the log's figures, a JSON object.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_health_summary_json(
    runtime: Shared<Runtime>,
    out: Out<Owned<Text>>,
) -> Owned<Error> {
    guard("plugward_health_summary_json", || {
        let out = out.open("out")?;
        out.set(Text::give(json(&runtime.get("runtime")?.here()?.summary())));
        Ok(())
    })
}

/// Whether new calls are taken: not closed, and no plugin is still loading.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_health_ready(runtime: Shared<Runtime>) -> bool {
    guard("plugward_health_ready", || {
        Ok(runtime.get("runtime")?.here()?.summary().ready)
    })
}

/// Health has a JSON form in every case; an empty object stands for a mistake.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
}
