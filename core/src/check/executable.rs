//! Programs that a plugin starts.

use super::bounded::{Answer, ask};
use super::finding::{Finding, Subject};
use crate::error::Code;
use crate::manifest::Manifest;
use crate::permissions::executable_variable;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the folders of `PATH` may be silent.
const BOUND: Duration = Duration::from_secs(5);

/// Checks that a program can be started by its name, or by its path where it holds a `/`.
#[must_use]
pub fn check_executable(name: &str) -> Finding {
    check_executable_in(name, std::env::var_os("PATH").as_deref())
}

/// Checks a program as a plugin will start it: where `config` in its manifest names another one under
/// the program's name, or PLUGWARD_NAME does, that one, else the one on `PATH`.
pub(super) fn check_executable_of(manifest: &Manifest, name: &str) -> Finding {
    check_named(manifest, name, |variable| std::env::var_os(variable))
}

fn check_named(
    manifest: &Manifest,
    name: &str,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Finding {
    let variable = executable_variable(name);
    let dir = manifest.dir.as_deref().unwrap_or(Path::new(""));
    let configured = manifest.config.get(name).and_then(Value::as_str);
    let configured = configured.map(|path| (format!("config.{name}"), dir.join(path)));
    let named = configured.or_else(|| {
        let place = lookup(&variable).filter(|place| !place.is_empty())?;
        Some((variable.clone(), place.into()))
    });
    let mut finding = match named {
        // An absolute path, so that it is looked at and not looked for.
        Some((who, place)) => {
            let place = std::path::absolute(&place).unwrap_or(place);
            let mut finding = check_executable(&place.to_string_lossy());
            name.clone_into(&mut finding.subject);
            finding.message = format!("{}, which {who} names", finding.message);
            finding
        }
        None => check_executable(name),
    };
    if !finding.ok {
        finding = finding.with_remedy(format!(
            "install {name} so that it is on PATH, or set {variable} to the program"
        ));
    }
    finding
}

/// The same with a search path of one's own.
#[must_use]
pub fn check_executable_in(name: &str, path: Option<&OsStr>) -> Finding {
    let start = Instant::now();
    let (wanted, folders) = (
        name.to_owned(),
        path.map(OsString::from).unwrap_or_default(),
    );
    let place = format!("executable {name}");
    let finding = match ask(&place, BOUND, move |_| find(&wanted, &folders)) {
        Answer::Done(Ok(place)) => {
            Finding::ok(Subject::Executable, name, place.display().to_string())
        }
        Answer::Done(Err(cause)) => bad(name, cause),
        Answer::Silent(time) => bad(
            name,
            format!(
                "a folder of PATH did not answer for {:.1} s",
                time.as_secs_f64()
            ),
        ),
        Answer::Broke(why) => bad(name, why),
    };
    finding.since(start)
}

fn bad(name: &str, cause: String) -> Finding {
    Finding::bad(Subject::Executable, name, Code::CheckExecutable)
        .with_message(format!("the program {name:?} is needed"))
        .with_cause(cause)
}

/// The program's place, or why it cannot be started.
fn find(name: &str, path: &OsStr) -> Result<PathBuf, String> {
    if name.is_empty() {
        return Err("the manifest names no program".into());
    }
    if name.contains('/') {
        return usable(Path::new(name)).map(|()| name.into());
    }
    let mut first_refusal = None;
    for folder in std::env::split_paths(path) {
        let file = folder.join(name);
        match usable(&file) {
            Ok(()) => return Ok(file),
            Err(why) if file.exists() => {
                first_refusal.get_or_insert(why);
            }
            Err(_) => {}
        }
    }
    Err(first_refusal.unwrap_or_else(|| "it is in no folder of PATH".into()))
}

fn usable(file: &Path) -> Result<(), String> {
    let metadata =
        std::fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if !metadata.is_file() {
        return Err(format!("{} is no file", file.display()));
    }
    if !may_run(&metadata) {
        return Err(format!("{} is not marked as executable", file.display()));
    }
    Ok(())
}

#[cfg(unix)]
fn may_run(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn may_run(_: &std::fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_lie_elsewhere_than_on_path() {
        let name = "surely-no-such-program";
        let mut manifest = Manifest::host("p");
        let nowhere = check_named(&manifest, name, |_| None);
        assert!(!nowhere.ok);
        let variable = "PLUGWARD_SURELY_NO_SUCH_PROGRAM";
        assert!(nowhere.remedy.contains(variable), "{}", nowhere.remedy);
        let by_variable = |asked: &str| (asked == variable).then(|| "/bin/sh".into());
        let found = check_named(&manifest, name, by_variable);
        assert!(found.ok && found.subject == name, "{found:?}");
        let config = Value::from("/nowhere/program");
        manifest.config.insert(name.into(), config);
        let wrong = check_named(&manifest, name, by_variable);
        assert!(!wrong.ok, "what the manifest names comes first");
        assert!(wrong.message.contains("config.surely"), "{wrong:?}");
    }
}
