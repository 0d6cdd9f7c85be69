//! The second hold on a worker's memory: what it has resident, looked at from outside.
//!
//! `RLIMIT_DATA` refuses private memory at once, but does not count what is mapped shared. So the
//! reaper also looks, a few times a second, at workers that have a limit.

use super::child::{Child, Reason};
use std::sync::Arc;
use std::time::Duration;

/// How often.
pub(super) const INTERVAL: Duration = Duration::from_millis(50);

/// One worker's limit.
pub(super) struct MemoryLimit {
    pub(super) mb: u64,
    /// Bytes that are resident because of calls, not because of the plugin.
    pub(super) slots: Box<dyn Fn() -> u64 + Send>,
}

impl MemoryLimit {
    /// Kills a worker that is over its limit.
    pub(super) fn enforce(&self, child: &Arc<Child>) {
        let path = format!("/proc/{}/status", child.pid());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // Pages of files (programs, libraries, models that are mapped) can be dropped at any time.
        let own = kib(&text, "RssAnon:") + kib(&text, "RssShmem:");
        let own = (own << 10).saturating_sub((self.slots)());
        if own > (self.mb << 20) + HEADROOM {
            child.kill(Reason::Memory(self.mb));
        }
    }
}

/// What an interpreter and its libraries have resident before the plugin begins.
const HEADROOM: u64 = 64 << 20;

fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|l| l.strip_prefix(name));
    let number = line.and_then(|l| l.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernels_own_words_are_read() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        assert!(super::kib(&status, "RssAnon:") > 100);
        assert_eq!(super::kib(&status, "NoSuchLine:"), 0);
    }
}
