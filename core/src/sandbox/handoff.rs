//! The meeting point of a caller and the thread that works for it.

use crate::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::time::Instant;

/// How far the work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has begun it.
    Queued,
    /// A thread works on it.
    Running,
    /// The result is there, or was taken.
    Done,
    /// The caller left.
    Abandoned,
}

/// What a waiting caller is woken with.
#[derive(Debug)]
pub enum Next<T, M> {
    /// The result.
    Done(T),
    /// A message that the caller's own thread must handle (a progress callback).
    Message(M),
    /// The deadline passed.
    Deadline,
}

type Waker = Box<dyn FnOnce() + Send>;

struct Inner<T, M> {
    stage: Stage,
    result: Option<T>,
    messages: VecDeque<M>,
    waker: Option<Waker>,
}

/// One call's meeting point: `T` is its result, `M` a message to the caller's thread.
pub struct Handoff<T, M = ()> {
    inner: Mutex<Inner<T, M>>,
    changed: Condvar,
}

impl<T, M> Default for Handoff<T, M> {
    fn default() -> Self {
        let inner = Inner {
            stage: Stage::Queued,
            result: None,
            messages: VecDeque::new(),
            waker: None,
        };
        Self {
            inner: Mutex::new(inner),
            changed: Condvar::new(),
        }
    }
}

impl<T, M> Handoff<T, M> {
    /// Begins the work; false when the caller has left already.
    pub fn begin(&self) -> bool {
        let mut inner = self.inner.lock();
        let fresh = inner.stage == Stage::Queued;
        if fresh {
            inner.stage = Stage::Running;
        }
        fresh
    }

    /// Hands the result over; gives it back when the caller has left.
    ///
    /// # Errors
    /// The result itself, when nobody waits for it any more.
    pub fn finish(&self, result: T) -> Result<(), T> {
        let waker = {
            let mut inner = self.inner.lock();
            if inner.stage == Stage::Abandoned {
                return Err(result);
            }
            inner.stage = Stage::Done;
            inner.result = Some(result);
            inner.waker.take()
        };
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker();
        }
        Ok(())
    }

    /// Sends a message to the caller's thread; gives it back when the caller has left.
    ///
    /// # Errors
    /// The message itself, when nobody will handle it.
    pub fn post(&self, message: M) -> Result<(), M> {
        {
            let mut inner = self.inner.lock();
            if inner.stage != Stage::Running {
                return Err(message);
            }
            inner.messages.push_back(message);
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for the next thing that concerns the caller. What is there already comes first, also
    /// where `deadline` has passed: a deadline of now looks without waiting.
    pub fn next(&self, deadline: Option<Instant>) -> Next<T, M> {
        let mut inner = self.inner.lock();
        loop {
            if let Some(message) = inner.messages.pop_front() {
                return Next::Message(message);
            }
            if let Some(result) = inner.result.take() {
                return Next::Done(result);
            }
            match deadline {
                None => self.changed.wait(&mut inner),
                Some(at) => {
                    let timed_out = self.changed.wait_until(&mut inner, at).timed_out();
                    if timed_out && inner.result.is_none() {
                        return Next::Deadline;
                    }
                }
            }
        }
    }

    /// Takes the result if it is there.
    pub fn try_take(&self) -> Option<T> {
        self.inner.lock().result.take()
    }

    /// The caller leaves. Returns the stage it left at: `Done` means that the result came first
    /// and can still be taken.
    pub fn abandon(&self) -> Stage {
        let mut inner = self.inner.lock();
        let stage = inner.stage;
        if stage != Stage::Done {
            inner.stage = Stage::Abandoned;
            inner.messages.clear();
            inner.waker = None;
        }
        stage
    }

    /// Whether the caller has left.
    pub fn is_abandoned(&self) -> bool {
        self.inner.lock().stage == Stage::Abandoned
    }

    /// Calls `waker` once the result is there; at once if it is there already.
    pub fn on_done(&self, waker: impl FnOnce() + Send + 'static) {
        {
            let mut inner = self.inner.lock();
            if inner.stage != Stage::Done {
                inner.waker = Some(Box::new(waker));
                return;
            }
        }
        waker();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_caller_that_left_gets_nothing_and_the_worker_learns_it() {
        let handoff: Handoff<u32, ()> = Handoff::default();
        assert!(handoff.begin());
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(matches!(handoff.next(Some(soon)), Next::Deadline));
        assert_eq!(handoff.abandon(), Stage::Running);
        assert_eq!(handoff.finish(1), Err(1));
        assert!(handoff.post(()).is_err());
    }

    #[test]
    fn messages_come_before_the_result_and_in_order() {
        let handoff: Handoff<u32, u8> = Handoff::default();
        handoff.begin();
        handoff.post(1).unwrap();
        handoff.post(2).unwrap();
        handoff.finish(9).unwrap();
        assert!(matches!(handoff.next(None), Next::Message(1)));
        assert!(matches!(handoff.next(None), Next::Message(2)));
        assert!(matches!(handoff.next(None), Next::Done(9)));
    }

    #[test]
    fn work_that_nobody_waits_for_is_not_begun() {
        let handoff: Handoff<u32, ()> = Handoff::default();
        assert_eq!(handoff.abandon(), Stage::Queued);
        assert!(!handoff.begin());
    }
}
