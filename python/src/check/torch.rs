//! torch's own word on the GPU, from a throw-away process: `torch.cuda.is_available()` starts CUDA.

use super::site::{PythonSite, answer};
use plugward_core::check::TorchSays;
use std::time::Duration;

const SCRIPT: &str = include_str!("torch.py");
/// How long importing torch and starting CUDA may take.
const BOUND: Duration = Duration::from_secs(90);

/// What torch says; `Err` where it gave no answer, in words that stand behind "it".
pub(super) fn says(site: &PythonSite) -> Result<TorchSays, String> {
    let outcome = site.run(SCRIPT, &[], BOUND);
    let told = answer(&outcome).ok_or_else(|| outcome.story())?;
    Ok(TorchSays {
        available: told["available"].as_bool().unwrap_or(false),
        error: told["error"].as_str().unwrap_or_default().to_owned(),
    })
}
