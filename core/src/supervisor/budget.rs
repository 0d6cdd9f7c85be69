//! How often, and after how long, one plugin is restarted.

use crate::manifest::Restart;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// What to do about a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing: it was dealt with, or is not to be restarted.
    Leave,
    /// Restart after that time.
    Restart(Duration),
    /// Never again by itself, for that reason.
    Quarantine(String),
}

/// One plugin's restarts and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Supervision {
    /// When it was restarted, within the budget's time.
    history: VecDeque<Instant>,
    /// The last generation whose failure was dealt with.
    handled: u32,
    /// The generation that a restart of ours began.
    revived: u32,
    quarantined: Option<String>,
    /// When the restart after `handled` begins.
    due: Option<Instant>,
}

impl Supervision {
    /// What to do about the failure of `generation`; each generation is dealt with once.
    pub(crate) fn decide(
        &mut self,
        rule: &Restart,
        generation: u32,
        was_ready: bool,
        now: Instant,
    ) -> Decision {
        let ours = was_ready || self.revived == generation;
        if self.handled == generation || !ours || self.quarantined.is_some() {
            return Decision::Leave;
        }
        self.handled = generation;
        self.due = None;
        let within = Duration::from_secs(rule.within_s);
        self.history
            .retain(|at| now.saturating_duration_since(*at) < within);
        let restarts = u32::try_from(self.history.len()).unwrap_or(u32::MAX);
        if restarts >= rule.max {
            let reason = format!(
                "it failed again after {restarts} restarts within {} s (restart.max is {})",
                rule.within_s, rule.max
            );
            self.quarantined = Some(reason.clone());
            return Decision::Quarantine(reason);
        }
        self.history.push_back(now);
        let wait = jittered(backoff(rule, restarts));
        self.due = now.checked_add(wait);
        Decision::Restart(wait)
    }

    /// How long until the failed `generation` is followed by another, if it is; also before that was
    /// decided, because callers see the failure first.
    pub(crate) fn expects(
        &self,
        rule: &Restart,
        generation: u32,
        was_ready: bool,
        now: Instant,
    ) -> Option<Duration> {
        if self.handled == generation {
            return self.due.map(|at| at.saturating_duration_since(now));
        }
        let ours = was_ready || self.revived == generation;
        let within = Duration::from_secs(rule.within_s);
        let recent = |at: &&Instant| now.saturating_duration_since(**at) < within;
        let restarts = self.history.iter().filter(recent).count();
        let restarts = u32::try_from(restarts).unwrap_or(u32::MAX);
        let comes = ours && self.quarantined.is_none() && restarts < rule.max;
        comes.then(|| backoff(rule, restarts))
    }

    /// Adds the last fault to the reason of a quarantine.
    pub(crate) fn because(&mut self, last: &str) {
        if let Some(reason) = &mut self.quarantined {
            *reason = format!("{reason}; the last fault: {last}");
        }
    }

    /// What to do about the end of `generation` that was not its plugin's fault: it costs nothing of
    /// the budget, and nobody waits.
    pub(crate) fn excuse(&mut self, generation: u32) -> Decision {
        if self.handled == generation || self.quarantined.is_some() {
            return Decision::Leave;
        }
        self.handled = generation;
        Decision::Restart(Duration::ZERO)
    }

    /// A restart of ours begins `generation`: its load counts as a failure too.
    pub(crate) fn revived(&mut self, generation: u32) {
        self.revived = generation;
    }

    /// Why it is quarantined, if it is.
    pub(crate) fn quarantined(&self) -> Option<&str> {
        self.quarantined.as_deref()
    }

    /// Ends a quarantine; false when there was none.
    pub(crate) fn release(&mut self) -> bool {
        self.history.clear();
        self.quarantined.take().is_some()
    }
}

/// Doubles with each restart, up to the longest wait.
fn backoff(rule: &Restart, restarts: u32) -> Duration {
    let (least, most) = rule.backoff_ms;
    let factor = 1_u64.checked_shl(restarts).unwrap_or(u64::MAX);
    Duration::from_millis(least.saturating_mul(factor).min(most.max(least)))
}

/// Between half of it and all of it.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1024;
    wait / 2 + wait.mul_f64(random as f64 / 2048.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Restart {
        Restart {
            max: 2,
            within_s: 60,
            backoff_ms: (100, 300),
            ..Restart::default()
        }
    }

    #[test]
    fn a_spent_budget_quarantines_until_released() {
        let (rule, now) = (rule(), Instant::now());
        let mut plugin = Supervision::default();
        for generation in 1..=2 {
            let decision = plugin.decide(&rule, generation, true, now);
            assert!(matches!(decision, Decision::Restart(_)), "{decision:?}");
            assert_eq!(
                plugin.decide(&rule, generation, true, now),
                Decision::Leave,
                "once"
            );
        }
        assert!(matches!(
            plugin.decide(&rule, 3, true, now),
            Decision::Quarantine(_)
        ));
        assert!(
            plugin
                .quarantined()
                .unwrap()
                .contains("2 restarts within 60 s")
        );
        assert!(plugin.release() && plugin.quarantined().is_none());
        assert!(matches!(
            plugin.decide(&rule, 4, true, now),
            Decision::Restart(_)
        ));
    }

    #[test]
    fn an_excused_end_costs_nothing_and_is_dealt_with_once() {
        let (rule, now) = (rule(), Instant::now());
        let mut plugin = Supervision::default();
        for generation in 1..=20 {
            assert_eq!(plugin.excuse(generation), Decision::Restart(Duration::ZERO));
            assert_eq!(plugin.excuse(generation), Decision::Leave);
            assert_eq!(plugin.decide(&rule, generation, true, now), Decision::Leave);
        }
        assert!(matches!(
            plugin.decide(&rule, 21, true, now),
            Decision::Restart(wait) if wait <= Duration::from_millis(100)
        ));
    }

    #[test]
    fn callers_know_whether_it_comes_back_before_and_after_it_was_decided() {
        let (rule, now) = (rule(), Instant::now());
        let mut plugin = Supervision::default();
        let comes = |p: &Supervision, n, ready| p.expects(&rule, n, ready, now).is_some();
        assert!(comes(&plugin, 1, true) && !comes(&plugin, 1, false));
        for generation in 1..=2 {
            plugin.decide(&rule, generation, true, now);
            assert!(comes(&plugin, generation, true));
        }
        assert!(!comes(&plugin, 3, true), "the budget is spent");
        plugin.decide(&rule, 3, true, now);
        plugin.because("[PW-X] it broke");
        assert!(!comes(&plugin, 3, true));
        assert!(plugin.quarantined().unwrap().ends_with("[PW-X] it broke"));
    }

    #[test]
    fn failures_that_lie_far_apart_do_not_add_up() {
        let (rule, start) = (rule(), Instant::now());
        let mut plugin = Supervision::default();
        for generation in 1..20 {
            let now = start + Duration::from_secs(40) * generation;
            let decision = plugin.decide(&rule, generation, true, now);
            assert!(
                matches!(decision, Decision::Restart(_)),
                "{generation}: {decision:?}"
            );
        }
    }

    #[test]
    fn a_first_load_is_not_tried_again_but_a_restarts_load_is() {
        let (rule, now) = (rule(), Instant::now());
        let mut plugin = Supervision::default();
        assert_eq!(plugin.decide(&rule, 1, false, now), Decision::Leave);
        plugin.revived(2);
        assert!(matches!(
            plugin.decide(&rule, 2, false, now),
            Decision::Restart(_)
        ));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_vary() {
        let waits: Vec<_> = (0..3).map(|n| backoff(&rule(), n).as_millis()).collect();
        assert_eq!(waits, [100, 200, 300]);
        assert_eq!(backoff(&rule(), 70).as_millis(), 300);
        let wait = Duration::from_millis(100);
        let spread: std::collections::BTreeSet<_> = (0..50).map(|_| jittered(wait)).collect();
        assert!(spread.len() > 5);
        assert!(spread.iter().all(|w| *w >= wait / 2 && *w <= wait));
    }
}
