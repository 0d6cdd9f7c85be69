//! Which functions the code beside libtorch may call: those of `tch` that panic only by name.

use std::collections::BTreeSet;
use std::path::Path;

/// Functions of `tch` without a fallible form; beside each call stands why that does no harm.
const PANICKING: [&str; 6] = [
    "data_ptr",
    "device_count",
    "no_grad_guard",
    "set_num_threads",
    "size",
    "to",
];
/// Functions of `tch` that answer a `Result`, though they are not called `f_*`.
const FALLIBLE: [&str; 2] = ["forward_is", "load_data_on_device"];
/// The standard library's, and those of the two files.
const OTHERS: [&str; 44] = [
    "abort",
    "and_then",
    "as_ptr",
    "as_str",
    "borrow",
    "cast",
    "catch_unwind",
    "close",
    "copied",
    "downcast_ref",
    "drop",
    "fetch_add",
    "first",
    "from",
    "from_raw",
    "from_raw_parts",
    "guard",
    "injected",
    "into",
    "into_iter",
    "into_raw",
    "is_cuda",
    "is_err",
    "is_null",
    "len",
    "map",
    "map_err",
    "new",
    "next",
    "open",
    "or_else",
    "release",
    "rsplit_once",
    "run",
    "say",
    "strip_prefix",
    "take",
    "to_owned",
    "to_string",
    "try_from",
    "unwrap_or",
    "unwrap_or_default",
    "unwrap_or_else",
    "var",
];

/// `name` of every `name(` and of every path that is handed over, outside comments and texts.
fn called(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in source.lines() {
        let code = line.split("//").next().unwrap_or_default();
        let outside: String = code.split('"').step_by(2).collect::<Vec<_>>().join("\"");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for (at, _) in outside.match_indices('(') {
            let head = &outside[..at];
            let name = &head[head.rfind(|c| !is_name(c)).map_or(0, |i| i + 1)..];
            let declared = head[..head.len() - name.len()].trim_end().ends_with("fn");
            if name.starts_with(|c: char| c.is_ascii_lowercase()) && !declared {
                found.insert(name.to_owned());
            }
        }
        for (at, _) in outside.match_indices("tch::") {
            let path = outside[at..].split(|c| !is_name(c) && c != ':').next();
            let name = path.and_then(|p| p.rsplit("::").next()).unwrap_or_default();
            if name.starts_with(|c: char| c.is_ascii_lowercase()) {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn what_can_panic_is_called_by_name_only() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("torch/src");
    let sources = ["edge.rs", "model.rs"]
        .map(|name| std::fs::read_to_string(folder.join(name)).expect("the back end's source"));
    let found = called(&sources.concat());
    let words = [
        "if",
        "match",
        "for",
        "in",
        "return",
        "while",
        "cfg",
        "unsafe",
        "allow",
        "feature",
        "reason",
        "no_mangle",
        "pub",
    ];
    let known = |name: &&String| {
        let name = name.as_str();
        name.starts_with("f_")
            || PANICKING.contains(&name)
            || FALLIBLE.contains(&name)
            || OTHERS.contains(&name)
            || words.contains(&name)
    };
    let strange: Vec<_> = found.iter().filter(|name| !known(name)).collect();
    assert!(
        strange.is_empty(),
        "does it panic? Then use its f_ form, or say why not: {strange:?}"
    );
    let gone: Vec<_> = PANICKING.iter().filter(|n| !found.contains(**n)).collect();
    assert!(
        gone.is_empty(),
        "no longer called, so no longer allowed: {gone:?}"
    );
}

#[test]
fn the_search_finds_calls_and_paths() {
    let found =
        called("x.size(); catch_unwind(tch::Cuda::device_count) // y()\nfn z() { \"w()\" }");
    let found: Vec<_> = found.iter().map(String::as_str).collect();
    assert_eq!(found, ["catch_unwind", "device_count", "size"]);
}
