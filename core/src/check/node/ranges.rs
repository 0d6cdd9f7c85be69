//! npm's ranges of versions, by the `semver` crate, whose own syntax is another one.

use semver::{Version, VersionReq};

/// How a version stands to a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// Inside, or not to be judged: a tag, a URL, a path.
    Fits,
    /// Outside.
    Outside,
    /// The range is none.
    Invalid,
}

/// Whether a version is in an npm range.
pub(super) fn fits(version: &str, range: &str) -> Range {
    // `npm:other@^1` is an alias: the range stands behind the last `@`.
    let range = match range.strip_prefix("npm:") {
        Some(alias) => alias.rsplit_once('@').map_or("*", |(_, range)| range),
        None => range,
    };
    // What pnpm and yarn write for packages of the same repository.
    let range = range.strip_prefix("workspace:").unwrap_or(range).trim();
    let Ok(version) = Version::parse(version.trim_start_matches('v')) else {
        return Range::Fits;
    };
    if !is_range(range) {
        return Range::Fits;
    }
    let parts: Option<Vec<VersionReq>> = range
        .split("||")
        .map(|one| requirement(one.trim()))
        .collect();
    match parts {
        None => Range::Invalid,
        Some(parts) if parts.iter().any(|one| one.matches(&version)) => Range::Fits,
        Some(_) => Range::Outside,
    }
}

/// Tags, URLs and paths begin with a letter or a dot, and hold no comparison.
fn is_range(text: &str) -> bool {
    let digits = text.trim_start_matches('v');
    text.is_empty()
        || digits.starts_with(|c: char| c.is_ascii_digit() || "<>=^~*|".contains(c))
        || matches!(text, "x" | "X")
}

fn requirement(range: &str) -> Option<VersionReq> {
    if matches!(range, "" | "*" | "x" | "X") {
        return Some(VersionReq::STAR);
    }
    let text = match range.split_once(" - ") {
        Some((low, high)) => format!(">={}, <={}", low.trim(), high.trim()),
        None => comparators(range),
    };
    VersionReq::parse(&text).ok()
}

/// npm separates comparators by spaces, and its bare `1.2` means exactly that.
fn comparators(range: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for word in range.split_whitespace() {
        let open = out
            .last()
            .is_some_and(|last| last.ends_with(['>', '<', '=', '^', '~']));
        match (open, word.trim_start_matches('v')) {
            (true, bare) => out
                .last_mut()
                .into_iter()
                .for_each(|last| last.push_str(bare)),
            (false, bare)
                if bare.starts_with(|c: char| c.is_ascii_digit())
                    && !bare.contains(['x', 'X', '*']) =>
            {
                out.push(format!("={bare}"));
            }
            (false, bare) => out.push(bare.to_owned()),
        }
    }
    out.join(", ")
}

#[cfg(test)]
mod tests {
    use super::Range::{Fits, Invalid, Outside};
    use super::*;

    #[test]
    fn npm_ranges_mean_what_npm_says() {
        for (version, range, expected) in [
            ("1.2.3", "^1.0.0", Fits),
            ("2.0.0", "^1.0.0", Outside),
            ("0.3.0", "^0.2.1", Outside),
            ("1.2.9", "~1.2.3", Fits),
            ("1.3.0", "~1.2.3", Outside),
            ("1.2.9", "1.2", Fits),
            ("1.3.0", "1.2", Outside),
            ("1.3.0", "1.2.3", Outside),
            ("1.2.3", ">=1.2 <2", Fits),
            ("2.1.0", ">= 1.2 < 2", Outside),
            ("3.0.0", "^1.0.0 || ^3.0.0", Fits),
            ("2.0.0", "^1.0.0 || ^3.0.0", Outside),
            ("1.5.0", "1.2.0 - 1.9.0", Fits),
            ("1.9.7", "1.2 - 1.9", Fits),
            ("2.0.0", "1.2 - 1.9", Outside),
            ("1.5.0", "1.x", Fits),
            ("2.0.0", "1.x", Outside),
            ("9.9.9", "latest", Fits),
            ("9.9.9", "*", Fits),
            ("9.9.9", "", Fits),
            ("2.0.0-rc.1", "^2.0.0", Outside),
            ("2.0.0-rc.2", "^2.0.0-rc.1", Fits),
            ("1.2.3", "npm:other@^1", Fits),
            ("2.2.3", "npm:@s/other@^1", Outside),
            ("1.2.3", "workspace:^1.0.0", Fits),
            ("1.2.3", "git+https://example.org/r.git#v2", Fits),
            ("1.2.3", "file:../other", Fits),
            ("1.2.3", ">=", Invalid),
            ("1.2.3", "1.2.3.4", Invalid),
            ("1.2.3", "^1 || >>2", Invalid),
        ] {
            assert_eq!(fits(version, range), expected, "{version} in {range}");
        }
    }
}
