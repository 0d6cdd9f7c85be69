//! The host's functions, as far as they are used.

use plugward_abi::{
    Bytes, CHECKPOINT_EXTENSION, Checkpoint, Host, Reply, Request, STATUS_CANCELLED, STATUS_OK,
};

/// The host's table; valid from `create` to the end of `destroy`.
pub(super) struct Door {
    host: *const Host,
    save: Option<*const Checkpoint>,
}

// SAFETY: the host allows its functions from any thread.
unsafe impl Send for Door {}
// SAFETY: as above.
unsafe impl Sync for Door {}

impl Door {
    /// # Safety
    /// `host` must be what `create` was given.
    pub(super) unsafe fn new(host: *const Host) -> Self {
        // SAFETY: by the caller's promise.
        let get = unsafe { host.as_ref() }.and_then(|table| table.get_extension);
        // SAFETY: the host's own function, asked with its own table and a text that ends in NUL.
        let found = get.map(|get| unsafe { get(host, CHECKPOINT_EXTENSION.as_ptr()) });
        let save = found
            .map(<*const _>::cast::<Checkpoint>)
            .filter(|p| !p.is_null());
        Self { host, save }
    }

    /// Keeps `state` for the next generation, where the host can; false where the host refuses it.
    pub(super) fn keep(&self, state: &[u8]) -> bool {
        // SAFETY: the host's own table, static while the instance lives.
        let save = self.save.and_then(|table| unsafe { (*table).save });
        match save {
            // SAFETY: the host copies the bytes.
            Some(save) => unsafe { save(self.host, Bytes::borrow(state)) == STATUS_OK },
            None => true,
        }
    }

    fn table(&self) -> Option<&Host> {
        // SAFETY: valid while the instance lives.
        unsafe { self.host.as_ref() }
    }

    /// # Safety
    /// `reply` must be the call's own.
    pub(super) unsafe fn answer(&self, reply: *mut Reply, json: &str) -> i32 {
        match self.table().and_then(|t| t.reply_json) {
            // SAFETY: the host copies the text.
            Some(tell) => unsafe { tell(reply, Bytes::borrow(json.as_bytes())) },
            None => plugward_abi::STATUS_ERROR,
        }
    }

    /// # Safety
    /// `reply` must be the call's own.
    pub(super) unsafe fn refuse(&self, reply: *mut Reply, kind: &str, message: &str) {
        if let Some(tell) = self.table().and_then(|t| t.reply_error) {
            let (kind, message) = (
                Bytes::borrow(kind.as_bytes()),
                Bytes::borrow(message.as_bytes()),
            );
            // SAFETY: the host copies both texts.
            let _ = unsafe { tell(reply, kind, message) };
        }
    }

    /// # Safety
    /// `request` must be the call's own.
    pub(super) unsafe fn should_stop(&self, request: *const Request) -> bool {
        match self.table().and_then(|t| t.should_stop) {
            // SAFETY: by the caller's promise.
            Some(ask) => unsafe { ask(request) != 0 },
            None => false,
        }
    }

    /// # Safety
    /// `request` must be the call's own.
    pub(super) unsafe fn progress(&self, request: *const Request, now: u64, of: u64) -> bool {
        match self.table().and_then(|t| t.progress) {
            // SAFETY: by the caller's promise.
            Some(tell) => unsafe { tell(request, now, of) != STATUS_CANCELLED },
            None => true,
        }
    }
}
