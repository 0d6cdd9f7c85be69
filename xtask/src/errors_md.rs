//! `docs/errors.md`: the catalogue for people.

use crate::generators::{NOTICE, Result};
use crate::names::by_area;
use plugward_core::error::Row;
use std::fmt::Write;

const HEAD: &str = "\
# Errors

Every error that Plugward reports has a stable code `PW-<AREA>-<NNN>`. Codes are append-only: a code that is no longer
raised keeps its row. *Type* is the answer's `error_type`; a plugin's own exception keeps its class name there.
*HTTP* is the status that fits when a host maps outcomes to statuses. *Retry* says whether the same call may succeed
later without anybody's doing. Message, cause and remedy are the general ones; an error names the particular case.
";

/// The whole file.
pub(crate) fn make() -> Result<String> {
    let mut out = format!("<!-- {NOTICE} -->\n{HEAD}");
    for (title, rows) in by_area()? {
        writeln!(out, "\n## {title}\n")?;
        writeln!(
            out,
            "| Code | Type | HTTP | Retry | Message | Cause | Remedy |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|")?;
        for row in rows {
            out.push_str(&line(row));
        }
    }
    Ok(out)
}

fn line(row: &Row) -> String {
    let retry = if row.retryable { "yes" } else { "no" };
    let (message, cause, remedy) = (cell(row.message), cell(row.cause), cell(row.remedy));
    let Row {
        code, kind, http, ..
    } = row;
    format!("| `{code}` | {kind} | {http} | {retry} | {message} | {cause} | {remedy} |\n")
}

/// Text that neither ends the cell nor starts markup, save for its own `code` spans.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut code = false;
    for letter in text.chars() {
        code ^= letter == '`';
        if letter == '|' || (!code && matches!(letter, '*' | '_' | '<' | '[')) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn cells_cannot_break_the_table() {
        assert_eq!(cell("a|b *c* `d_e` f_g"), "a\\|b \\*c\\* `d_e` f\\_g");
    }
}
