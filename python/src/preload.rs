//! Which packages are worth importing before a worker is forked.

/// Distributions whose import takes long and whose modules may be forked. A worker is forked only
/// where none of them has left a thread or CUDA behind, so one too many costs nothing but a note.
const WORTHWHILE: &[(&str, &str)] = &[
    ("matplotlib", "matplotlib"),
    ("numba", "numba"),
    ("numpy", "numpy"),
    ("onnxruntime", "onnxruntime"),
    ("opencv-python", "cv2"),
    ("opencv-python-headless", "cv2"),
    ("pandas", "pandas"),
    ("pillow", "PIL.Image"),
    ("pydantic", "pydantic"),
    ("requests", "requests"),
    ("scikit-image", "skimage"),
    ("scikit-learn", "sklearn"),
    ("scipy", "scipy"),
    ("shapely", "shapely"),
    ("sympy", "sympy"),
    ("torch", "torch"),
    ("torchvision", "torchvision"),
    ("transformers", "transformers"),
];

/// The modules behind those of `dependencies` that are worth it, in a fixed order: plugins that
/// need the same are forked from the same server.
pub(crate) fn modules(dependencies: &[String]) -> Vec<String> {
    let wanted: Vec<String> = dependencies.iter().map(|d| distribution(d)).collect();
    let mut found: Vec<String> = WORTHWHILE
        .iter()
        .filter(|(name, _)| wanted.iter().any(|w| w == name))
        .map(|(_, module)| (*module).to_owned())
        .collect();
    found.dedup();
    found
}

/// The name in a requirement, as the index normalises it.
fn distribution(requirement: &str) -> String {
    let end = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    let name = requirement.trim().split(end).next().unwrap_or_default();
    let mut out = String::new();
    for part in name.split(['-', '_', '.']).filter(|p| !p.is_empty()) {
        if !out.is_empty() {
            out.push('-');
        }
        out.push_str(&part.to_ascii_lowercase());
    }
    out
}
