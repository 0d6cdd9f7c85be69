//! The known word that a misspelt one most likely means.

/// Below this likeness (Jaro-Winkler, 0 to 1) a suggestion would only confuse.
const LIKENESS: f64 = 0.75;

/// The word among `known` that `word` most likely means, if any is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A key of megabytes is no misspelling, and the comparison is quadratic.
    let plain: String = simplify(word.get(..word.len().min(128))?);
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&plain, &simplify(candidate)),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Case and separators are the commonest differences and say nothing.
fn simplify(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_find_their_word() {
        let known = ["memory_mb", "deadline_ms", "concurrency", "queue"];
        for (word, meant) in [
            ("memroy_mb", "memory_mb"),
            ("memory", "memory_mb"),
            ("deadlineMs", "deadline_ms"),
        ] {
            assert_eq!(nearest(word, known), Some(meant), "{word}");
        }
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"é".repeat(500), known), None);
    }
}
