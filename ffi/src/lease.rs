//! Memory of a worker that a host fills in place.

use crate::error::Error;
use crate::guard::guard;
use crate::ownership::{Out, Owned, Shared, Utf8};
use crate::runtime::Runtime;
#[cfg(target_os = "linux")]
use plugward_core::worker::Lease as CoreLease;

/// Memory of a plugin's worker. A tensor argument that lies in it is not copied.
#[cfg(target_os = "linux")]
pub struct Lease(CoreLease);

/// There are no worker processes on this platform, so nothing is ever leased.
#[cfg(not(target_os = "linux"))]
pub struct Lease(std::convert::Infallible);

#[cfg(target_os = "linux")]
fn leased(runtime: &Runtime, plugin: &str, size: usize) -> plugward_core::Result<Lease> {
    runtime.here()?.lease(plugin, size).map(Lease)
}

#[cfg(not(target_os = "linux"))]
fn leased(_: &Runtime, _: &str, _: usize) -> plugward_core::Result<Lease> {
    Err(plugward_core::Error::new(plugward_core::Code::WorkerLease))
}

#[cfg(target_os = "linux")]
fn place(lease: &Lease) -> *mut u8 {
    lease.0.data().as_ptr()
}

#[cfg(not(target_os = "linux"))]
fn place(lease: &Lease) -> *mut u8 {
    match lease.0 {}
}

/// Leases `size` bytes of the memory of `plugin`'s worker process. A tensor of a call of that plugin
/// whose data lie in them is passed in place, without a copy; the plugin sees it read-only.
///
/// It ends with the worker or with `plugward_lease_free`; a call that uses it later is refused with
/// PW-WORKER-013.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_lease_new(
    runtime: Shared<Runtime>,
    plugin: Utf8,
    size: usize,
    out: Out<Owned<Lease>>,
) -> Owned<Error> {
    guard("plugward_lease_new", || {
        let out = out.open("out")?;
        let runtime = runtime.get("runtime")?;
        let lease = leased(runtime, plugin.read("plugin")?, size)?;
        out.set(Owned::give(lease));
        Ok(())
    })
}

/// Where its bytes begin, on a page of their own; valid until the lease is freed, also when its
/// worker has ended. NULL for NULL.
///
/// Thread: any.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_lease_data(lease: Shared<Lease>) -> *mut u8 {
    guard("plugward_lease_data", || {
        Ok(lease.peek().map_or(std::ptr::null_mut(), place))
    })
}

/// Ends a lease; its memory must not be used any more. A call that is under way keeps what it needs.
/// NULL is nothing to end.
///
/// Thread: any, while no other thread uses the lease.
#[unsafe(no_mangle)]
pub extern "C" fn plugward_lease_free(lease: Owned<Lease>) {
    guard("plugward_lease_free", || {
        drop(lease.take());
        Ok(())
    })
}
