//! The dependency checker: what a plugin needs and does not find, each cause by its own code.
//!
//! Every finding is reported, not only the first, and the good ones too. Nothing here imports a
//! package, loads a model or initialises CUDA in the host; whatever may hang (a network mount, a
//! driver) is asked on a thread of its own with a bound. Python packages are checked by the door that
//! runs Python, and join the list as [`Finding`]s of the same shape; npm packages are files, and
//! checked here for every door.
//!
//! Answers are not kept here: a card that was busy may be free at the next restart. Only the
//! checksums of unchanged files are remembered.

mod bounded;
mod code;
mod entry;
mod env;
mod executable;
mod finding;
mod gpu;
mod head;
mod libtorch;
mod model;
mod node;
mod nvml;
mod platform;
mod report;
mod surroundings;
mod trial;

pub use bounded::silent_places;
pub use code::check_code;
pub use entry::{CheckOptions, check, check_with, uses_torch};
pub use env::{check_env, check_env_in};
pub use executable::{check_executable, check_executable_in};
pub use finding::{Finding, Subject};
pub use gpu::{
    Device, GpuFacts, GpuFault, GpuNeeds, GpuProbe, Known, Memory, NvidiaProbe, Partition,
    ProbeConfig, TorchAsk, TorchBuild, TorchSays, check_gpu, check_gpu_at, check_gpu_with,
    read_torch,
};
pub use head::{Head, read_head};
pub use libtorch::{check_libtorch, check_libtorch_in};
pub use model::{
    ModelNeed, ModelOptions, Progress, check_model, check_model_with, forget_checksums,
};
pub use node::check_node_packages;
pub use platform::{PlatformNeeds, VersionNeed, check_platform};
pub use report::{check_beyond, check_foreign_packages};
pub use surroundings::Surroundings;
pub use trial::{Trial, TrialEnd, TrialOutcome};
