//! `node/src/errors.ts`: the catalogue for TypeScript.

use crate::generators::{NOTICE, Result};
use crate::names::rows;
use std::fmt::Write;

const ENTRY: &str = "
/** One row of the error catalogue. */
export interface CatalogueEntry {
  /** The catalogue's name of the error, `GpuNoDriver`. */
  readonly name: string;
  /** The number that C sees. */
  readonly number: number;
  /** The `error_type` of the answer. */
  readonly type: string;
  /** The HTTP status that fits. */
  readonly httpStatus: number;
  /** Whether the same call may succeed later by itself. */
  readonly retryable: boolean;
  /** What happened, in general. */
  readonly message: string;
  /** Why it happens. */
  readonly cause: string;
  /** What to do about it. */
  readonly remedy: string;
}
";

/// The whole file.
pub(crate) fn make() -> Result<String> {
    let mut out = format!("// {NOTICE}\n{ENTRY}");
    codes(&mut out)?;
    out.push_str(
        "\n/** What each code means. */\n\
         export const CATALOGUE = {\n",
    );
    for row in rows() {
        writeln!(out, "  \"{}\": {{", row.code)?;
        writeln!(out, "    name: {:?},", row.name)?;
        writeln!(out, "    number: {},", row.number)?;
        writeln!(out, "    type: {:?},", row.kind)?;
        writeln!(out, "    httpStatus: {},", row.http)?;
        writeln!(out, "    retryable: {},", row.retryable)?;
        writeln!(out, "    message: {},", quoted(row.message))?;
        writeln!(out, "    cause: {},", quoted(row.cause))?;
        writeln!(out, "    remedy: {},", quoted(row.remedy))?;
        out.push_str("  },\n");
    }
    out.push_str("} as const satisfies Readonly<Record<Code, CatalogueEntry>>;\n");
    Ok(out)
}

fn codes(out: &mut String) -> Result<()> {
    out.push_str("\n/** Every error code by name: `Code.GpuNoDriver` is `\"PW-GPU-001\"`. */\n");
    out.push_str("export const Code = {\n");
    for row in rows() {
        writeln!(out, "  /** {} */", row.message.replace("*/", "* /"))?;
        writeln!(out, "  {}: {:?},", row.name, row.code)?;
    }
    out.push_str("} as const;\n\n/** A printed error code. */\n");
    out.push_str("export type Code = (typeof Code)[keyof typeof Code];\n");
    Ok(())
}

/// A double-quoted literal; the catalogue has no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
