//! Writing the generated files, and finding those that no longer match.

use crate::features;
use crate::generators::{ALL, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Writes what differs; what is right keeps its time stamp.
pub(crate) fn generate() -> Result<bool> {
    for generator in ALL {
        let (path, text) = (root().join(generator.path), (generator.make)()?);
        if read(&path)? == text {
            println!("same     {}", generator.path);
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text)?;
        println!("written  {}", generator.path);
    }
    Ok(true)
}

/// Whether every committed file is what its generator makes, and every door compiles the same core; prints what is not.
pub(crate) fn check() -> Result<bool> {
    let found = drifted()?;
    for hint in &found {
        eprintln!("{hint}");
    }
    if !found.is_empty() {
        eprintln!(
            "{} of {} generated files drifted; run: cargo xtask generate",
            found.len(),
            ALL.len()
        );
    }
    let differing = features::differing()?;
    for hint in &differing {
        eprintln!("{hint}");
    }
    Ok(found.is_empty() && differing.is_empty())
}

/// A hint for every file that differs from what its generator makes.
pub(crate) fn drifted() -> Result<Vec<String>> {
    let mut hints = Vec::new();
    for generator in ALL {
        let (committed, made) = (read(&root().join(generator.path))?, (generator.make)()?);
        hints.extend(hint(generator.path, &committed, &made));
    }
    Ok(hints)
}

/// The first line that differs, as a diff shows it.
fn hint(path: &str, committed: &str, made: &str) -> Option<String> {
    if committed == made {
        return None;
    }
    let (mut old, mut new, mut line) = (committed.lines(), made.lines(), 0);
    let (old, new) = loop {
        line += 1;
        match (old.next(), new.next()) {
            (None, None) => break (None, Some("(only the line endings differ)")),
            (old, new) if old == new => {}
            differing => break differing,
        }
    };
    let side =
        |mark: char, text: Option<&str>| text.map_or(String::new(), |t| format!("\n{mark} {t}"));
    Some(format!(
        "--- {path}, line {line}{}{}",
        side('-', old),
        side('+', new)
    ))
}

/// A file that is not there differs from every text.
fn read(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(wrong) if wrong.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generators::NOTICE;

    #[test]
    fn the_committed_files_are_what_the_generators_make() {
        let hints = drifted().unwrap();
        assert!(
            hints.is_empty(),
            "{}\nrun: cargo xtask generate",
            hints.join("\n")
        );
    }

    #[test]
    fn the_first_line_says_what_made_the_file() {
        for generator in ALL {
            let text = (generator.make)().unwrap();
            let part = generator.path == "README.md";
            let mut first = text.lines().take(if part { usize::MAX } else { 1 });
            assert!(
                first.any(|line| line.contains(NOTICE)),
                "{}",
                generator.path
            );
            assert!(
                text.ends_with('\n') && !text.ends_with("\n\n"),
                "{}",
                generator.path
            );
        }
    }

    #[test]
    fn a_difference_is_shown_with_its_line() {
        assert_eq!(hint("f", "a\nb\n", "a\nb\n"), None);
        assert_eq!(
            hint("f", "a\nb\n", "a\nc\n").unwrap(),
            "--- f, line 2\n- b\n+ c"
        );
        assert_eq!(hint("f", "", "a\n").unwrap(), "--- f, line 1\n+ a");
        assert!(hint("f", "a", "a\n").unwrap().contains("line endings"));
    }
}
