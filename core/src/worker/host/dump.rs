//! What Python's faulthandler writes when a fatal signal comes: kept apart from the plugin's own last words, because a
//! worker has threads enough to push those out, and the thread that crashed is what matters.

/// Lines that are kept of the thread that crashed, and again of all others.
const LINES: usize = 60;

const BEGIN: &str = "Fatal Python error: ";
const NO_FRAME: &str = "<no Python frame>";

#[derive(Default)]
pub(super) struct Dump {
    head: Option<String>,
    crashed: Vec<String>,
    others: Vec<String>,
    block: Block,
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
        self.head.is_some() && self.goes_on(line)
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
