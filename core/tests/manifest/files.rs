//! From paths to manifests: files, folders, bare scripts, and what is wrong with them.

use plugward_core::Code;
use plugward_core::manifest::{Kind, MANIFEST_LIMIT, Manifest, discover};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const GOOD: &str = r#"{"name": "good", "kind": "python", "entrypoint": "plugin.py:Plugin"}"#;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn put(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_file_or_its_folder() {
    let dir = folder();
    let path = put(dir.path(), "manifest.json", GOOD);
    for place in [path.as_path(), dir.path()] {
        let manifest = Manifest::from_path(place).unwrap().manifest;
        assert_eq!(
            (manifest.name.as_str(), manifest.dir.as_deref()),
            ("good", Some(dir.path()))
        );
    }
}

#[test]
fn every_manifest_name_and_both_languages() {
    for name in [
        "manifest.toml",
        "plugward.toml",
        "plugward.json",
        "manifest.json",
    ] {
        let dir = folder();
        let toml = "name = 'good'\nkind = 'node'\nentrypoint = 'x'\n";
        put(
            dir.path(),
            name,
            if name.ends_with("toml") { toml } else { GOOD },
        );
        assert_eq!(
            Manifest::from_path(dir.path()).unwrap().manifest.name,
            "good",
            "{name}"
        );
    }
    let dir = folder();
    assert_eq!(
        Manifest::from_path(&put(dir.path(), "a.conf", GOOD))
            .unwrap()
            .manifest
            .name,
        "good"
    );
    let bom = format!("\u{feff}{GOOD}");
    assert_eq!(
        Manifest::from_path(&put(dir.path(), "b.json", bom))
            .unwrap()
            .manifest
            .name,
        "good"
    );
}

#[test]
fn the_folder_speaks_where_the_manifest_is_silent() {
    let dir = folder();
    put(dir.path(), "ocr/manifest.json", r#"{"version": "1.0.0"}"#);
    put(dir.path(), "ocr/plugin.py", "");
    let parsed = Manifest::from_path(&dir.path().join("ocr")).unwrap();
    let m = &parsed.manifest;
    assert_eq!(
        (m.name.as_str(), m.entrypoint.as_str(), m.kind),
        ("ocr", "plugin.py", Kind::Python)
    );
    let keys: Vec<&str> = parsed.assumptions.iter().map(|a| a.key.as_str()).collect();
    assert_eq!(keys, ["name", "entrypoint", "kind"]);
}

#[test]
fn a_bare_script_or_library_is_a_plugin() {
    let dir = folder();
    for (file, name, kind) in [
        ("hello/index.js", "hello", Kind::Node),
        ("hello/other.js", "hello", Kind::Node),
        ("hello/plugin.py", "hello", Kind::Python),
        ("hello/single.py", "single", Kind::Python),
        ("hello/libfast.so", "fast", Kind::Native),
    ] {
        let parsed = Manifest::from_path(&put(dir.path(), file, "")).unwrap();
        assert_eq!(
            (parsed.manifest.name.as_str(), parsed.manifest.kind),
            (name, kind),
            "{file}"
        );
        assert!(parsed.assumptions[0].message.contains("no manifest"));
        assert_eq!(parsed.manifest.dir, Some(dir.path().join("hello")));
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let dir = folder();
    let missing = Manifest::from_path(&dir.path().join("nowhere")).unwrap_err();
    assert_eq!(missing.code(), Code::ManifestNotFound);
    assert!(
        missing.message().contains("nowhere: there is no such file"),
        "{missing}"
    );
    let empty = Manifest::from_path(dir.path()).unwrap_err();
    assert_eq!(empty.code(), Code::ManifestNotFound);
    assert!(
        empty.message().contains("manifest.json, manifest.toml"),
        "{empty}"
    );
    assert_eq!(
        Manifest::from_path(&dir.path().join("gone/plugin.py"))
            .unwrap_err()
            .code(),
        Code::ManifestNotFound
    );
}

#[test]
fn errors_name_their_file() {
    let dir = folder();
    let path = put(dir.path(), "manifest.json", "{\n\"name\": }");
    let error = Manifest::from_path(&path).unwrap_err();
    let start = format!("{}: line 2, column 9: not valid JSON", path.display());
    assert!(error.message().starts_with(&start), "{error}");
    assert_eq!(error.details().unwrap()["file"], path.to_str().unwrap());
    let latin = put(dir.path(), "latin.json", b"{\"name\":\n\"caf\xe9\"}");
    let error = Manifest::from_path(&latin).unwrap_err();
    assert_eq!(error.code(), Code::ManifestSyntax);
    assert!(
        error
            .message()
            .contains("line 2, column 5: not valid UTF-8"),
        "{error}"
    );
}

#[test]
fn sizes_are_bounded() {
    let dir = folder();
    let big = put(dir.path(), "manifest.json", vec![b' '; MANIFEST_LIMIT + 1]);
    let error = Manifest::from_path(&big).unwrap_err();
    assert_eq!(error.code(), Code::ManifestInvalid);
    assert!(error.message().contains("larger than 4 MiB"), "{error}");
    let text = " ".repeat(MANIFEST_LIMIT + 1);
    assert!(
        Manifest::from_json_str(&text)
            .unwrap_err()
            .message()
            .contains("larger than")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_regular_file_is_not_read() {
    let dir = folder();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("manifest.json")).unwrap();
    let error = Manifest::from_path(dir.path()).unwrap_err();
    assert_eq!(error.code(), Code::ManifestUnreadable);
    assert!(error.message().contains("not a regular file"), "{error}");
    assert!(error.remedy().contains("folder of a plugin"), "{error}");
}

#[test]
fn discover_lists_good_and_broken_in_order() {
    let dir = folder();
    put(dir.path(), "b-good/manifest.json", GOOD);
    put(dir.path(), "a-broken/manifest.json", "{");
    put(
        dir.path(),
        "c-toml/plugward.toml",
        "name = 'c'\nentrypoint = 'c.js'\n",
    );
    put(dir.path(), "d-script/index.js", "");
    put(dir.path(), "docs/readme.md", "");
    put(dir.path(), ".git/manifest.json", GOOD);
    put(dir.path(), "node_modules/manifest.json", GOOD);
    let found = discover(dir.path());
    let names: Vec<&str> = found.iter().map(|c| c.fallback_name.as_str()).collect();
    assert_eq!(names, ["a-broken", "b-good", "c-toml", "d-script"]);
    assert_eq!(
        found[0].result.as_ref().unwrap_err().code(),
        Code::ManifestSyntax
    );
    assert_eq!(found[0].path, dir.path().join("a-broken/manifest.json"));
    assert!(found[1..].iter().all(|c| c.result.is_ok()));
}

#[test]
fn discover_takes_a_file_a_plugin_a_void_and_an_absence() {
    let dir = folder();
    assert!(discover(dir.path()).is_empty());
    let path = put(dir.path(), "one/manifest.json", GOOD);
    for place in [path, dir.path().join("one")] {
        let found = discover(&place);
        assert_eq!((found.len(), found[0].fallback_name.as_str()), (1, "one"));
        assert_eq!(found[0].result.as_ref().unwrap().manifest.name, "good");
    }
    let gone = discover(&dir.path().join("gone"));
    assert_eq!(
        gone[0].result.as_ref().unwrap_err().code(),
        Code::ManifestNotFound
    );
    assert_eq!(gone[0].fallback_name, "gone");
}
