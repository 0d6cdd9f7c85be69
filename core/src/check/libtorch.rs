//! The libtorch that a native plugin runs its models on: is it there, whole, and the version that
//! the plugin was built for? It is read and never opened.
//!
//! A native plugin finds libtorch itself, so a load learns of a missing one only inside of the
//! plugin; a report says it before. The places are those where a plugin is to look: the manifest's
//! `config.libtorch`, `PLUGWARD_LIBTORCH`, then the Python environment of its process.

use super::bounded::{Answer, ask};
use super::entry::uses_torch;
use super::finding::{Finding, Subject};
use super::gpu::{GpuFault, read_torch};
use crate::error::Code;
use crate::manifest::{Kind, Manifest};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const VARIABLE: &str = "PLUGWARD_LIBTORCH";
/// How long the folders may be silent.
const BOUND: Duration = Duration::from_secs(5);
/// What every program on libtorch needs.
const LIBRARIES: [&str; 2] = ["libc10.so", "libtorch_cpu.so"];

/// Checks the libtorch of a native plugin that uses torch; `None` for any other plugin.
#[must_use]
pub fn check_libtorch(manifest: &Manifest) -> Option<Finding> {
    check_libtorch_in(manifest, |name| std::env::var_os(name))
}

/// The same in any environment.
pub fn check_libtorch_in(
    manifest: &Manifest,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Option<Finding> {
    let named = setting(manifest, "libtorch");
    if manifest.kind != Kind::Native || (named.is_none() && !uses_torch(manifest)) {
        return None;
    }
    let start = Instant::now();
    let wanted = setting(manifest, "libtorch_version").map(str::to_owned);
    let places = Places::of(manifest, |name| lookup(name).filter(|v| !v.is_empty()));
    let version = wanted.clone();
    let place = format!("libtorch of {}", manifest.name);
    let fault = match ask(&place, BOUND, move |_| places.search(version.as_deref())) {
        Answer::Done(Ok(message)) => {
            return Some(Finding::ok(Subject::Package, "torch", message).since(start));
        }
        Answer::Done(Err(fault)) => fault,
        Answer::Silent(time) => GpuFault::new(
            Code::CheckPackageBroken,
            format!("the folders did not answer for {:.1} s", time.as_secs_f64()),
        ),
        Answer::Broke(why) => GpuFault::new(Code::RuntimeInternal, why),
    };
    Some(bad(fault, wanted.as_deref()).since(start))
}

fn bad(fault: GpuFault, wanted: Option<&str>) -> Finding {
    let torch = requirement(wanted);
    let remedy = format!(
        "install {torch} in the plugin's environment, or name a torch folder in {VARIABLE} or in \
         config.libtorch of the manifest"
    );
    Finding::bad(Subject::Package, "torch", fault.code)
        .with_message(format!("the plugin needs libtorch ({torch})"))
        .with_cause(fault.cause)
        .with_remedy(fault.remedy.unwrap_or(remedy))
}

fn requirement(wanted: Option<&str>) -> String {
    wanted.map_or_else(|| "torch".into(), |version| format!("torch=={version}"))
}

/// The folder that `config.libtorch` names.
pub(super) fn configured(manifest: &Manifest) -> Option<PathBuf> {
    let named = setting(manifest, "libtorch")?;
    Some(manifest.dir.as_deref().unwrap_or(Path::new("")).join(named))
}

fn setting<'a>(manifest: &'a Manifest, key: &str) -> Option<&'a str> {
    manifest.config.get(key).and_then(Value::as_str)
}

/// Where libtorch is looked for.
struct Places {
    /// The one place that counts, and who names it.
    named: Option<(&'static str, PathBuf)>,
    /// `PYTHONPATH`.
    folders: Vec<PathBuf>,
    /// What has a `lib/python3.*`.
    prefixes: Vec<PathBuf>,
}

impl Places {
    fn of(manifest: &Manifest, lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let variable = || lookup(VARIABLE).map(|path| (VARIABLE, PathBuf::from(path)));
        let config = configured(manifest).map(|path| ("config.libtorch", path));
        let environment = lookup("VIRTUAL_ENV").map(PathBuf::from);
        let system = ["/usr/local", "/usr"].map(PathBuf::from);
        Self {
            named: config.or_else(variable),
            folders: lookup("PYTHONPATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            prefixes: environment.into_iter().chain(system).collect(),
        }
    }

    /// What was found, in words.
    fn search(&self, wanted: Option<&str>) -> Result<String, GpuFault> {
        if let Some((who, folder)) = &self.named {
            return look(folder, wanted).map_err(|fault| GpuFault {
                cause: format!("{who}: {}", fault.cause),
                ..fault
            });
        }
        let packages = self.packages();
        let found = packages.iter().map(|folder| folder.join("torch"));
        if let Some(torch) = found.into_iter().find(|torch| torch.is_dir()) {
            return look(&torch, wanted);
        }
        let looked: Vec<_> = packages.iter().map(|p| p.display().to_string()).collect();
        let cause = format!(
            "neither config.libtorch nor {VARIABLE} names a torch folder, and there is none in {}",
            looked.join(", ")
        );
        Err(GpuFault::new(Code::CheckPackageMissing, cause))
    }

    fn packages(&self) -> Vec<PathBuf> {
        let mut folders = self.folders.clone();
        for prefix in &self.prefixes {
            let inside = std::fs::read_dir(prefix.join("lib")).into_iter().flatten();
            let inside = inside.filter_map(|entry| Some(entry.ok()?.path()));
            for python in inside.filter(|path| is_python(path)) {
                folders.extend(["site-packages", "dist-packages"].map(|name| python.join(name)));
            }
        }
        folders
    }
}

fn is_python(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("python3")
}

fn look(folder: &Path, wanted: Option<&str>) -> Result<String, GpuFault> {
    let shown = folder.display();
    let build = read_torch(folder).map_err(|fault| GpuFault {
        remedy: None,
        ..fault
    })?;
    let version = &build.version;
    if wanted.is_some_and(|wanted| version.split('+').next() != Some(wanted)) {
        let cause = format!("torch {version} lies in {shown}");
        return Err(GpuFault::new(Code::CheckPackageVersion, cause));
    }
    for name in LIBRARIES {
        if !folder.join("lib").join(name).is_file() {
            let cause = format!("lib/{name} is missing in {shown}");
            return Err(GpuFault::new(Code::CheckPackageBroken, cause));
        }
    }
    Ok(format!("torch {version} in {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn native(config: Value) -> Manifest {
        let mut manifest = Manifest::host("p");
        manifest.kind = Kind::Native;
        manifest.config = config.as_object().cloned().unwrap_or_default();
        manifest
    }

    fn torch(folder: &Path, version: &str) {
        fs::create_dir_all(folder.join("lib")).unwrap();
        let text = format!("__version__ = '{version}'\ncuda = None\n");
        fs::write(folder.join("version.py"), text).unwrap();
        for name in LIBRARIES {
            fs::write(folder.join("lib").join(name), "").unwrap();
        }
    }

    fn found(manifest: &Manifest, variable: &str, value: &Path) -> Finding {
        let lookup = |name: &str| (name == variable).then(|| value.as_os_str().to_owned());
        check_libtorch_in(manifest, lookup).unwrap()
    }

    #[test]
    fn only_native_plugins_that_use_torch_are_asked() {
        let nothing = |_: &str| None;
        let mut manifest = native(Value::Null);
        assert_eq!(check_libtorch_in(&manifest, nothing), None);
        let model = serde_json::json!({"path": "m.pt", "format": "torchscript"});
        let model = serde_json::from_value(model).unwrap();
        manifest.models.insert("m".into(), model);
        assert!(check_libtorch_in(&manifest, nothing).is_some());
        manifest.kind = Kind::Python;
        assert_eq!(check_libtorch_in(&manifest, nothing), None);
    }

    #[test]
    fn missing_another_version_incomplete_and_there() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = native(serde_json::json!({"libtorch": "t", "libtorch_version": "2.11.0"}));
        let mut manifest = Manifest {
            dir: Some(folder.path().into()),
            ..manifest
        };
        let place = folder.path().join("t");
        let nowhere = Path::new("/no/such/folder");
        let missing = found(&manifest, VARIABLE, nowhere);
        assert_eq!(missing.code, Some(Code::CheckPackageMissing));
        assert!(missing.cause.starts_with("config.libtorch"), "{missing:?}");
        assert!(missing.remedy.contains("torch==2.11.0"), "{missing:?}");
        torch(&place, "2.9.1+cpu");
        let other = found(&manifest, VARIABLE, nowhere);
        assert_eq!(other.code, Some(Code::CheckPackageVersion));
        torch(&place, "2.11.0+cu130");
        assert!(found(&manifest, VARIABLE, nowhere).ok);
        fs::remove_file(place.join("lib/libc10.so")).unwrap();
        let torn = found(&manifest, VARIABLE, nowhere);
        assert_eq!(torn.code, Some(Code::CheckPackageBroken));
        manifest.config.remove("libtorch");
        let missing = found(&with_model(manifest), VARIABLE, nowhere);
        assert!(missing.cause.starts_with(VARIABLE), "{missing:?}");
    }

    fn with_model(mut manifest: Manifest) -> Manifest {
        manifest.dependencies.push("torch".into());
        manifest
    }

    #[test]
    fn the_python_environment_of_its_process_is_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        torch(
            &folder.path().join("lib/python3.12/site-packages/torch"),
            "2.11.0",
        );
        let manifest = with_model(native(Value::Null));
        assert!(found(&manifest, "VIRTUAL_ENV", folder.path()).ok);
        let packages = folder.path().join("lib/python3.12/site-packages");
        assert!(found(&manifest, "PYTHONPATH", &packages).ok);
    }
}
