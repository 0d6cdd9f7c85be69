//! A refusal that a plugin only tells in words: the C library's text, perhaps with a path.

use super::judge::{judge as judged, something};
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

/// `None` where the words tell of no refusal of ours.
pub(super) fn judge(order: &Order, text: &str) -> Option<Error> {
    let errno = WORDS.iter().find(|(word, _)| text.contains(word));
    let Some((_, errno)) = errno else {
        let name = order.withheld.iter().find(|name| is_lookup(text, name))?;
        return judged(order, &Refused::Variable(name));
    };
    let permissions = &order.manifest.permissions;
    let call = |path, attempt| {
        let errno = *errno;
        judged(
            order,
            &Refused::Call {
                errno,
                path,
                attempt,
            },
        )
    };
    if !matches!(*errno, libc::EACCES | libc::EPERM) {
        let thread = text.contains(NO_THREAD);
        return call(
            None,
            if thread {
                Attempt::Subprocess
            } else {
                Attempt::Unknown
            },
        );
    }
    match path(text) {
        Some(path) => call(Some(Path::new(path)), Attempt::Unknown),
        None if *errno == libc::EPERM => call(None, Attempt::Unknown),
        None if text.contains("socket") => call(None, Attempt::Network),
        None => (!permissions.network || !permissions.subprocess).then(|| something(order)),
    }
}

/// `KeyError: 'NAME'`, as a Python module says that looks for it while it is imported.
fn is_lookup(text: &str, name: &str) -> bool {
    text.contains("KeyError") && text.contains(&format!("'{name}'"))
}

/// The first absolute path of a text.
fn path(text: &str) -> Option<&str> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ';' | ')' | '>');
    let begins = |at: usize| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| ends(c) || matches!(c, '(' | ':' | '=' | '<'))
    };
    let at = text
        .match_indices('/')
        .map(|(at, _)| at)
        .find(|at| begins(*at))?;
    let rest = &text[at..];
    let path = rest.split(ends).next()?.trim_end_matches([':', '.']);
    (path.len() > 1).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn a_path_is_found_among_words() {
        assert_eq!(path("open /data/in: Permission denied"), Some("/data/in"));
        assert_eq!(path("[Errno 13] Permission denied: '/a b/c'"), Some("/a"));
        assert_eq!(path("cannot write \"/data/x.bin\"."), Some("/data/x.bin"));
        assert_eq!(path("either/or: Permission denied"), None);
        assert_eq!(path("Permission denied /"), None);
    }
}
