//! The catalogue's names in the spelling of each language, and its areas in words.

use crate::generators::Result;
use plugward_core::error::{Code, Row};

/// The areas in catalogue order: the middle of the code, and a title.
const AREAS: [(&str, &str); 17] = [
    ("MAN", "Manifest"),
    ("REG", "Registry"),
    ("LIFE", "Lifecycle"),
    ("LOAD", "Loading"),
    ("PKG", "Packages"),
    ("ENV", "Environment and platform"),
    ("GPU", "GPU"),
    ("MODEL", "Models"),
    ("CALL", "Calls"),
    ("NAT", "Native plugins"),
    ("ABI", "The C edge"),
    ("RT", "The runtime"),
    ("WORKER", "Worker processes"),
    ("CKPT", "Checkpoints"),
    ("PERM", "Permissions"),
    ("SUP", "Supervision"),
    ("VIDEO", "The VideoTracker plugin"),
];

/// Every row of the catalogue.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    Code::ALL.iter().map(|code| code.row())
}

/// The rows by area, in catalogue order, with each area's title.
pub(crate) fn by_area() -> Result<Vec<(&'static str, Vec<&'static Row>)>> {
    let mut areas: Vec<(&'static str, Vec<&'static Row>)> = Vec::new();
    for row in rows() {
        let title = title(row.code)?;
        match areas.iter_mut().find(|(known, _)| *known == title) {
            Some((_, rows)) => rows.push(row),
            None => areas.push((title, vec![row])),
        }
    }
    Ok(areas)
}

fn title(code: &str) -> Result<&'static str> {
    let area = code.split('-').nth(1).unwrap_or_default();
    let found = AREAS.iter().find(|(known, _)| *known == area);
    found.map(|(_, title)| *title).ok_or_else(|| {
        format!("{code}: the area {area} has no title; add it to AREAS in xtask/src/names.rs")
            .into()
    })
}

/// `GpuNoDriver` as `GPU_NO_DRIVER`.
pub(crate) fn screaming(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    for (index, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_spelt_and_stay_unique() {
        assert_eq!(screaming("GpuNoDriver"), "GPU_NO_DRIVER");
        assert_eq!(screaming("AbiUtf8"), "ABI_UTF8");
        let names: HashSet<String> = rows().map(|row| screaming(row.name)).collect();
        assert_eq!(names.len(), Code::ALL.len());
    }

    #[test]
    fn every_row_is_in_one_area() {
        let sum: usize = by_area().unwrap().iter().map(|(_, rows)| rows.len()).sum();
        assert_eq!(sum, Code::ALL.len());
        assert!(title("PW-NONE-001").is_err());
    }
}
