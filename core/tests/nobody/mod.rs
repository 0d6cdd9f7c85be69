//! Runs a part of a test as a user without rights, also when the tests run as root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Runs `f` on a thread that is `nobody`, with `folder` open for everybody to enter. The kernel
/// keeps user ids by thread, and the checker's own threads inherit theirs. `None`, with a loud
/// line, where root may not become another user.
#[allow(
    unsafe_code,
    reason = "libc's wrapper would change every thread of the process"
)]
pub(crate) fn as_nobody<T: Send>(folder: &Path, f: impl FnOnce() -> T + Send) -> Option<T> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("the test's own folder");
    let secret = folder.join("readable by nobody");
    fs::write(&secret, "x").expect("the test's own folder");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("the test's own file");
    let run = || {
        // SAFETY: plain numbers; changes this thread only, which ends with this closure.
        unsafe { libc::syscall(libc::SYS_setresuid, -1_i64, 65_534_i64, -1_i64) };
        if fs::read(&secret).is_ok() {
            println!("SKIPPED: root may not become another user here, so nothing is forbidden");
            return None;
        }
        Some(f())
    };
    std::thread::scope(|scope| scope.spawn(run).join().expect("the part itself failed"))
}
