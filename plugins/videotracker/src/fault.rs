//! What the plugin answers when it cannot do its work: a code of docs/errors.md and words.

/// An error that the caller gets as the code's, with its cause and remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `PW-VIDEO-010`; empty where the input is at fault in a way that has no code of its own.
    pub code: &'static str,
    /// What happened this time.
    pub message: String,
}

/// What most functions here answer.
pub type Result<T> = std::result::Result<T, Fault>;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $code;)*
    };
}

codes! {
    /// Arguments that make no sense.
    INPUT = "";
    /// libtorch was not found.
    LIBTORCH_MISSING = "PW-VIDEO-001";
    /// It has another version.
    LIBTORCH_VERSION = "PW-VIDEO-002";
    /// It cannot be opened.
    LIBTORCH_OPEN = "PW-VIDEO-003";
    /// The device is not there.
    DEVICE = "PW-VIDEO-004";
    /// A model is not pinned.
    MODEL_PIN = "PW-VIDEO-005";
    /// libtorch refused a model.
    MODEL_LOAD = "PW-VIDEO-006";
    /// Its answer does not fit its family.
    MODEL_HEAD = "PW-VIDEO-007";
    /// The tool needs a model that is not named.
    TOOL_MODEL = "PW-VIDEO-008";
    /// No ffmpeg.
    PROGRAM = "PW-VIDEO-009";
    /// The image cannot be decoded.
    IMAGE = "PW-VIDEO-010";
    /// The video cannot be read.
    FILE = "PW-VIDEO-011";
    /// A frame is too large.
    SIZE = "PW-VIDEO-012";
    /// The GPU has no memory left.
    MEMORY = "PW-VIDEO-013";
    /// The model failed on its input.
    MODEL_RUN = "PW-VIDEO-014";
    /// A picture or video cannot be written.
    OUTPUT = "PW-VIDEO-015";
    /// A video's frames make a larger answer than there may be.
    LENGTH = "PW-VIDEO-016";
    /// A torch without CUDA, where CUDA was asked for.
    CPU_BUILD = "PW-GPU-009";
    /// A model is not the one that the manifest pins.
    MODEL_CHECKSUM = "PW-MODEL-005";
    /// A model's container is damaged.
    MODEL_DAMAGED = "PW-MODEL-006";
    /// A model cannot be read.
    MODEL_UNREADABLE = "PW-MODEL-003";
    /// The call was given up by its caller.
    CANCELLED = "cancelled";
}

impl Fault {
    /// A fault of a code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Arguments that make no sense.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(INPUT, message)
    }

    /// The call was given up by its caller.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(CANCELLED, "the caller gave up")
    }

    /// Whether the caller's input is at fault, not the plugin.
    #[must_use]
    pub fn is_input(&self) -> bool {
        [INPUT, IMAGE, FILE, SIZE, LENGTH].contains(&self.code)
    }
}
