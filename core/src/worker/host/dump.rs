//! What Python's faulthandler writes when a fatal signal comes: kept apart from the plugin's own last words, because a
//! worker has threads enough to push those out, and the thread that crashed is what matters.

/// Lines that are kept of the thread that crashed, and again of all others.
const LINES: usize = 60;

/// Lines after which a dump is over, whatever they are: Python writes at most a hundred threads of a
/// hundred frames each.
const LONGEST: usize = 12_000;

const BEGIN: &str = "Fatal Python error: ";
const NO_FRAME: &str = "<no Python frame>";

#[derive(Default)]
pub(super) struct Dump {
    head: Option<String>,
    crashed: Vec<String>,
    others: Vec<String>,
    block: Block,
    /// Lines since the head.
    taken: usize,
}

#[derive(Default)]
enum Block {
    #[default]
    Crashed,
    /// Its first line, until it turns out to have frames.
    Other(Option<String>),
}

impl Dump {
    /// Takes a line that belongs to a dump; false for every other.
    pub(super) fn take(&mut self, line: &str) -> bool {
        if line.starts_with(BEGIN) {
            *self = Self {
                head: Some(line.to_owned()),
                ..Self::default()
            };
            return true;
        }
        self.taken += usize::from(self.head.is_some());
        self.head.is_some() && self.goes_on(line)
    }

    /// Whether more of it may come.
    pub(super) fn is_open(&self) -> bool {
        self.head.is_some() && self.taken < LONGEST
    }

    fn goes_on(&mut self, line: &str) -> bool {
        let thread = line.contains("(most recent call first)");
        if thread && line.starts_with("Thread 0x") {
            self.block = Block::Other(Some(line.to_owned()));
        } else if thread && (line.starts_with("Current thread") || line.starts_with("Stack (")) {
            self.block = Block::Crashed;
            keep(&mut self.crashed, line);
        } else if is_frame(line) {
            self.frame(line);
        } else {
            return is_rest(line);
        }
        true
    }

    fn frame(&mut self, line: &str) {
        match &mut self.block {
            Block::Crashed => keep(&mut self.crashed, line),
            Block::Other(_) if line.trim() == NO_FRAME => {}
            Block::Other(first) => {
                if let Some(first) = first.take() {
                    keep(&mut self.others, &first);
                }
                keep(&mut self.others, line);
            }
        }
    }

    /// The thread that crashed, then what others were doing.
    pub(super) fn lines(&self) -> Vec<String> {
        let parts = [&self.crashed, &self.others];
        let all = self.head.iter().chain(parts.into_iter().flatten());
        all.cloned().collect()
    }
}

/// Where in `bytes` the first line of a dump begins.
pub(super) fn begins_at(bytes: &[u8]) -> Option<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n');
    let mut starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1));
    starts.find(|at| bytes[*at..].starts_with(BEGIN.as_bytes()))
}

/// Whether what has come of a line may be the beginning of a dump's first.
pub(super) fn may_begin(part: &[u8]) -> bool {
    let begin = BEGIN.as_bytes();
    !part.is_empty() && (part.starts_with(begin) || begin.starts_with(part))
}

fn keep(lines: &mut Vec<String>, line: &str) {
    if lines.len() < LINES {
        lines.push(line.to_owned());
    }
}

fn is_frame(line: &str) -> bool {
    let frames = ["  File \"", "  Binary file \"", "  <", "  ..."];
    frames.iter().any(|f| line.starts_with(f))
}

/// What else stands in a dump and tells nothing.
fn is_rest(line: &str) -> bool {
    let rest = ["Extension modules: ", "Python runtime state: ", "<Cannot "];
    line.is_empty() || rest.iter().any(|f| line.starts_with(f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_that_crashed_comes_first_and_empty_ones_are_left_out() {
        let mut dump = Dump::default();
        assert!(
            !dump.take("  File \"a.py\", line 1 in f"),
            "no dump has begun"
        );
        let mut lines = vec![
            "Fatal Python error: Segmentation fault".to_owned(),
            String::new(),
        ];
        for n in 0..60 {
            lines.push(format!("Thread 0x{n:016x} (most recent call first):"));
            lines.push("  <no Python frame>".to_owned());
        }
        let busy = [
            "Thread 0x1 [pool] (most recent call first):",
            "  File \"b.py\", line 2 in g",
        ];
        let here = [
            "Current thread 0x2 (most recent call first):",
            "  File \"c.py\", line 3 in h",
        ];
        lines.extend(busy.iter().chain(&here).map(ToString::to_string));
        lines.push("Extension modules: numpy._core._multiarray_umath (total: 1)".to_owned());
        assert!(lines.iter().all(|line| dump.take(line)));
        assert!(!dump.take("the plugin's own word"));
        let told = dump.lines();
        assert_eq!(told[0], lines[0]);
        assert_eq!(told[1..], [here, busy].concat());
    }
}
