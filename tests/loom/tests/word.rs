//! Every interleaving of calls, faults, restarts and readers on one state word.
#![cfg(loom)]
#![allow(missing_docs, reason = "tests")]

use loom::sync::Arc;
use loom::thread;
use plugward_loom::lifecycle::{EnterRefused, Event, Exit, State, StateWord};

fn ready() -> Arc<StateWord> {
    let word = StateWord::new();
    assert!(word.apply(1, Event::Ready).is_ok());
    Arc::new(word)
}

/// No reader sees calls in flight outside RUNNING and the final states, nor RUNNING without any.
fn assert_not_torn(word: &StateWord) {
    let seen = word.load();
    match seen.state {
        State::Loaded | State::Initialized => assert_eq!(seen.in_flight, 0, "{seen:?}"),
        State::Running => assert_ne!(seen.in_flight, 0, "{seen:?}"),
        State::Failed | State::Unavailable => {}
    }
}

#[test]
fn two_calls_and_a_reader() {
    loom::model(|| {
        let word = ready();
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let word = Arc::clone(&word);
                thread::spawn(move || {
                    let status = word.enter(8).unwrap();
                    assert!(matches!(word.exit(status.generation, false), Exit::Left(_)));
                })
            })
            .collect();
        assert_not_torn(&word);
        for caller in callers {
            caller.join().unwrap();
        }
        let end = word.load();
        assert_eq!((end.state, end.in_flight), (State::Initialized, 0));
    });
}

#[test]
fn a_fault_beside_a_call_is_final() {
    loom::model(|| {
        let word = ready();
        let other = Arc::clone(&word);
        let faulty = thread::spawn(move || {
            if let Ok(status) = other.enter(8) {
                other.exit(status.generation, true);
            }
        });
        match word.enter(8) {
            Ok(status) => assert!(matches!(word.exit(status.generation, false), Exit::Left(_))),
            Err(refused) => {
                assert!(matches!(refused, EnterRefused::State(s) if s.state == State::Failed));
            }
        }
        assert_not_torn(&word);
        faulty.join().unwrap();
        let end = word.load();
        assert_eq!((end.state, end.in_flight), (State::Failed, 0));
    });
}

#[test]
fn a_restart_makes_the_calls_of_before_stale() {
    loom::model(|| {
        let word = ready();
        let other = Arc::clone(&word);
        let caller = thread::spawn(move || {
            let status = other.enter(8);
            status.map(|s| other.exit(s.generation, true))
        });
        let status = word.restart();
        assert_eq!((status.state, status.generation), (State::Loaded, 2));
        assert_not_torn(&word);
        let _ = caller.join().unwrap();
        let end = word.load();
        assert_eq!(
            (end.state, end.generation, end.in_flight),
            (State::Loaded, 2, 0)
        );
    });
}

#[test]
fn the_limit_holds_in_every_interleaving() {
    loom::model(|| {
        let word = ready();
        let other = Arc::clone(&word);
        let rival = thread::spawn(move || other.enter(1).is_ok());
        let mine = word.enter(1).is_ok();
        let theirs = rival.join().unwrap();
        assert!(mine ^ theirs, "exactly one is admitted while nobody leaves");
        assert_eq!(word.load().in_flight, 1);
    });
}

#[test]
fn one_of_two_faults_wins_and_a_late_ready_cannot_undo_it() {
    loom::model(|| {
        let word = Arc::new(StateWord::new());
        let other = Arc::clone(&word);
        let failing = thread::spawn(move || other.apply(1, Event::Fault).is_ok());
        let readied = word.apply(1, Event::Ready).is_ok();
        assert!(failing.join().unwrap());
        assert_eq!(word.load().state, State::Failed, "ready first: {readied}");
    });
}

#[test]
fn a_hand_over_counts_every_call_once_here_or_there() {
    loom::model(|| {
        let word = ready();
        let status = word.enter(8).unwrap();
        let other = Arc::clone(&word);
        let leaving = thread::spawn(move || other.exit(status.generation, true));
        let handed = word.hand_over(1);
        let exit = leaving.join().unwrap();
        let before = handed.unwrap();
        let left_before = matches!(exit, Exit::Left(_));
        assert_eq!(before.in_flight, u32::from(!left_before));
        let now = word.load();
        assert_eq!(
            (now.state, now.generation),
            (State::Initialized, 2),
            "{exit:?}"
        );
        assert_not_torn(&word);
    });
}
