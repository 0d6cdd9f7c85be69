//! `plugward-worker`: runs one native plugin in a process of its own. Started by a Plugward runtime,
//! with the shared memory as its standard input; of no use by hand.

#[cfg(target_os = "linux")]
fn main() {
    use plugward_core::native::NativeLoader;
    use plugward_core::worker::{leave, serve};

    let status = serve(std::sync::Arc::new(NativeLoader));
    leave();
    std::process::exit(status);
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("plugward worker: worker processes are not available on this platform");
    std::process::exit(64);
}
