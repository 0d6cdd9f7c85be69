//! One life of a plugin: what runs its calls, and under which limits.

use super::Tool;
use super::drain::Drain;
use crate::call::{Checkpoints, Executor};
use crate::error::{Code, Error, Result};
use crate::manifest::{FailsOn, Isolation, Manifest};
use crate::sandbox::Pool;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One life of a plugin.
pub struct Generation {
    /// Its number, from 1.
    pub number: u32,
    /// Runs its calls.
    pub executor: Arc<dyn Executor>,
    /// Where they run.
    pub isolation: Isolation,
    /// How many at once.
    pub limit: u32,
    /// How many more may wait.
    pub queue: u32,
    /// How long each may take, where nothing else is said.
    pub deadline: Option<Duration>,
    /// Which faults end it.
    pub fails_on: FailsOn,
    /// The field of a result that means an error.
    pub error_field: Option<String>,
    /// When it became INITIALIZED.
    pub born: Instant,
    /// Its threads, where it has its own.
    pub pool: Option<Pool>,
    /// What it leaves for the next.
    pub(crate) checkpoints: Checkpoints,
    /// Its calls that are still under way when it is replaced.
    pub(crate) drain: Drain,
    pub(crate) tools: Vec<Tool>,
    index: HashMap<Box<str>, usize, RandomState>,
}

impl Generation {
    pub(crate) fn new(
        number: u32,
        manifest: &Manifest,
        executor: Arc<dyn Executor>,
        tools: Vec<Tool>,
        pool: Option<Pool>,
        checkpoints: Checkpoints,
    ) -> Self {
        let isolation = manifest.effective_isolation();
        let index = tools
            .iter()
            .enumerate()
            .map(|(at, t)| (t.spec.id.as_str().into(), at))
            .collect();
        Self {
            number,
            executor,
            isolation,
            limit: manifest.effective_concurrency(),
            queue: manifest.limits.queue,
            deadline: manifest.effective_deadline(),
            fails_on: manifest.fails_on,
            error_field: manifest.error_field.clone(),
            born: Instant::now(),
            pool,
            checkpoints,
            drain: Drain::default(),
            tools,
            index,
        }
    }

    /// Its tools in their order.
    #[must_use]
    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// The place of a tool in [`Generation::tools`].
    ///
    /// # Errors
    /// [`Code::RegistryUnknownTool`], with the tools that there are.
    pub fn tool_index(&self, plugin: &str, tool: &str) -> Result<usize> {
        self.index.get(tool).copied().ok_or_else(|| {
            let all: Vec<&str> = self.tools.iter().map(|t| t.spec.id.as_str()).collect();
            let tool = crate::error::bounded(tool.into());
            Error::new(Code::RegistryUnknownTool).with_message(format!(
                "plugin \"{plugin}\" has no tool \"{tool}\"; it has: {}",
                if all.is_empty() {
                    "none".into()
                } else {
                    all.join(", ")
                }
            ))
        })
    }
}
