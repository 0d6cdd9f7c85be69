//! Compiles the shim that calls the host's own functions: a C++ exception that meets a Rust frame
//! would abort the process. Also sets the library's soname, so that linkers record it.

fn main() {
    println!("cargo:rerun-if-changed=src/callback.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(true)
        .file("src/callback.cpp")
        .compile("plugward_callback");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
    if matches!(
        target.as_str(),
        "linux" | "android" | "freebsd" | "netbsd" | "openbsd"
    ) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libplugward.so.{major}");
    }
}
