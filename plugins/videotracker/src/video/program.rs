//! Which ffmpeg.

use crate::backend::find::Environment;
use crate::fault::{self, Fault, Result};
use crate::settings::Configured;
use std::path::{Path, PathBuf};

/// Names another ffmpeg.
const VARIABLE: &str = "PLUGWARD_FFMPEG";

/// The ffmpeg that the manifest or the environment names, else the one on PATH, else the one that
/// the Python package `imageio_ffmpeg` carries; `packages` are folders of Python packages.
///
/// # Errors
/// [`fault::PROGRAM`] saying where it was looked for.
pub fn find(
    configured: &Configured,
    environment: &dyn Environment,
    packages: &[PathBuf],
) -> Result<PathBuf> {
    let named = configured.settings.ffmpeg.as_deref();
    let named = named.map(|path| ("config.ffmpeg", configured.path(path)));
    let named = named.or_else(|| environment.variable(VARIABLE).map(|path| (VARIABLE, path)));
    if let Some((who, path)) = named {
        return match is_program(&path) {
            true => Ok(path),
            false => Err(Fault::new(
                fault::PROGRAM,
                format!("{who} is {}, and that is no program", path.display()),
            )),
        };
    }
    let path = environment.variable("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("ffmpeg"));
    let carried = packages.iter().flat_map(|folder| carried(folder));
    on_path
        .chain(carried)
        .find(|p| is_program(p))
        .ok_or_else(|| {
            let message = "ffmpeg is neither on PATH nor in the package imageio_ffmpeg";
            Fault::new(fault::PROGRAM, message)
        })
}

/// `imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v7.0.2`
fn carried(packages: &Path) -> Vec<PathBuf> {
    let folder = packages.join("imageio_ffmpeg").join("binaries");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let files = entries
        .filter_map(std::result::Result::ok)
        .map(|e| e.path());
    files
        .filter(|p| {
            p.file_name()
                .and_then(|n| n.to_str())
                .is_some_and(|n| n.starts_with("ffmpeg"))
        })
        .collect()
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Only(Option<PathBuf>);

    impl Environment for Only {
        fn variable(&self, name: &str) -> Option<PathBuf> {
            self.0.clone().filter(|_| name == "PATH")
        }
    }

    fn program(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_package_is_the_last_place() {
        let folder = tempfile::tempdir().unwrap();
        let packages = [folder.path().join("packages")];
        let bin = folder.path().join("bin");
        let none = Only(Some(bin.clone()));
        let fault = find(&Configured::default(), &none, &packages).unwrap_err();
        assert_eq!(fault.code, fault::PROGRAM);
        let inside = packages[0].join("imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v7.0.2");
        program(&inside);
        assert_eq!(find(&Configured::default(), &none, &packages), Ok(inside));
        program(&bin.join("ffmpeg"));
        let found = find(&Configured::default(), &none, &packages);
        assert_eq!(found, Ok(bin.join("ffmpeg")));
    }

    #[test]
    fn a_wrong_name_is_not_replaced_in_silence() {
        let mut configured = Configured::default();
        configured.settings.ffmpeg = Some("/nowhere/ffmpeg".into());
        let path = Only(std::env::var_os("PATH").map(PathBuf::from));
        let fault = find(&configured, &path, &[]).unwrap_err();
        assert!(fault.message.contains("config.ffmpeg"), "{}", fault.message);
    }
}
