//! A refusal that a plugin only tells in words: the C library's text, perhaps with paths.

use super::judge::judge as judged;
use super::line::something;
use super::{Attempt, Refused};
use crate::error::Error;
use crate::worker::order::Order;
use std::path::Path;

/// What Python says, which knows what it was about.
const NO_THREAD: &str = "can't start new thread";

/// What C libraries and languages say, and the number that they mean.
const WORDS: [(&str, i32); 13] = [
    ("File too large", libc::EFBIG),
    ("[Errno 27]", libc::EFBIG),
    ("Too many open files", libc::EMFILE),
    ("[Errno 24]", libc::EMFILE),
    (NO_THREAD, libc::EAGAIN),
    ("Resource temporarily unavailable", libc::EAGAIN),
    ("[Errno 11]", libc::EAGAIN),
    ("Permission denied", libc::EACCES),
    ("permission denied", libc::EACCES),
    ("[Errno 13]", libc::EACCES),
    ("not permitted", libc::EPERM),
    ("[Errno 1]", libc::EPERM),
    ("EACCES", libc::EACCES),
];

/// What they say where a host's name could not be looked up.
const NAMES: [&str; 7] = [
    "Temporary failure in name resolution",
    "Name or service not known",
    "Could not resolve host",
    "failed to lookup address",
    "EAI_AGAIN",
    "ENOTFOUND",
    "EAI_FAIL",
];

/// Words of a text that is about a socket: `connect EACCES 192.0.2.1:80`.
const SOCKETS: [&str; 5] = ["socket", "connect", "bind", "listen", "sendto"];

/// Words of a text that is about an entry of a folder: `EACCES: permission denied, unlink '/x'`.
const ENTRIES: [&str; 13] = [
    "unlink", "rmdir", "rm", "rename", "remove", "delete", "link", "symlink", "mkdir", "mkdtemp",
    "removing", "deleting", "renaming",
];

/// `None` where the words tell of no refusal of ours.
pub(super) fn judge(order: &Order, text: &str) -> Option<Error> {
    let call = |errno, [path, other]: [Option<&str>; 2], attempt| {
        let (path, other) = (path.map(Path::new), other.map(Path::new));
        let tried = Refused::Call {
            errno,
            path,
            other,
            attempt,
        };
        judged(order, &tried)
    };
    if NAMES.iter().any(|words| text.contains(words)) {
        return call(libc::EACCES, [None; 2], Attempt::Name);
    }
    let errno = WORDS.iter().find(|(word, _)| text.contains(word));
    let Some((_, errno)) = errno else {
        let name = order.withheld.iter().find(|name| is_lookup(text, name))?;
        return judged(order, &Refused::Variable(name));
    };
    if !matches!(*errno, libc::EACCES | libc::EPERM) {
        let thread = text.contains(NO_THREAD);
        let attempt = match thread {
            true => Attempt::Subprocess,
            false => Attempt::Unknown,
        };
        return call(*errno, [None; 2], attempt);
    }
    let permissions = &order.manifest.permissions;
    let mut found = paths(text);
    match [found.next(), found.next()] {
        // A link is refused where it is to be, not where it leads to.
        [Some(_), Some(link)] if says(text, &["symlink"]) => {
            call(*errno, [Some(link), None], Attempt::Entry)
        }
        both @ [Some(_), _] if says(text, &ENTRIES) => call(*errno, both, Attempt::Entry),
        [Some(path), _] => call(*errno, [Some(path), None], Attempt::Unknown),
        _ if *errno == libc::EPERM => call(*errno, [None; 2], Attempt::Unknown),
        _ if says(text, &SOCKETS) => call(*errno, [None; 2], Attempt::Network),
        _ => (!permissions.network || !permissions.subprocess).then(|| something(order)),
    }
}

/// Whether one of `words` stands in the text, outside its paths.
fn says(text: &str, words: &[&str]) -> bool {
    let mut parts = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '_' | '.'));
    parts.any(|part| words.contains(&part))
}

/// `KeyError: 'NAME'`, as a Python module says that looks for it while it is imported.
fn is_lookup(text: &str, name: &str) -> bool {
    text.contains("KeyError") && text.contains(&format!("'{name}'"))
}

/// The absolute paths of a text.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (path, after) = path(rest.take()?)?;
        rest = Some(after);
        Some(path)
    })
}

/// The first one, and what stands behind it.
fn path(text: &str) -> Option<(&str, &str)> {
    let ends =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ';' | ')' | ']' | '>');
    let begins = |at: usize| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| ends(c) || matches!(c, '(' | '[' | ':' | '=' | '<'))
    };
    let long = |rest: &str| {
        rest.split(ends)
            .next()
            .map_or(0, |p| p.trim_end_matches([':', '.']).len())
    };
    let mut slashes = text.match_indices('/').map(|(at, _)| at);
    let at = slashes.find(|at| begins(*at) && long(&text[*at..]) > 1)?;
    let rest = &text[at..];
    Some(rest.split_at(long(rest)))
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES, paths, says};

    #[test]
    fn paths_are_found_among_words() {
        let found = |text| paths(text).collect::<Vec<_>>();
        assert_eq!(found("open /data/in: Permission denied"), ["/data/in"]);
        assert_eq!(found("[Errno 13] Permission denied: '/a b/c'"), ["/a"]);
        assert_eq!(found("cannot write \"/data/x.bin\"."), ["/data/x.bin"]);
        assert_eq!(found("denied, rename '/a/b' -> '/c'"), ["/a/b", "/c"]);
        assert_eq!(found("cannot rename: denied [/a/b] [/c]"), ["/a/b", "/c"]);
        assert!(found("either/or: Permission denied").is_empty());
        assert!(found("Permission denied /").is_empty());
    }

    #[test]
    fn a_path_says_nothing() {
        assert!(says("EACCES: permission denied, unlink '/x'", &ENTRIES));
        assert!(!says("permission denied: '/srv/remove/it'", &ENTRIES));
        assert!(!says("permission denied: '/srv/link.txt'", &ENTRIES));
    }
}
