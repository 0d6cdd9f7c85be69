//! Asks something that may never answer: a dead network mount, a hung driver.
//!
//! The question runs on its own thread. A thread that sits in an uninterruptible system call can be
//! neither killed nor joined, so after the bound it is left behind, counted, and its place is
//! remembered: the next question about the same place is answered at once instead of leaving a
//! second thread there. What counts is silence, not duration: a question that reports progress
//! through its [`Pulse`] may take as long as it needs.

use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Places with a thread left behind, and since when.
static SILENT: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

/// How a question ended.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// It was answered.
    Done(T),
    /// Nothing was heard for this long.
    Silent(Duration),
    /// It could not be asked, or the asking code panicked.
    Broke(String),
}

/// The sign of life of a running question.
#[derive(Debug)]
pub(crate) struct Pulse {
    beats: AtomicU64,
    bound_ms: AtomicU64,
    stop: AtomicBool,
    done: AtomicBool,
}

impl Pulse {
    /// A pulse that allows silence for `bound`.
    pub(crate) fn new(bound: Duration) -> Self {
        Self {
            beats: AtomicU64::new(0),
            bound_ms: AtomicU64::new(millis(bound)),
            stop: AtomicBool::new(false),
            done: AtomicBool::new(false),
        }
    }

    /// Says that the question still makes progress.
    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes how long silence is allowed from now on.
    pub(crate) fn allow(&self, bound: Duration) {
        self.bound_ms.store(millis(bound), Ordering::Relaxed);
        self.beat();
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn bound(&self) -> Duration {
        Duration::from_millis(self.bound_ms.load(Ordering::Relaxed))
    }
}

/// Whole milliseconds, at least one.
fn millis(bound: Duration) -> u64 {
    u64::try_from(bound.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// How many threads are left behind at places that do not answer.
#[must_use]
pub fn silent_places() -> usize {
    SILENT.lock().len()
}

/// Runs `question` on its own thread and waits until it ends or is silent for `bound`.
pub(crate) fn ask<T: Send + 'static>(
    place: &str,
    bound: Duration,
    question: impl FnOnce(&Pulse) -> T + Send + 'static,
) -> Answer<T> {
    if let Some(since) = SILENT.lock().get(place) {
        return Answer::Silent(since.elapsed());
    }
    let pulse = Arc::new(Pulse::new(bound));
    let (sender, receiver) = sync_channel(1);
    let (theirs, name) = (Arc::clone(&pulse), place.to_owned());
    let thread = std::thread::Builder::new()
        .name("plugward-check".into())
        .spawn(move || {
            let leave = Leave {
                pulse: &theirs,
                place: &name,
            };
            let answer = question(&theirs);
            // Nobody listens after the bound; the answer is then dropped.
            let _ = sender.send(answer);
            drop(leave);
        });
    match thread {
        Ok(_) => wait(place, &pulse, &receiver),
        Err(error) => Answer::Broke(format!("no thread could be started: {error}")),
    }
}

/// Marks the thread as gone, also when the question panicked.
struct Leave<'a> {
    pulse: &'a Pulse,
    place: &'a str,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut silent = SILENT.lock();
        self.pulse.done.store(true, Ordering::Relaxed);
        if self.pulse.stopped() {
            silent.remove(self.place);
        }
    }
}

fn wait<T>(place: &str, pulse: &Pulse, receiver: &Receiver<T>) -> Answer<T> {
    let mut heard = Instant::now();
    let mut beats = 0;
    loop {
        match receiver.recv_timeout(pulse.bound().saturating_sub(heard.elapsed())) {
            Ok(answer) => return Answer::Done(answer),
            Err(RecvTimeoutError::Disconnected) => {
                return Answer::Broke("the check itself panicked".into());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = pulse.beats.load(Ordering::Relaxed);
        if now != beats {
            (beats, heard) = (now, Instant::now());
        } else if heard.elapsed() >= pulse.bound() {
            return give_up(place, pulse, receiver, heard);
        }
    }
}

/// Leaves the thread behind, unless it answered in this very moment.
fn give_up<T>(place: &str, pulse: &Pulse, receiver: &Receiver<T>, heard: Instant) -> Answer<T> {
    let mut silent = SILENT.lock();
    if !pulse.done.load(Ordering::Relaxed) {
        pulse.stop.store(true, Ordering::Relaxed);
        silent.insert(place.to_owned(), heard);
        return Answer::Silent(heard.elapsed());
    }
    match receiver.try_recv() {
        Ok(answer) => Answer::Done(answer),
        Err(_) => Answer::Broke("the check itself panicked".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_cut_remembered_and_forgotten() {
        let (release, gate) = sync_channel::<()>(0);
        let first = ask("place one", Duration::from_millis(20), move |_| gate.recv());
        assert!(matches!(first, Answer::Silent(_)), "{first:?}");
        let second = ask("place one", Duration::from_secs(60), |_| ());
        assert!(matches!(second, Answer::Silent(_)), "{second:?}");
        drop(release);
        let end = Instant::now() + Duration::from_secs(60);
        while SILENT.lock().contains_key("place one") && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(matches!(
            ask("place one", Duration::from_secs(60), |_| 7),
            Answer::Done(7)
        ));
    }

    #[test]
    fn progress_is_not_silence() {
        let bound = Duration::from_secs(3);
        let answer = ask("place two", bound, move |pulse| {
            let begun = Instant::now();
            while begun.elapsed() < bound + bound / 3 {
                std::thread::sleep(Duration::from_millis(10));
                pulse.beat();
            }
        });
        assert!(matches!(answer, Answer::Done(())), "{answer:?}");
    }

    #[test]
    fn a_panic_is_an_answer() {
        let answer = ask::<()>("place three", Duration::from_secs(60), |_| {
            panic!("on purpose")
        });
        assert!(matches!(answer, Answer::Broke(_)), "{answer:?}");
        assert!(matches!(
            ask("place three", Duration::from_secs(60), |_| ()),
            Answer::Done(())
        ));
    }
}
