//! What both C headers have in common: cbindgen's settings, and the last touches to its text.
//!
//! cbindgen is pinned and runs as a library, so a header depends on nothing but this tree.

use crate::generators::{NOTICE, Result};
use crate::touch_up::touched_up;
use cbindgen::{Builder, Config, DocumentationStyle, Language, SortKey, Style};
use std::path::Path;

/// One C header.
pub(crate) struct Header {
    /// The crate's root file, from the root of the repository.
    pub(crate) source: &'static str,
    /// The include guard.
    pub(crate) guard: &'static str,
    /// What stands before the first declaration.
    pub(crate) preface: &'static str,
    /// What stands after the last one.
    pub(crate) trailer: &'static str,
    /// Rust types with their C names.
    pub(crate) types: &'static [(&'static str, &'static str)],
    /// Constants, which get the prefix `PLUGWARD_`.
    pub(crate) constants: &'static [&'static str],
    /// Types that no function mentions and that are written all the same.
    pub(crate) included: &'static [&'static str],
    /// Rust items that C does not see.
    pub(crate) hidden: &'static [&'static str],
}

impl Header {
    /// The whole file.
    pub(crate) fn make(&self) -> Result<String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(self.source);
        let bindings = Builder::new()
            .with_config(self.config())
            .with_src(source)
            .generate()?;
        let mut bytes = Vec::new();
        bindings.write(&mut bytes);
        let body = self.linked(&touched_up(&String::from_utf8(bytes)?));
        let Self {
            guard,
            preface,
            trailer,
            ..
        } = self;
        let text = format!(
            "/* {NOTICE} */\n#ifndef {guard}\n#define {guard}\n\n{preface}\n{}\n{trailer}\n#endif /* {guard} */\n",
            body.trim()
        );
        if let Some(line) = unnamed(&text) {
            return Err(format!("{guard}: a name without prefix: {line}").into());
        }
        if let Some(function) = untagged(&text) {
            return Err(format!("{guard}: no word on threads in the comment of {function}").into());
        }
        Ok(text)
    }

    /// Rust's links in comments, [`Host::log`], in C's words.
    fn linked(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, link)) = rest.split_once("[`")
            && let Some((name, after)) = link.split_once("`]")
        {
            out.push_str(before);
            out.push_str(&format!("`{}`", self.c_name(name)));
            rest = after;
        }
        out + rest
    }

    fn c_name(&self, rust: &str) -> String {
        let (owner, member) = rust.split_once("::").unwrap_or((rust, ""));
        let types = self.types.iter().find(|(name, _)| *name == owner);
        let owner = match types {
            Some((_, c)) => (*c).to_owned(),
            None if self.constants.contains(&owner) => format!("PLUGWARD_{owner}"),
            None => owner.to_owned(),
        };
        if member.is_empty() {
            owner
        } else {
            format!("{owner}.{member}")
        }
    }

    fn config(&self) -> Config {
        let mut config = Config {
            language: Language::C,
            cpp_compat: true,
            no_includes: true,
            usize_is_size_t: true,
            documentation_style: DocumentationStyle::Doxy,
            style: Style::Both,
            sort_by: SortKey::None,
            line_length: 100,
            ..Config::default()
        };
        config.function.sort_by = Some(SortKey::None);
        config.constant.sort_by = Some(SortKey::None);
        config.export.exclude = self.hidden.iter().map(|name| (*name).to_owned()).collect();
        config.export.include = self
            .included
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        let types = self
            .types
            .iter()
            .map(|(rust, c)| ((*rust).to_owned(), (*c).to_owned()));
        let constants = self
            .constants
            .iter()
            .map(|c| ((*c).to_owned(), format!("PLUGWARD_{c}")));
        config.export.rename = types.chain(constants).collect();
        config
    }
}

/// The first declaration whose name would clash with other libraries, if there is one.
fn unnamed(text: &str) -> Option<&str> {
    text.lines().find(|line| {
        let name = match line.strip_prefix("#define ") {
            Some(rest) => rest.split([' ', '(']).next(),
            None => line
                .strip_prefix("typedef struct ")
                .and_then(|rest| rest.split([' ', ';']).next()),
        };
        name.is_some_and(|name| !name.to_ascii_lowercase().starts_with("plugward_"))
    })
}

/// The first function whose comment does not say from which threads it may be called.
fn untagged(text: &str) -> Option<&str> {
    let is_function = |code: &str| code.ends_with(");") && !code.starts_with(['#', '/', 't', ' ']);
    text.split("\n\n").find_map(|block| {
        let code = block.rsplit("*/\n").next().unwrap_or(block);
        (is_function(code) && !block.contains("Thread: ")).then_some(code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_prefix_is_seen() {
        assert_eq!(
            unnamed("#define PLUGWARD_A 1\n#define B 2"),
            Some("#define B 2")
        );
        assert_eq!(unnamed("typedef struct plugward_a plugward_a;"), None);
    }

    #[test]
    fn a_function_without_a_word_on_threads_is_seen() {
        assert_eq!(
            untagged("/**\n * F.\n */\nint f(void);"),
            Some("int f(void);")
        );
        assert_eq!(
            untagged("/**\n * F.\n *\n * Thread: any.\n */\nint f(void);"),
            None
        );
    }
}
