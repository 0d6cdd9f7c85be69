//! `python/plugward/_errors.py`: the catalogue for Python, formatted as ruff would.

use crate::generators::{NOTICE, Result};
use crate::names::{rows, screaming};
use plugward_core::error::Row;
use std::fmt::Write;

/// The project's line length.
const WIDTH: usize = 120;

const HEAD: &str = r#"
"""The error catalogue: every code, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CATALOGUE", "CatalogueEntry", "Code"]


class Code(str, Enum):
    """A stable error code; each member equals its printed form, ``Code.GPU_NO_DRIVER == "PW-GPU-001"``."""

"#;

const ENTRY: &str = r#"
    def __str__(self) -> str:
        """Return the printed form."""
        return self.value


@dataclass(frozen=True)
class CatalogueEntry:
    """One row of the error catalogue."""

    code: Code
    """The code itself."""
    number: int
    """The number that C sees."""
    kind: str
    """The ``error_type`` of the answer."""
    http_status: int
    """The HTTP status that fits."""
    retryable: bool
    """Whether the same call may succeed later by itself."""
    message: str
    """What happened, in general."""
    cause: str
    """Why it happens."""
    remedy: str
    """What to do about it."""


_ENTRIES: Final = (
"#;

const TAIL: &str = r#")

CATALOGUE: Final[Mapping[Code, CatalogueEntry]] = MappingProxyType({entry.code: entry for entry in _ENTRIES})
"""What each code means."""
"#;

/// The whole file.
pub(crate) fn make() -> Result<String> {
    let mut out = format!("# {NOTICE}{HEAD}");
    for row in rows() {
        writeln!(out, "    {} = \"{}\"", screaming(row.name), row.code)?;
    }
    out.push_str(ENTRY);
    for row in rows() {
        entry(&mut out, row)?;
    }
    out.push_str(TAIL);
    Ok(out)
}

fn entry(out: &mut String, row: &Row) -> Result<()> {
    writeln!(out, "    CatalogueEntry(")?;
    writeln!(out, "        code=Code.{},", screaming(row.name))?;
    writeln!(out, "        number={},", row.number)?;
    writeln!(out, "        kind={},", literal(row.kind))?;
    writeln!(out, "        http_status={},", row.http)?;
    writeln!(
        out,
        "        retryable={},",
        if row.retryable { "True" } else { "False" }
    )?;
    for (key, text) in [
        ("message", row.message),
        ("cause", row.cause),
        ("remedy", row.remedy),
    ] {
        out.push_str(&argument(key, text));
    }
    writeln!(out, "    ),")?;
    Ok(())
}

/// `key="text",`, or the text in parentheses over several lines where it is too long.
fn argument(key: &str, text: &str) -> String {
    let line = format!("        {key}={},\n", literal(text));
    if line.trim_end().chars().count() <= WIDTH {
        return line;
    }
    let parts = wrap(text, WIDTH - 16);
    let parts: String = parts
        .iter()
        .map(|part| format!("            {}\n", literal(part)))
        .collect();
    format!("        {key}=(\n{parts}        ),\n")
}

/// Cuts after spaces; the parts joined are the text.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let full = parts
            .last()
            .is_some_and(|part| part.len() + word.len() > width);
        match parts.last_mut() {
            Some(part) if !full => part.push_str(word),
            _ => parts.push(word.to_owned()),
        }
    }
    parts
}

/// Double quotes, unless single ones need fewer escapes: what formatters choose.
fn literal(text: &str) -> String {
    let text = text.replace('\\', "\\\\");
    let count = |quote| text.matches(quote).count();
    let quote = if count('"') > count('\'') { '\'' } else { '"' };
    let escaped = text.replace(quote, &format!("\\{quote}"));
    format!("{quote}{escaped}{quote}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_choose_their_quotes() {
        assert_eq!(literal("a"), "\"a\"");
        assert_eq!(literal("say \"a\""), "'say \"a\"'");
        assert_eq!(literal("it's \"a\""), "'it\\'s \"a\"'");
        assert_eq!(literal("a\\b"), "\"a\\\\b\"");
    }

    #[test]
    fn wrapped_text_is_the_text() {
        let text = "one two three four five";
        let parts = wrap(text, 9);
        assert_eq!(parts.concat(), text);
        assert!(
            parts.len() > 2 && parts.iter().all(|part| part.len() <= 9),
            "{parts:?}"
        );
    }
}
