//! Figures for Prometheus.

use crate::bytes::Text;
use crate::error::Error;
use crate::guard::guard;
use crate::ownership::{Out, Owned, Shared};
use crate::runtime::Runtime;

/// All figures as OpenMetrics text.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_metrics_text(
    runtime: Shared<Runtime>,
    out: Out<Owned<Text>>,
) -> Owned<Error> {
    guard("plugward_metrics_text", || {
        let out = out.open("out")?;
        out.set(Text::give(runtime.get("runtime")?.here()?.metrics_text()));
        Ok(())
    })
}
