//! Compiles the shim that calls the host's own functions: a C++ exception that meets a Rust frame
//! would abort the process. Also sets the library's soname, so that programs find the version that
//! they were linked with; before 1.0 the minor number counts as major.

fn main() {
    println!("cargo:rerun-if-changed=src/callback.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(true)
        .file("src/callback.cpp")
        .compile("plugward_callback");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    if matches!(
        target.as_str(),
        "linux" | "android" | "freebsd" | "netbsd" | "openbsd"
    ) {
        println!(
            "cargo:rustc-cdylib-link-arg=-Wl,-soname,libplugward.so.{}",
            compatible(&version)
        );
    }
}

/// `0.1.4` as `0.1`, `2.3.0` as `2`: the part of a version that programs are linked with.
fn compatible(version: &str) -> String {
    let parts = if version.starts_with("0.") { 2 } else { 1 };
    version.split('.').take(parts).collect::<Vec<_>>().join(".")
}
