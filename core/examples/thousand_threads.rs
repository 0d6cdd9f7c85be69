//! 1000 native threads read the health of 50 plugins, without a pause, while 4 writers flip their
//! states; prints what they saw as one JSON object. `make bench` runs it for its row "1000 threads".
//!
//!     cargo run --release -p plugward-core --example thousand_threads -- 60 [health|status]

use plugward_core::lifecycle::Event;
use plugward_core::{Error, Runtime, RuntimeOptions};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

const READERS: usize = 1000;
const WRITERS: usize = 4;
const PLUGINS: usize = 50;
const WINDOWS: u32 = 6;

/// Durations in buckets of 1/16 of a power of two, so that a thousand of them cost 8 MB at most.
struct Histogram(Vec<u64>);

impl Histogram {
    fn new() -> Self {
        Self(vec![0; 64 * 16])
    }

    fn add(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(16);
        let power = nanos.ilog2();
        let within = (nanos >> (power - 4)) & 15;
        self.0[power as usize * 16 + within as usize] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(mine, theirs)| *mine += theirs);
    }

    fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The upper edge of the bucket that holds the percentile.
    fn percentile(&self, percent: f64) -> u64 {
        let wanted = (self.count() as f64 * percent / 100.0) as u64;
        let mut seen = 0;
        for (index, amount) in self.0.iter().enumerate() {
            seen += amount;
            if seen > wanted {
                let (power, within) = (index / 16, index % 16);
                return (17 + within as u64) << (power - 4);
            }
        }
        0
    }

    fn to_value(&self) -> Value {
        let [p25, p50, p75, p99, p999] = [25.0, 50.0, 75.0, 99.0, 99.9].map(|p| self.percentile(p));
        json!({"p25": p25, "p50": p50, "p75": p75, "p99": p99, "p99.9": p999})
    }
}

/// What the readers read.
enum What {
    /// The full health objects, copied.
    Health,
    /// State, generation and calls in flight of each plugin.
    Status,
}

/// What all threads share.
struct Stage {
    what: What,
    runtime: Runtime,
    counts: Vec<AtomicU64>,
    torn: AtomicU64,
    ended: AtomicBool,
    begun: AtomicBool,
}

impl Stage {
    fn new(what: What) -> Result<Self, Error> {
        let runtime = Runtime::new(RuntimeOptions::default())?;
        for number in 0..PLUGINS {
            let name = format!("p{number:02}");
            runtime.register(&name, "one of fifty", "1.0.0")?;
            runtime.mark(&name, Event::Ready, "")?;
        }
        Ok(Self {
            what,
            runtime,
            counts: (0..READERS + WRITERS).map(|_| AtomicU64::new(0)).collect(),
            torn: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            begun: AtomicBool::new(false),
        })
    }

    /// Waits for the start. Not a barrier: its lock would let a thousand threads in one by one,
    /// behind those that already run.
    fn wait(&self) {
        while !self.begun.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn turn<T>(&self, index: usize, took: &mut Histogram, act: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = act();
        took.add(begun.elapsed());
        self.counts[index].fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Reads every plugin's generation; a missing plugin or one that went backwards is a torn read.
    fn read(&self, index: usize) -> Histogram {
        let (mut took, mut latest) = (Histogram::new(), vec![0; PLUGINS]);
        self.wait();
        while !self.ended.load(Ordering::Relaxed) {
            let seen = match self.what {
                What::Health => {
                    let health = self.turn(index, &mut took, || self.runtime.health());
                    health.iter().map(|plugin| plugin.generation).collect()
                }
                What::Status => self.turn(index, &mut took, || self.statuses()),
            };
            let whole = seen.len() == PLUGINS
                && seen.iter().zip(&latest).all(|(now, before)| now >= before);
            self.torn.fetch_add(u64::from(!whole), Ordering::Relaxed);
            latest = seen;
        }
        took
    }

    fn statuses(&self) -> Vec<u32> {
        let snapshot = self.runtime.registry().snapshot();
        snapshot
            .plugins()
            .iter()
            .map(|plugin| plugin.status().generation)
            .collect()
    }

    /// Takes its own share of the plugins through their states; every 16th time through a failure
    /// and a restart. A refused change counts as torn: nobody else changes these plugins.
    fn write(&self, index: usize) -> Histogram {
        let mut took = Histogram::new();
        self.wait();
        let mine: Vec<_> = (0..PLUGINS)
            .filter(|n| n % WRITERS == index % WRITERS)
            .collect();
        for round in 0_u64.. {
            for number in &mine {
                if self.ended.load(Ordering::Relaxed) {
                    return took;
                }
                let name = format!("p{number:02}");
                let events: &[Event] = match round % 16 {
                    0 => &[Event::Fault, Event::Restart, Event::Ready],
                    _ => &[Event::CallBegan, Event::CallEnded],
                };
                for event in events {
                    let done = self.turn(index, &mut took, || {
                        self.runtime.mark(&name, *event, "asked")
                    });
                    self.torn
                        .fetch_add(u64::from(done.is_err()), Ordering::Relaxed);
                }
            }
        }
        took
    }

    /// Counts the threads that finished nothing in a window.
    fn watch(&self, seconds: f64) -> u64 {
        let look = || {
            self.counts
                .iter()
                .map(|c| c.load(Ordering::Relaxed))
                .collect::<Vec<_>>()
        };
        let (mut last, mut stalls) = (look(), 0);
        for _ in 0..WINDOWS {
            std::thread::sleep(Duration::from_secs_f64(seconds / f64::from(WINDOWS)));
            let now = look();
            stalls += now
                .iter()
                .zip(&last)
                .filter(|(after, before)| after == before)
                .count() as u64;
            last = now;
        }
        stalls
    }
}

fn start(stage: &Arc<Stage>, index: usize) -> std::io::Result<JoinHandle<Histogram>> {
    let stage = Arc::clone(stage);
    Builder::new().stack_size(256 << 10).spawn(move || {
        if index < READERS {
            stage.read(index)
        } else {
            stage.write(index)
        }
    })
}

fn joined(threads: Vec<JoinHandle<Histogram>>) -> Result<Histogram, &'static str> {
    let mut all = Histogram::new();
    for thread in threads {
        all.merge(&thread.join().map_err(|_| "a thread panicked")?);
    }
    Ok(all)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: f64 = std::env::args()
        .nth(1)
        .map_or(Ok(60.0), |text| text.parse())?;
    let what = match std::env::args().nth(2).as_deref() {
        None | Some("health") => What::Health,
        Some("status") => What::Status,
        Some(other) => return Err(format!("health or status, not {other}").into()),
    };
    let stage = Arc::new(Stage::new(what).map_err(|error| error.to_string())?);
    let mut readers = (0..READERS + WRITERS)
        .map(|index| start(&stage, index))
        .collect::<Result<Vec<_>, _>>()?;
    let writers = readers.split_off(READERS);
    stage.begun.store(true, Ordering::Release);
    let stalls = stage.watch(seconds);
    stage.ended.store(true, Ordering::Relaxed);
    let (reads, writes) = (joined(readers)?, joined(writers)?);
    let seen = json!({
        "reads": reads.count(), "writes": writes.count(),
        "read_ns": reads.to_value(), "write_ns": writes.to_value(),
        "stalls": stalls, "windows": WINDOWS, "torn": stage.torn.load(Ordering::Relaxed),
    });
    println!("{seen}");
    Ok(())
}
