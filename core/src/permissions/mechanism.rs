//! By what this machine holds a plugin in its worker.

/// Begins what is said of a mechanism that holds nothing.
pub(crate) const NOT: &str = "not enforced";

/// What holds file accesses: `Landlock ABI 6`.
pub(super) fn files() -> String {
    landlock().unwrap_or_else(|| format!("{NOT}: this kernel has no Landlock"))
}

/// A thread restricts itself and ends: the crate tells the version only then.
#[cfg(target_os = "linux")]
fn landlock() -> Option<String> {
    use landlock::{ABI, Access, AccessFs, LandlockStatus, Ruleset, RulesetAttr};

    let ask = || {
        let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V1));
        ruleset.ok()?.create().ok()?.restrict_self().ok()
    };
    let status = std::thread::Builder::new().spawn(ask).ok()?.join().ok()??;
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => {
            Some(format!("Landlock ABI {}", effective_abi as i32))
        }
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn landlock() -> Option<String> {
    None
}

/// What holds system calls.
pub(super) fn calls() -> String {
    let known = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    match known.is_ok_and(|actions| actions.split_whitespace().any(|a| a == "errno")) {
        true => "seccomp".to_owned(),
        false => format!("{NOT}: this kernel has no seccomp filters"),
    }
}
