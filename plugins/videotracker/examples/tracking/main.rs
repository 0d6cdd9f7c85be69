//! Sequences and tracks as JSON lines, so that the tracker can be compared with others.
//!
//! ```text
//! tracking generate SET   every frame of every sequence: what there is and what was seen
//! tracking track CONFIG   reads such frames, writes for each its tracks, and at the end the counts of each sequence
//! tracking turns CONFIG   reads the frames of one sequence and an empty line, then answers "batch N" with seconds
//!                         and "singles N" with nanoseconds of steps, going round the sequence
//! ```

mod mot;
mod random;
mod suite;
mod turns;
mod world;

use mot::Judge;
use serde_json::json;
use std::io::{BufRead, BufWriter, Write, stdin, stdout};
use videotracker::track::{Config, Tracker};
use world::Frame;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut to = BufWriter::new(stdout().lock());
    match words[..] {
        ["generate", set] => generate(set.parse()?, &mut to)?,
        ["track", config] => track(serde_json::from_str(config)?, &mut to)?,
        ["turns", config] => turns::serve(serde_json::from_str(config)?, &mut to)?,
        _ => return Err("usage: tracking generate SET | track CONFIG | turns CONFIG".into()),
    }
    Ok(to.flush()?)
}

fn generate(set: u64, to: &mut impl Write) -> Result<(), Failure> {
    for frame in suite::sequences(set).into_iter().flatten() {
        writeln!(to, "{}", serde_json::to_string(&frame)?)?;
    }
    Ok(())
}

/// Track what comes in; a frame of another sequence begins a new tracker.
fn track(config: Config, to: &mut impl Write) -> Result<(), Failure> {
    let mut current: Option<Run> = None;
    for line in stdin().lock().lines() {
        let frame: Frame = serde_json::from_str(&line?)?;
        if current
            .as_ref()
            .is_none_or(|run| run.sequence != frame.sequence)
        {
            current
                .replace(Run::new(config, &frame))
                .map(|run| run.end(to))
                .transpose()?;
        }
        let Some(run) = &mut current else { continue };
        let tracks = run.tracker.update(&frame.detections);
        run.judge.frame(&frame.truth, &tracks);
        writeln!(
            to,
            "{}",
            json!({"sequence": frame.sequence, "tracks": tracks})
        )?;
    }
    current.map(|run| run.end(to)).transpose()?;
    Ok(())
}

struct Run {
    sequence: String,
    tracker: Tracker,
    judge: Judge,
}

impl Run {
    fn new(config: Config, first: &Frame) -> Self {
        let config = Config {
            frame_rate: first.frame_rate,
            ..config
        };
        Self {
            sequence: first.sequence.clone(),
            tracker: Tracker::new(config),
            judge: Judge::default(),
        }
    }

    fn end(self, to: &mut impl Write) -> Result<(), Failure> {
        let counts = self.judge.end();
        let (idf1, mota) = (counts.idf1(), counts.mota());
        let line = json!({"sequence": self.sequence, "counts": counts, "idf1": idf1, "mota": mota});
        Ok(writeln!(to, "{line}")?)
    }
}
