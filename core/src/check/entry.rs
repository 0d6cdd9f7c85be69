//! From a manifest to the questions that follow from it.

use super::check_env;
use super::executable::check_executable_of;
use super::finding::Finding;
use super::gpu::{GpuNeeds, ProbeConfig, check_gpu_at};
use super::libtorch;
use super::model::{ModelNeed, ModelOptions, check_model_with};
use super::platform::{PlatformNeeds, check_platform};
use crate::manifest::Manifest;
use std::path::Path;

/// How a whole manifest is checked.
#[derive(Clone, Default)]
pub struct CheckOptions {
    /// Where GPUs are looked for. Its torch folder is looked at only for plugins that use torch.
    pub gpu: ProbeConfig,
    /// Bounds and progress for model files.
    pub model: ModelOptions,
    /// What a door adds: interpreter versions.
    pub platform: PlatformNeeds,
}

/// Checks everything but packages that a manifest asks for; good findings are in the list too.
#[must_use]
pub fn check(manifest: &Manifest) -> Vec<Finding> {
    check_with(manifest, &CheckOptions::default())
}

/// The same with options.
#[must_use]
pub fn check_with(manifest: &Manifest, options: &CheckOptions) -> Vec<Finding> {
    let mut findings = check_platform(&options.platform);
    if manifest.requires_gpu {
        findings.extend(check_gpu_at(
            &gpu_needs(manifest),
            &gpu_config(manifest, &options.gpu),
        ));
    }
    for need in models(manifest) {
        findings.extend(check_model_with(&need, &options.model));
    }
    findings.extend(check_env(&manifest.env));
    findings.extend(
        manifest
            .executables
            .iter()
            .map(|name| check_executable_of(manifest, name)),
    );
    findings
}

fn gpu_needs(manifest: &Manifest) -> GpuNeeds {
    GpuNeeds {
        min_memory_mb: manifest.gpu.min_memory_mb,
        min_compute: manifest.gpu.min_compute,
    }
}

/// A torch that the host happens to have is no matter of a plugin that does not use torch.
fn gpu_config(manifest: &Manifest, config: &ProbeConfig) -> ProbeConfig {
    let mut config = config.clone();
    if let Some(folder) = libtorch::configured(manifest) {
        config.torch = Some(folder);
        config.torch_ask = None;
    } else if !uses_torch(manifest) {
        config.torch = None;
        config.torch_says = None;
        config.torch_ask = None;
    }
    config
}

/// Whether torch is any matter of a plugin: it is required, or runs a model of torch's formats.
#[must_use]
pub fn uses_torch(manifest: &Manifest) -> bool {
    let name = |requirement: &str| {
        let end = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
        requirement
            .trim()
            .split(end)
            .next()
            .unwrap_or("")
            .to_ascii_lowercase()
    };
    let torch_format = |format: &str| matches!(format, "torchscript" | "pytorch" | "torch");
    manifest
        .dependencies
        .iter()
        .any(|requirement| name(requirement) == "torch")
        || manifest
            .models
            .values()
            .filter_map(|m| m.format.as_deref())
            .any(torch_format)
}

/// The models with their paths made absolute or relative to the working folder.
fn models(manifest: &Manifest) -> Vec<ModelNeed> {
    let folder = manifest.dir.as_deref().unwrap_or(Path::new(""));
    let need = |(name, model): (&String, &crate::manifest::Model)| ModelNeed {
        name: name.clone(),
        path: folder.join(&model.path),
        sha256: model.sha256.clone(),
        format: model.format.clone(),
    };
    manifest.models.iter().map(need).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torch_matters_to_plugins_that_use_it() {
        let mut manifest = Manifest::host("p");
        manifest.dependencies = vec!["torchvision>=0.2".into(), "torch-geometric".into()];
        assert!(!uses_torch(&manifest));
        manifest
            .dependencies
            .push("Torch[opt] >=2.4; python_version > '3'".into());
        assert!(uses_torch(&manifest));
    }
}
