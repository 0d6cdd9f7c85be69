//! What libtorch's words mean: its C interface tells one error from another by nothing else.

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A model was opened; nothing else depends on this process's device yet.
    Open,
    /// A model was run.
    Run,
}

/// What it means for the process and its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// No memory is left, the device's or the process's; nothing else is wrong.
    Memory,
    /// The device cannot run what it was given: another build or another card is needed.
    Unfit,
    /// The device's context is broken; only a new process helps.
    Broken,
    /// Anything else.
    Other,
}

/// Words of the allocators of CUDA, cuBLAS, cuDNN, the CPU and C++.
const MEMORY: [&str; 9] = [
    "out of memory",
    "outofmemory",
    "memoryallocation",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "std::bad_alloc",
    "_alloc_failed",
    "allocation_failed",
];

/// CUDA's errors that say what cannot be done here, and leave the context as it was.
const UNFIT: [&str; 7] = [
    "no kernel image is available",
    "invalid device ordinal",
    "no cuda-capable device",
    "cuda-capable device(s) is/are busy or unavailable",
    "driver version is insufficient",
    "forward compatibility was attempted",
    "cudnn_status_arch_mismatch",
];

/// CUDA's errors that come back from every later call, in NVIDIA's words ("sticky" errors).
const BROKEN: [&str; 12] = [
    "illegal memory access",
    "illegal address",
    "illegal instruction",
    "misaligned address",
    "device-side assert",
    "invalid program counter",
    "unspecified launch failure",
    "launch timed out",
    "uncorrectable",
    "hardware stack error",
    "invalid address space",
    "cudnn_status_execution_failed",
];

/// CUDA's errors that are a call's own fault.
const HARMLESS: [&str; 4] = [
    "invalid argument",
    "invalid configuration argument",
    "operation not supported",
    "invalid resource handle",
];

/// Sorts what libtorch said in that phase.
#[must_use]
pub fn sort(words: &str, phase: Phase) -> Meaning {
    let small = words.to_ascii_lowercase();
    let any = |list: &[&str]| list.iter().any(|word| small.contains(word));
    if any(&MEMORY) {
        return Meaning::Memory;
    }
    if any(&UNFIT) {
        return Meaning::Unfit;
    }
    // While a model is opened nobody waits on the device, and who loads it must be told why it failed: a
    // process that ended would be started again and again. If the context is broken, the next run says so.
    if phase == Phase::Open {
        return Meaning::Other;
    }
    let unknown = small.contains("cuda error") && !any(&HARMLESS);
    match any(&BROKEN) || unknown {
        true => Meaning::Broken,
        false => Meaning::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allocator_is_understood() {
        for words in [
            "CUDA out of memory. Tried to allocate 20.00 GiB",
            "CUDA error: out of memory",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 17592186044416 bytes. Error code 12 (Cannot allocate memory)",
            "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
            "std::bad_alloc",
        ] {
            assert_eq!(sort(words, Phase::Run), Meaning::Memory, "{words}");
            assert_eq!(sort(words, Phase::Open), Meaning::Memory, "{words}");
        }
    }

    #[test]
    fn a_card_that_cannot_is_told_from_one_that_broke() {
        let unfit = "CUDA error: no kernel image is available for execution on the device";
        assert_eq!(sort(unfit, Phase::Open), Meaning::Unfit);
        assert_eq!(sort(unfit, Phase::Run), Meaning::Unfit);
        for broken in [
            "CUDA error: an illegal memory access was encountered",
            "CUDA error: device-side assert triggered",
            "CUDA error: unspecified launch failure",
            "CUDA error: something that nobody has heard of",
        ] {
            assert_eq!(sort(broken, Phase::Run), Meaning::Broken, "{broken}");
            assert_eq!(sort(broken, Phase::Open), Meaning::Other, "{broken}");
        }
        for other in [
            "CUDA error: invalid argument",
            "The size of tensor a (3) must match the size of tensor b (2)",
            "PytorchStreamReader failed reading zip archive",
        ] {
            assert_eq!(sort(other, Phase::Run), Meaning::Other, "{other}");
        }
    }
}
