//! How a load or restart went, plugin by plugin.

use crate::error::Error;
use crate::guard::guard;
use crate::lifecycle::{STATE_NONE, State, number};
use crate::ownership::{Owned, Shared, lend};
use plugward_abi::Bytes;
use plugward_core::runtime::LoadReport;
use std::sync::OnceLock;

/// One report a plugin. Its texts and errors live as long as it does.
pub struct Reports {
    list: Vec<LoadReport>,
    errors: Vec<Option<Error>>,
    json: OnceLock<String>,
}

impl Reports {
    /// Gives the reports to C.
    pub(crate) fn give(list: Vec<LoadReport>) -> Owned<Self> {
        let errors = list
            .iter()
            .map(|r| r.error.clone().map(Error::new))
            .collect();
        Owned::give(Self {
            list,
            errors,
            json: OnceLock::new(),
        })
    }
}

fn at<T>(
    reports: &Shared<Reports>,
    index: usize,
    read: impl FnOnce(&LoadReport) -> T,
    otherwise: T,
) -> T {
    reports
        .peek()
        .and_then(|r| r.list.get(index))
        .map_or(otherwise, read)
}

/// How many plugins the reports speak of.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reports_count(reports: Shared<Reports>) -> usize {
    guard("plugward_reports_count", || {
        Ok(reports.peek().map_or(0, |r| r.list.len()))
    })
}

/// How many of them do not take calls.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reports_failed(reports: Shared<Reports>) -> usize {
    guard("plugward_reports_failed", || {
        Ok(reports
            .peek()
            .map_or(0, |r| r.list.iter().filter(|one| !one.is_ok()).count()))
    })
}

/// The name of the plugin at `index`; empty beyond the end.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reports_name(reports: Shared<Reports>, index: usize) -> Bytes {
    guard("plugward_reports_name", || {
        Ok(at(&reports, index, |r| lend(&r.name), Bytes::EMPTY))
    })
}

/// The state of the plugin at `index` after the load, one of `PLUGWARD_STATE_`.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reports_state(reports: Shared<Reports>, index: usize) -> State {
    guard("plugward_reports_state", || {
        Ok(at(&reports, index, |r| number(r.state), STATE_NONE))
    })
}

/// The generation that began; 0 where the plugin was not even registered.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reports_generation(reports: Shared<Reports>, index: usize) -> u32 {
    guard("plugward_reports_generation", || {
        Ok(at(&reports, index, |r| r.generation, 0))
    })
}

/// Why the plugin at `index` takes no calls; NULL where it does. Belongs to the reports.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reports_error(reports: Shared<Reports>, index: usize) -> Shared<Error> {
    guard("plugward_reports_error", || {
        let found = reports
            .peek()
            .and_then(|r| r.errors.get(index))
            .and_then(Option::as_ref);
        Ok(found.map_or(Shared::NULL, Shared::lend))
    })
}

/// All reports as a JSON array: `[{"name", "state", "generation", "error", "findings",
/// "assumptions", "affected", "cut_off", "took_ms"}]`.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reports_json(reports: Shared<Reports>) -> Bytes {
    guard("plugward_reports_json", || {
        let write = |r: &Reports| serde_json::to_string(&r.list).unwrap_or_default();
        Ok(reports
            .peek()
            .map_or(Bytes::EMPTY, |r| lend(r.json.get_or_init(|| write(r)))))
    })
}

/// Ends reports. NULL is nothing to end.
///
/// Thread: any, while no other thread uses the reports.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_reports_free(reports: Owned<Reports>) {
    guard("plugward_reports_free", || {
        drop(reports.take());
        Ok(())
    })
}
