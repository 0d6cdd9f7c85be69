//! Compiles the one C++ file of the core: the shim that turns a plugin's C++ exception into a
//! status before it can reach a Rust frame, where it would abort the process.

fn main() {
    println!("cargo:rerun-if-changed=src/native/shim.cpp");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(true)
        .file("src/native/shim.cpp")
        .compile("plugward_shim");
}
