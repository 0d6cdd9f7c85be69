//! Times steps of the tracker on request, so that it can take turns with another program.

use crate::Failure;
use crate::world::Frame;
use serde_json::json;
use std::io::{BufRead, Write, stdin};
use std::time::{Duration, Instant};
use videotracker::track::{Config, Detection, Tracker};

/// Frames that are gone through again and again; each time round a new tracker.
struct Round {
    config: Config,
    frames: Vec<Vec<Detection>>,
    next: usize,
    tracker: Tracker,
}

impl Round {
    /// Time one step; making a new tracker is not part of it.
    fn step(&mut self) -> Duration {
        if self.next == self.frames.len() {
            self.next = 0;
            self.tracker = Tracker::new(self.config);
        }
        let detections = &self.frames[self.next];
        self.next += 1;
        let begun = Instant::now();
        std::hint::black_box(self.tracker.update(std::hint::black_box(detections)));
        begun.elapsed()
    }
}

pub(crate) fn serve(config: Config, to: &mut impl Write) -> Result<(), Failure> {
    let mut lines = stdin().lock().lines();
    let mut round = Round {
        config,
        frames: Vec::new(),
        next: 0,
        tracker: Tracker::new(config),
    };
    for line in lines.by_ref() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        round
            .frames
            .push(serde_json::from_str::<Frame>(&line)?.detections);
    }
    if round.frames.is_empty() {
        return Err("no frames came before the empty line".into());
    }
    for line in lines {
        let line = line?;
        let answer = match line.split_once(' ') {
            Some(("batch", number)) => {
                let took: Duration = (0..number.parse::<usize>()?).map(|_| round.step()).sum();
                json!(took.as_secs_f64())
            }
            Some(("singles", number)) => {
                json!(
                    (0..number.parse::<usize>()?)
                        .map(|_| round.step().as_nanos() as u64)
                        .collect::<Vec<_>>()
                )
            }
            _ => return Err(format!("neither \"batch N\" nor \"singles N\": {line}").into()),
        };
        writeln!(to, "{answer}")?;
        to.flush()?;
    }
    Ok(())
}
