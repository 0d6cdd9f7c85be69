//! Whether a limit of the manifest was reached: the kernel says so by a number of its own.

use super::Attempt;
use crate::error::{Code, Error};
use crate::permissions::place;
use crate::worker::order::Order;

/// `None` where the manifest sets no such limit: then it is the system's.
pub(super) fn reached(order: &Order, errno: i32, attempt: Attempt) -> Option<Error> {
    let limits = &order.manifest.limits;
    let (name, value, what) = match (errno, attempt) {
        (libc::EFBIG, _) => ("file_size_mb", limits.file_size_mb?, "MiB a file"),
        (libc::EMFILE, _) => ("open_files", limits.open_files?.into(), "open files"),
        // The same number means "try again" elsewhere: `os.fork` and a pipe that is empty raise alike.
        (libc::EAGAIN, Attempt::Subprocess | Attempt::Unknown) => {
            let most = limits.processes?.into();
            if attempt == Attempt::Unknown && there_is_room() {
                return None;
            }
            ("processes", most, "processes and threads")
        }
        _ => return None,
    };
    let error = Error::new(Code::WorkerLimit)
        .with_cause(format!(
            "the plugin may have {value} {what} and wanted more"
        ))
        .with_remedy(format!(
            "raise limits.{name} (now {value}) in {}, or do less at once",
            place(&order.manifest)
        ));
    Some(error)
}

/// Whether one more thread could be had at this moment.
fn there_is_room() -> bool {
    let tried = std::thread::Builder::new()
        .stack_size(64 << 10)
        .spawn(|| {});
    tried.is_ok_and(|thread| thread.join().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn a_limit_is_named_where_it_is_set() {
        let manifest =
            json!({"name": "p", "kind": "host", "limits": {"file_size_mb": 3, "processes": 5}});
        let manifest = Manifest::from_value(manifest).unwrap().manifest;
        let order = Order::new(
            &manifest,
            1,
            Path::new("/nowhere"),
            std::collections::BTreeMap::default(),
        );
        let of = |errno, attempt| reached(&order, errno, attempt);
        let error = of(libc::EFBIG, Attempt::Unknown).unwrap();
        assert!(error.remedy().contains("limits.file_size_mb (now 3)"));
        assert!(of(libc::EMFILE, Attempt::Unknown).is_none());
        assert!(
            of(libc::EAGAIN, Attempt::Unknown).is_none(),
            "there is room"
        );
        assert!(of(libc::EAGAIN, Attempt::Subprocess).is_some());
    }
}
