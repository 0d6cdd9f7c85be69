//! One call, the same steps whatever the isolation: look up, admit, validate the input, run,
//! validate the result, classify, record.
//!
//! A [`Ticket`] is a call under way: whoever holds one is counted in the plugin's in-flight number,
//! and dropping it without a word counts as a panic. The doors of Python and Node take a ticket and
//! run the plugin's code themselves, so nothing is copied or converted on an inline call; C and
//! native plugins go through [`Executor`].

mod args;
mod buffer;
mod checkpoint;
mod data;
mod exact;
mod executor;
mod fault;
mod outcome;
mod ticket;

pub use args::{Args, OwnedTensor, Reply};
pub use buffer::{BUFFER, buffer_mark, buffer_places, read_mark};
pub(crate) use checkpoint::LastCheckpoint;
pub use checkpoint::{CHECKPOINT_LIMIT, Checkpoints, Vault};
pub use data::{Data, Elsewhere};
pub(crate) use exact::{BEYOND_TEXT, stand_ins};
pub use exact::{ITEMS, NUMBER, items_mark, number_mark, read_items, read_number};
pub use executor::{
    BuildContext, Built, BuiltTool, Call, Confine, DeathNotice, Executor, Keep, Loader, Look,
    Reporter, TensorView, Underway,
};
pub(crate) use fault::ms;
pub use fault::{Fault, Interruption};
pub use outcome::{Effect, Ended, Outcome, error_fields};
pub(crate) use ticket::Queued;
pub use ticket::{Entry, Target, Ticket, Waiting};

use std::sync::Arc;
use std::time::Duration;

/// How one call is to be made.
#[derive(Clone, Default)]
pub struct CallOptions {
    /// From now; `None` takes the tool's, then the plugin's, then the runtime's.
    pub deadline: Option<Duration>,
    /// Called on the caller's thread with (current, total).
    pub progress: Option<Arc<dyn Fn(u64, u64) -> bool + Send + Sync>>,
}

impl std::fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallOptions")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
