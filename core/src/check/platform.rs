//! Operating system, processor, and the versions of interpreters that a door knows.

use super::finding::{Finding, Subject};
use crate::error::Code;
use std::cmp::Ordering;
use std::time::Instant;

/// What a plugin asks of the platform. Empty lists ask for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlatformNeeds {
    /// `linux`, `macos`, `windows`: one of these.
    pub os: Vec<String>,
    /// `x86_64`, `aarch64`: one of these.
    pub arch: Vec<String>,
    /// Interpreters and the like.
    pub versions: Vec<VersionNeed>,
}

/// One version that must lie in a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionNeed {
    /// `python`, `node`.
    pub what: String,
    /// The version that is there, `3.12.4`.
    pub have: String,
    /// The range, `>=3.10,<3.14`.
    pub want: String,
}

/// Checks the platform: one finding for the machine and one a version.
#[must_use]
pub fn check_platform(needs: &PlatformNeeds) -> Vec<Finding> {
    let mut findings = vec![machine(needs)];
    findings.extend(needs.versions.iter().map(version));
    findings
}

fn machine(needs: &PlatformNeeds) -> Finding {
    let start = Instant::now();
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let allows = |list: &[String], has: &str| list.is_empty() || list.iter().any(|l| l == has);
    let here = format!("{os} {arch}");
    if allows(&needs.os, os) && allows(&needs.arch, arch) {
        return Finding::ok(Subject::Platform, "machine", here).since(start);
    }
    let wants = [needs.os.join(" or "), needs.arch.join(" or ")].join(" ");
    Finding::bad(Subject::Platform, "machine", Code::CheckPlatform)
        .with_cause(format!(
            "this is {here}; the plugin runs on {}",
            wants.trim()
        ))
        .since(start)
}

fn version(need: &VersionNeed) -> Finding {
    let start = Instant::now();
    let bad = |cause: String| {
        Finding::bad(Subject::Platform, &need.what, Code::CheckPlatform)
            .with_message(format!("{} {} is needed", need.what, need.want))
            .with_cause(cause)
    };
    let finding = match in_range(&need.have, &need.want) {
        Ok(true) => Finding::ok(
            Subject::Platform,
            &need.what,
            format!("{} {}", need.what, need.have),
        ),
        Ok(false) => bad(format!("{} {} is there", need.what, need.have)),
        Err(why) => bad(why).with_remedy("write the range as in \">=3.10,<3.14\""),
    };
    finding.since(start)
}

/// Whether `have` fulfils every part of `want`; parts are divided by commas.
fn in_range(have: &str, want: &str) -> Result<bool, String> {
    let has = numbers(have).ok_or_else(|| format!("{have:?} is no version"))?;
    for part in want
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let end = part
            .find(|c: char| c.is_ascii_digit() || c == 'v')
            .unwrap_or(part.len());
        let (sign, version) = part.split_at(end);
        let wants = numbers(version).ok_or_else(|| format!("{part:?} is no version range"))?;
        let order = compare(&has, &wants);
        let fits = match sign.trim() {
            ">=" => order != Ordering::Less,
            ">" => order == Ordering::Greater,
            "<=" => order != Ordering::Greater,
            "<" => order == Ordering::Less,
            "" | "=" | "==" => starts_with(&has, &wants),
            "!=" => !starts_with(&has, &wants),
            "~=" => order != Ordering::Less && starts_with(&has, &wants[..wants.len() - 1]),
            _ => return Err(format!("{part:?} is no version range")),
        };
        if !fits {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The leading numbers of `v3.12.0rc1`: 3, 12, 0.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let version = version.trim().trim_start_matches('v');
    let mut numbers = Vec::new();
    for part in version.split('.') {
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        match part[..end].parse() {
            Ok(number) => numbers.push(number),
            Err(_) => break,
        }
        if end < part.len() {
            break;
        }
    }
    (!numbers.is_empty()).then_some(numbers)
}

/// Compares as if the shorter one ended in zeros.
fn compare(a: &[u64], b: &[u64]) -> Ordering {
    let at = |numbers: &[u64], place: usize| numbers.get(place).copied().unwrap_or(0);
    let places = 0..a.len().max(b.len());
    places
        .map(|place| at(a, place).cmp(&at(b, place)))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// `3.12.4` is a `3.12`.
fn starts_with(has: &[u64], wants: &[u64]) -> bool {
    wants
        .iter()
        .enumerate()
        .all(|(place, want)| has.get(place).copied().unwrap_or(0) == *want)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (have, want, fits) in [
            ("3.12.4", ">=3.10,<3.14", true),
            ("3.9.18", ">=3.10", false),
            ("3.14.0", ">=3.10,<3.14", false),
            ("v20.11.1", ">=18", true),
            ("3.12.0rc1", "==3.12", true),
            ("3.12.1", "!=3.12", false),
            ("3.12", "", true),
            ("3.12", "~=3.10", true),
            ("3.12", "~=3.10.2", false),
            ("3.12.7", "==3.12.*", true),
            ("3.12", ">3.12.0", false),
        ] {
            assert_eq!(in_range(have, want), Ok(fits), "{have} {want}");
        }
        for (have, want) in [("x", ">=3"), ("3", "~3"), ("3", ">=")] {
            assert!(in_range(have, want).is_err(), "{have} {want}");
        }
    }

    #[test]
    fn another_platform_is_named() {
        let needs = PlatformNeeds {
            os: vec!["plan9".into()],
            ..PlatformNeeds::default()
        };
        let finding = &check_platform(&needs)[0];
        assert!(
            !finding.ok && finding.cause.contains("plan9"),
            "{finding:?}"
        );
        assert!(check_platform(&PlatformNeeds::default())[0].ok);
    }
}
