//! One right of a plugin, in words.

use super::environment::{ALLOWED, FAMILIES};
use super::mechanism::{self, NOT};
use super::paths;
use crate::manifest::{Isolation, Manifest};
use serde::Serialize;
use std::path::PathBuf;

/// How much of something a plugin may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowed {
    /// Nothing.
    Nothing,
    /// What is listed.
    Listed,
    /// Everything that its host's user may.
    Everything,
}

/// One right or limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clause {
    /// What it is about: `read`, `write`, `network`, `limits.memory_mb`.
    pub subject: &'static str,
    /// How much of it.
    pub allowed: Allowed,
    /// What in particular: paths, names of variables, a number with its unit.
    pub values: Vec<String>,
    /// The same as a sentence.
    pub text: String,
    /// The line of the manifest that changes it.
    pub line: &'static str,
    /// What enforces it here.
    pub mechanism: String,
    /// Whether anything does.
    pub enforced: bool,
}

impl Clause {
    pub(super) fn new(
        subject: &'static str,
        allowed: Allowed,
        values: Vec<String>,
        text: String,
        line: &'static str,
        mechanism: String,
    ) -> Self {
        let enforced = !mechanism.starts_with(NOT);
        Self {
            subject,
            allowed,
            values,
            text,
            line,
            mechanism,
            enforced,
        }
    }

    /// In the host's own process nothing holds it.
    pub(super) fn unheld(&mut self, isolation: Isolation) {
        // The caller keeps the time of its call wherever it runs.
        if self.subject == "limits.deadline_ms" {
            return;
        }
        self.mechanism = format!("{NOT}: isolation \"{isolation}\" is the host's own process");
        self.enforced = false;
    }
}

/// What it may do.
pub(super) fn rights(manifest: &Manifest) -> Vec<Clause> {
    let (files, calls) = (mechanism::files(), mechanism::calls());
    vec![
        read(manifest, &files),
        write(manifest, &files),
        devices(manifest, &files),
        yes_or_no(
            "network",
            manifest.permissions.network,
            ["uses the network", "opens no socket of any kind"],
            "permissions.network",
            &calls,
        ),
        yes_or_no(
            "subprocess",
            manifest.permissions.subprocess,
            [
                "starts programs, under the same restrictions",
                "starts no process and sends no signal to another",
            ],
            "permissions.subprocess",
            &calls,
        ),
        environment(manifest),
    ]
}

fn shown(paths: Vec<PathBuf>) -> Vec<String> {
    paths.iter().map(|p| p.display().to_string()).collect()
}

fn read(manifest: &Manifest, by: &str) -> Clause {
    let line = "permissions.read";
    if manifest.permissions.read.is_empty() {
        let text = "reads every file that the host's user may read".to_owned();
        return Clause::new(
            "read",
            Allowed::Everything,
            Vec::new(),
            text,
            line,
            by.to_owned(),
        );
    }
    let named = &manifest.permissions.read;
    let mut values = shown(named.iter().map(|p| paths::resolved(manifest, p)).collect());
    values.extend(shown(paths::own(manifest)));
    let text = format!(
        "reads {}, and what the system and its interpreter need; nothing else",
        values.join(", ")
    );
    Clause::new("read", Allowed::Listed, values, text, line, by.to_owned())
}

fn write(manifest: &Manifest, by: &str) -> Clause {
    let named = &manifest.permissions.write;
    let values = shown(named.iter().map(|p| paths::resolved(manifest, p)).collect());
    let there = match values.is_empty() {
        true => String::new(),
        false => format!(" and {}", values.join(", ")),
    };
    let text = format!(
        "writes a scratch folder of its own (TMPDIR){there}; nothing else, but modes and times of its user's files"
    );
    Clause::new(
        "write",
        Allowed::Listed,
        values,
        text,
        "permissions.write",
        by.to_owned(),
    )
}

fn devices(manifest: &Manifest, by: &str) -> Clause {
    let named = manifest.permissions.devices.clone();
    let (allowed, text) = match named.is_empty() {
        true => (Allowed::Nothing, "writes to no device".to_owned()),
        false => (
            Allowed::Listed,
            format!("uses the devices {}", named.join(", ")),
        ),
    };
    Clause::new(
        "devices",
        allowed,
        named,
        text,
        "permissions.devices",
        by.to_owned(),
    )
}

fn yes_or_no(
    subject: &'static str,
    granted: bool,
    [yes, no]: [&str; 2],
    line: &'static str,
    by: &str,
) -> Clause {
    let (allowed, text, by) = match granted {
        true => (Allowed::Everything, yes, "granted"),
        false => (Allowed::Nothing, no, by),
    };
    Clause::new(
        subject,
        allowed,
        Vec::new(),
        text.to_owned(),
        line,
        by.to_owned(),
    )
}

fn environment(manifest: &Manifest) -> Clause {
    let mut values: Vec<String> = ALLOWED.iter().map(|&name| name.to_owned()).collect();
    values.extend(FAMILIES.iter().map(|family| format!("{family}*")));
    let text = match manifest.env.as_slice() {
        [] => "sees the usual variables of the environment and no other".to_owned(),
        named => format!(
            "sees {} beside the usual variables of the environment",
            named.join(", ")
        ),
    };
    values.extend(manifest.env.iter().cloned());
    let by = "the worker starts with no other variable".to_owned();
    Clause::new("environment", Allowed::Listed, values, text, "env", by)
}
