//! `include/plugward_errors.h`: the numbers that C sees.

use crate::generators::{NOTICE, Result};
use crate::names::{by_area, screaming};
use std::fmt::Write;

/// The whole file.
pub(crate) fn make() -> Result<String> {
    let mut out = format!(
        "/* {NOTICE} */\n\
         #ifndef PLUGWARD_ERRORS_H\n\
         #define PLUGWARD_ERRORS_H\n\n\
         /** The numbers of the error catalogue. They never change; new ones are added. */\n\
         enum plugward_code {{\n"
    );
    let areas = by_area()?;
    let last = areas.iter().map(|(_, rows)| rows.len()).sum::<usize>();
    let mut count = 0;
    for (title, rows) in areas {
        writeln!(out, "    /* {title} */")?;
        for row in rows {
            count += 1;
            // A trailing comma is refused by strict C89 and C++98 users of this header.
            let comma = if count == last { "" } else { "," };
            writeln!(
                out,
                "    /** {}: {} */",
                row.code,
                row.message.replace("*/", "* /")
            )?;
            writeln!(
                out,
                "    PLUGWARD_CODE_{} = {}{comma}",
                screaming(row.name),
                row.number
            )?;
        }
    }
    out.push_str("};\n\n#endif /* PLUGWARD_ERRORS_H */\n");
    Ok(out)
}
