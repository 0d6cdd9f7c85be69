//! Ending in good order: one plugin, or all of them.

use super::depends::end_order;
use super::run::Inside;
use super::{LoadReport, Runtime};
use crate::error::{Code, Error, Result};
use crate::lifecycle::Event;
use crate::log::Level;
use crate::registry::{Generation, Plugin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the end of a worker is waited for where others depend on the order.
const ENDING: Duration = Duration::from_secs(2);

impl Runtime {
    /// Stops a plugin in good order: it takes no further calls, those under way may end (at most
    /// [`RuntimeOptions::drain_timeout`](super::RuntimeOptions::drain_timeout)), then its worker
    /// ends. It stays listed, UNAVAILABLE, and is not restarted by itself; `restart` and `reload`
    /// start it again. Plugins that depend on it are left alone; the report names them.
    ///
    /// # Errors
    /// Unknown name, a load under way, or a plugin that asks from inside its own call.
    pub fn stop(&self, name: &str) -> Result<LoadReport> {
        let since = Instant::now();
        self.usable()?;
        let plugin = self.registry().find(name)?;
        if Inside::is_within(plugin.id) {
            return Err(Error::new(Code::RuntimeReentrant));
        }
        let _one = self.0.services.lock(&plugin.loading, name)?;
        let cut_off = self.stopped(&plugin)?;
        let mut report = LoadReport::of(&plugin, None, since);
        report.cut_off = cut_off;
        report.affected = self.dependants(name);
        Ok(report)
    }

    /// The caller holds the plugin's `loading` lock. Returns how many calls were cut off.
    fn stopped(&self, plugin: &Plugin) -> Result<u32> {
        let error = Error::new(Code::LifecycleStopped).with_message(format!(
            "plugin \"{}\" was stopped; it runs again after a restart",
            plugin.name
        ));
        let known = plugin.note().error.as_ref().map(Error::code);
        let mut status = plugin.status();
        if status.state.is_final() && known == Some(Code::LifecycleStopped) {
            return Ok(0);
        }
        if status.state.is_final() {
            // What failed stays failed in its generation; the next one begins stopped.
            status = plugin.next_generation();
        }
        plugin.end(status.generation, Event::Stop, &error, None)?;
        plugin.spares.clear();
        plugin.ready_ns.store(0, Ordering::Relaxed);
        let until = Instant::now() + self.drain_timeout();
        let (old, cut_off) = plugin.take_out(until);
        if cut_off > 0 {
            let text = format!("stopped with {cut_off} calls under way");
            plugin.say(Level::Warn, text, None);
        }
        wait_ended(old.as_deref(), Instant::now() + ENDING);
        Ok(cut_off)
    }

    /// Takes no further calls, ends all plugins and flushes the log: first those that others do not
    /// depend on. Idempotent.
    ///
    /// Calls under way are left to end; their results are stale. Workers are waited for, at most
    /// [`RuntimeOptions::close_patience`](super::RuntimeOptions::close_patience).
    pub fn close(&self) {
        if self.close_once() {
            self.end();
        }
    }

    /// The second half of [`close`](Self::close), for a door whose caller must not be kept waiting: it
    /// comes after [`close_once`](Self::close_once), on another thread.
    #[doc(hidden)]
    pub fn end(&self) {
        let plugins = self.0.registry.snapshot().plugins().to_vec();
        let mut groups = end_order(&plugins).into_iter().peekable();
        while let Some(group) = groups.next() {
            let ended: Vec<_> = group.iter().filter_map(|p| ended(p)).collect();
            let patience = match groups.peek() {
                Some(_) => ENDING,
                None => self.0.options.close_patience,
            };
            let until = Instant::now() + patience;
            ended.iter().for_each(|g| wait_ended(Some(g), until));
        }
        let loaders: Vec<_> = self.0.workers.lock().values().cloned().collect();
        loaders.iter().for_each(|(loader, _)| loader.close());
        self.0.watchdog.close();
        let _ = self.0.services.log.flush(self.0.options.close_patience);
        self.0.services.log.close();
    }

    /// How long calls under way are waited for.
    pub(super) fn drain_timeout(&self) -> Duration {
        self.0.options.drain_timeout
    }
}

fn ended(plugin: &Plugin) -> Option<Arc<Generation>> {
    plugin.removed.store(true, Ordering::Release);
    plugin.spares.close();
    plugin.next_generation_after().1
}

fn wait_ended(generation: Option<&Generation>, until: Instant) {
    if let Some(generation) = generation {
        generation.executor.wait_ended(until);
    }
}

#[cfg(test)]
mod tests {
    use crate::call::{BuildContext, Built, Call, Executor, Fault, Loader, Reply};
    use crate::error::{Code, Result};
    use crate::manifest::Manifest;
    use crate::registry::Plugin;
    use crate::{Runtime, RuntimeOptions};
    use serde_json::json;
    use std::any::Any;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    /// Counts how many generations began and have not ended.
    #[derive(Clone, Default)]
    struct Counted(Arc<AtomicU32>);

    struct Living(Counted);

    impl Drop for Living {
        fn drop(&mut self) {
            self.0.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    impl Executor for Living {
        fn call(&self, _: &Call<'_>) -> std::result::Result<Reply, Fault> {
            Ok(json!(null).into())
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    impl Loader for Counted {
        fn build(&self, _: &Manifest, _: &BuildContext) -> Result<Built> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Built {
                executor: Arc::new(Living(self.clone())),
                tools: Vec::new(),
            })
        }
    }

    fn loaded(rt: &Runtime, counted: &Counted) -> Arc<Plugin> {
        let manifest = json!({"name": "p", "kind": "native", "entrypoint": "p.so", "isolation": "inline",
            "tools": [{"id": "t"}]});
        let parsed = Manifest::from_value(manifest).unwrap();
        let report = rt.load_with(parsed, Arc::new(counted.clone()));
        assert!(report.is_ok(), "{:?}", report.error);
        rt.registry().find("p").unwrap()
    }

    #[test]
    fn a_generation_that_comes_up_after_the_end_does_not_stay() {
        for closes in [true, false] {
            let (rt, counted) = (
                Runtime::new(RuntimeOptions::default()).unwrap(),
                Counted::default(),
            );
            let plugin = loaded(&rt, &counted);
            match closes {
                true => rt.close(),
                false => rt.unload("p").unwrap(),
            }
            assert_eq!(counted.0.load(Ordering::Relaxed), 0);
            // A restart that had looked before, and was held up since.
            let report = rt.renew(&plugin, Instant::now());
            let code = report.error.map(|e| e.code());
            let expected = match closes {
                true => Code::RuntimeClosed,
                false => Code::RegistryUnknownPlugin,
            };
            assert_eq!(code, Some(expected));
            assert!(plugin.generation().is_none());
            assert_eq!(counted.0.load(Ordering::Relaxed), 0);
        }
    }
}
