//! The last touches to cbindgen's text: plain pointers, plain names, short comments, one layout.

/// All of them.
pub(crate) fn touched_up(text: &str) -> String {
    laid_out(&plain_names(&short_comments(&inlined(text))))
}

/// Ownership types of the crate: C sees plain pointers, so their typedefs are replaced by what
/// they stand for.
const OWNERSHIP: [&str; 4] = ["Shared_", "Owned_", "Out_", "Utf8"];

fn inlined(text: &str) -> String {
    let mut aliases: Vec<(String, String)> = Vec::new();
    let mut kept = Vec::new();
    for block in text.split("\n\n") {
        match alias(block) {
            Some((name, meaning)) => aliases.push((name, resolve(&meaning, &aliases))),
            None => kept.push(block),
        }
    }
    let lines = kept.join("\n\n");
    lines
        .split('\n')
        .map(|line| resolve(line, &aliases))
        .collect::<Vec<_>>()
        .join("\n")
}

/// `typedef const plugward_runtime *Shared_Runtime;`, with or without a comment above.
fn alias(block: &str) -> Option<(String, String)> {
    let line = block
        .lines()
        .last()?
        .strip_prefix("typedef ")?
        .strip_suffix(';')?;
    let at = line.rfind([' ', '*'])? + 1;
    let (meaning, name) = line.split_at(at);
    let ours = OWNERSHIP.iter().any(|prefix| name.starts_with(prefix));
    ours.then(|| (name.to_owned(), meaning.to_owned()))
}

/// Replaces whole words; `Shared_X name` becomes `const x *name`.
fn resolve(line: &str, aliases: &[(String, String)]) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '_') {
        let (before, from) = rest.split_at(start);
        let end = from
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        out.push_str(before);
        rest = after;
        match aliases.iter().find(|(name, _)| name == word) {
            Some((_, meaning)) => {
                out.push_str(meaning);
                rest = rest.strip_prefix(' ').unwrap_or(rest);
            }
            None => out.push_str(word),
        }
    }
    out.push_str(rest);
    out
}

/// Comments of one line in one line; constants of types are left out, C has its own way to say them.
fn short_comments(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<String> = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        match short_comment(&lines[at..]) {
            Some(comment) => {
                out.push(comment);
                at += 3;
            }
            None => {
                out.push(lines[at].to_owned());
                at += 1;
            }
        }
        if out
            .last()
            .is_some_and(|line| line.starts_with("#define plugward_"))
        {
            out.truncate(out.len() - 2);
        }
    }
    out.join("\n")
}

fn short_comment(lines: &[&str]) -> Option<String> {
    let [open, text, close, ..] = lines else {
        return None;
    };
    let indent = open.strip_suffix("/**")?;
    let text = text.trim_start().strip_prefix("* ")?;
    let short = format!("{indent}/** {text} */");
    (close.trim() == "*/" && short.len() <= 100).then_some(short)
}

/// `struct plugward_x` as `plugward_x`, except where the struct names itself.
fn plain_names(text: &str) -> String {
    let mut within = None;
    let lines = text.lines().map(|line| {
        if let Some(rest) = line.strip_prefix("typedef struct ") {
            within = rest.strip_suffix(" {").map(str::to_owned);
            return line.to_owned();
        }
        if line.starts_with('}') {
            within = None;
        }
        let kept = within.as_ref().map(|name| format!("struct {name} "));
        match kept.filter(|name| line.contains(name)) {
            Some(name) => line
                .replace(&name, "\0")
                .replace("struct plugward_", "plugward_")
                .replace('\0', &name),
            None => line.replace("struct plugward_", "plugward_"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

const WIDTH: usize = 100;

/// Function declarations in one line, or with one parameter a line where that is too long.
fn laid_out(text: &str) -> String {
    let blocks = text.split("\n\n").map(|block| {
        let start = block.rfind("*/\n").map_or(0, |at| at + 3);
        let (comment, code) = block.split_at(start);
        let is_function =
            code.ends_with(");") && code.starts_with(|c: char| c.is_ascii_lowercase());
        if !is_function || code.starts_with("typedef") {
            return block.to_owned();
        }
        let words: Vec<&str> = code.split_whitespace().collect();
        format!("{comment}{}", wrapped(&words.join(" ")))
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn wrapped(code: &str) -> String {
    match code.split_once('(') {
        Some((head, parameters)) if code.len() > WIDTH => {
            let indent = format!(",\n{}", " ".repeat(head.len() + 1));
            format!("{head}({}", parameters.replace(", ", &indent))
        }
        _ => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ownership_types_are_plain_pointers() {
        let text = "typedef struct t t;\n\n/**\n * Doc.\n */\ntypedef t *Owned_T;\n\n\
                    typedef Owned_T *Out_Owned_T;\n\nOwned_T f(Out_Owned_T out);";
        assert_eq!(inlined(text), "typedef struct t t;\n\nt *f(t **out);");
    }

    #[test]
    fn comments_of_one_line_are_one_line() {
        let text = "  /**\n   * One.\n   */\nint a;\n/**\n * Two\n * lines.\n */\n\
                    /**\n * No.\n */\n#define plugward_x_A 1\nint b;";
        let short = "  /** One. */\nint a;\n/**\n * Two\n * lines.\n */\nint b;";
        assert_eq!(short_comments(text), short);
    }

    #[test]
    fn a_struct_keeps_its_tag_where_it_names_itself() {
        let text = "typedef struct plugward_a {\n  struct plugward_a *a;\n  struct plugward_b b;\n\
                    } plugward_a;\nvoid f(struct plugward_a a);";
        let plain = "typedef struct plugward_a {\n  struct plugward_a *a;\n  plugward_b b;\n\
                     } plugward_a;\nvoid f(plugward_a a);";
        assert_eq!(plain_names(text), plain);
    }

    #[test]
    fn long_declarations_have_one_parameter_a_line() {
        let long = format!("/** Doc. */\nint f(int {},\n      int b);", "a".repeat(100));
        let want = format!("/** Doc. */\nint f(int {},\n      int b);", "a".repeat(100));
        assert_eq!(laid_out(&long), want);
        assert_eq!(
            laid_out("/** Doc. */\nint f(int a,\n   int b);"),
            "/** Doc. */\nint f(int a, int b);"
        );
    }
}
