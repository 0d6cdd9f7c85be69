//! The dependency check as a runtime makes it: the core's own, the loader's, and the door's.

use super::Runtime;
use super::panic_text;
use crate::call::Loader;
use crate::check::{
    Finding, Subject, Surroundings, check_beyond, check_foreign_packages, check_with,
};
use crate::error::Code;
use crate::manifest::{Kind, Manifest};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl Runtime {
    /// Lets a door say what it knows of the place where plugins will run, from now on.
    pub fn set_surroundings(&self, surroundings: Arc<dyn Surroundings>) {
        self.0.surroundings.store(Some(Arc::new(surroundings)));
    }

    /// All findings about a manifest: those of its load, and what a load finds out by entering the
    /// plugin, such as that its code is missing. Nothing is loaded.
    #[must_use]
    pub fn check(&self, manifest: &Manifest) -> Vec<Finding> {
        let loader = self.0.loaders.lock().get(&manifest.kind).cloned();
        let mut findings = self.findings(manifest, loader.as_deref());
        findings.extend(check_beyond(manifest));
        let looked_at = match manifest.kind {
            Kind::Python | Kind::Node => loader.is_some(),
            Kind::Native | Kind::Host => self.0.surroundings.load().is_some(),
        };
        if !looked_at {
            findings.extend(check_foreign_packages(manifest));
        }
        findings
    }

    pub(super) fn findings(
        &self,
        manifest: &Manifest,
        loader: Option<&dyn Loader>,
    ) -> Vec<Finding> {
        let door = self.0.surroundings.load_full();
        let (mut findings, mut broken) = (Vec::new(), Vec::new());
        let mut ask = |who: &str, ask: &dyn Fn() -> Vec<Finding>| match caught(ask) {
            Ok(found) => findings.extend(found),
            Err(why) => broken.push(internal(who, why)),
        };
        ask("the core", &|| {
            let options = door.as_ref().map(|door| door.options(manifest));
            check_with(manifest, &options.unwrap_or_default())
        });
        if let Some(loader) = loader {
            ask("the loader", &|| loader.check(manifest));
        }
        if let Some(door) = &door {
            ask("the door", &|| door.findings(manifest));
        }
        findings.extend(broken);
        findings
    }
}

fn caught<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| panic_text(&*panic))
}

/// A checker that fails must not look like a clean bill.
fn internal(who: &str, why: String) -> Finding {
    Finding::bad(Subject::Platform, "check", Code::RuntimeInternal)
        .with_message(format!("{who}'s part of the dependency check panicked"))
        .with_cause(why)
}
