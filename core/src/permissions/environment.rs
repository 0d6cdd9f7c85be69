//! Which of the host's environment variables a worker sees.

use crate::manifest::Manifest;

/// Variables that every worker gets where the host has them.
pub(crate) const ALLOWED: &[&str] = &[
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "MALLOC_ARENA_MAX",
    "NODE_PATH",
    "PATH",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
];
/// The same by their beginnings.
pub(crate) const FAMILIES: &[&str] = &[
    "LC_",
    "CUDA_",
    "NVIDIA_",
    "OMP_",
    "PYTHON",
    "PLUGWARD_",
    "ASAN_",
    "UBSAN_",
];

/// Whether the plugin sees a variable of that name.
pub(crate) fn is_allowed(manifest: &Manifest, name: &str) -> bool {
    ALLOWED.contains(&name)
        || FAMILIES.iter().any(|f| name.starts_with(f))
        || manifest.env.iter().any(|allowed| allowed == name)
}

/// Names of the host's variables that the plugin does not see.
#[cfg(target_os = "linux")]
pub(crate) fn withheld(manifest: &Manifest) -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| !is_allowed(manifest, name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_loads_code_passes_unasked() {
        let mut manifest = Manifest::host("p");
        for name in [
            "LD_PRELOAD",
            "LD_AUDIT",
            "NODE_OPTIONS",
            "BASH_ENV",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(!is_allowed(&manifest, name), "{name}");
        }
        manifest.env.push("LD_PRELOAD".to_owned());
        assert!(is_allowed(&manifest, "LD_PRELOAD"), "named by the manifest");
    }
}
