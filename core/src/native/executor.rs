//! Runs the calls of one instance behind a C-ABI table.

use super::host::{self, Answer, CallContext, HostContext};
use super::shim::{self, CallFn, Destroy, RestoreFn, Thrown, Validate};
use super::tensor;
use crate::call::{BuildContext, Built, Call, Executor, Fault, Loader, Reply, TensorView};
use crate::error::{Code, Error, Result};
use crate::manifest::Manifest;
use plugward_abi::{
    Bytes, Host, Opaque, Plugin, RESTORE_EXTENSION, Request, Restore, STATUS_CANCELLED,
    STATUS_INVALID_INPUT, STATUS_OK, Status, Tensor,
};
use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

/// An instance and the functions that work on it. Dropping it destroys the instance.
struct Instance {
    pointer: Opaque,
    call: CallFn,
    validate: Option<Validate>,
    destroy: Option<Destroy>,
    restore: Option<RestoreFn>,
    /// The library must stay open as long as its functions can run.
    _library: Option<Arc<libloading::Library>>,
    /// The table that `create` was given; its context is what stands beside it.
    _host: Option<Box<(Host, HostContext)>>,
}

// SAFETY: the ABI demands of plugins that an instance may be used from any thread, and from
// several at once unless the manifest limits the concurrency to 1.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the instance is alive, and this is its only destruction.
            let _ = unsafe { shim::destroy(destroy, self.pointer) };
        }
    }
}

/// Runs one generation of a native plugin, or of a C host's callbacks.
pub struct TableExecutor(Arc<Instance>);

impl TableExecutor {
    /// Makes an instance of a plugin table that was checked by `library.rs`.
    ///
    /// # Errors
    /// [`Code::LoadConstruct`] with the plugin's own words.
    ///
    /// # Safety
    /// `table` must be a valid table of the library.
    pub(super) unsafe fn create(
        table: &Plugin,
        library: Arc<libloading::Library>,
        manifest: &Manifest,
        context: HostContext,
    ) -> Result<Self> {
        let missing = || Error::new(Code::NativeTable);
        let create = table.create.ok_or_else(missing)?;
        let call = table.call.ok_or_else(missing)?;
        let restore = restore_of(table)?;
        let mut host = Box::new((host::table(&context), context));
        host.0.context = (&raw mut host.1).cast();
        let text = described(manifest).to_string();
        let mut pointer = std::ptr::null_mut();
        let mut answer = Answer::default();
        let reply = answer.as_reply();
        // SAFETY: the table is the plugin's; every pointer is ours and lives beyond the call.
        let status = unsafe {
            shim::create(
                create,
                &raw const host.0,
                Bytes::borrow(text.as_bytes()),
                &mut pointer,
                reply,
            )
        };
        step(status, answer, Code::LoadConstruct, "create")?;
        Ok(Self(Arc::new(Instance {
            pointer,
            call,
            validate: table.validate,
            destroy: table.destroy,
            restore,
            _library: Some(library),
            _host: Some(host),
        })))
    }
}

/// How the plugin takes a checkpoint up, where it can.
fn restore_of(table: &Plugin) -> Result<Option<RestoreFn>> {
    let Some(get) = table.get_extension else {
        return Ok(None);
    };
    // SAFETY: the table is the plugin's.
    let found = unsafe { shim::get_extension(get, RESTORE_EXTENSION) };
    let found = found.map_err(|Thrown(text)| {
        Error::new(Code::NativeTable).with_message(format!("get_extension threw: {text}"))
    })?;
    // SAFETY: a table of that name is NULL or a plugward_restore, static in the library.
    let Some(table) = (unsafe { found.cast::<Restore>().as_ref() }) else {
        return Ok(None);
    };
    match (
        table.struct_size as usize >= size_of::<Restore>(),
        table.restore,
    ) {
        (true, Some(restore)) => Ok(Some(restore)),
        _ => Err(Error::new(Code::NativeTable)
            .with_message("its plugward.restore/1 table is too small, or restore is NULL")),
    }
}

/// The manifest as the plugin gets it: with `dir`, the folder that its paths are relative to.
fn described(manifest: &Manifest) -> serde_json::Value {
    let mut value = manifest.to_value();
    if let (Some(dir), Some(map)) = (&manifest.dir, value.as_object_mut()) {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        map.insert("dir".into(), dir.to_string_lossy().into());
    }
    value
}

/// Turns the answer of a load step into a result.
fn step(
    status: std::result::Result<Status, Thrown>,
    answer: Answer,
    code: Code,
    what: &str,
) -> Result<()> {
    match status {
        Ok(STATUS_OK) => Ok(()),
        Ok(other) => {
            let (kind, message) = answer.words(&format!("{what} answered status {other}"));
            Err(match Code::from_code(&kind) {
                Some(named) => Error::new(named).with_message(message),
                None => Error::new(code).with_message(format!("{kind}: {message}")),
            })
        }
        Err(Thrown(text)) => {
            Err(Error::new(code).with_message(format!("{what} threw a C++ exception: {text}")))
        }
    }
}

impl TableExecutor {
    fn run(&self, call: &Call<'_>, views: &[Tensor]) -> std::result::Result<Reply, Fault> {
        let context = CallContext {
            should_stop: call.should_stop,
            progress: call.progress,
        };
        let left = call
            .deadline
            .map(|d| d.saturating_duration_since(Instant::now()));
        let request = Request {
            struct_size: size_of::<Request>() as u32,
            reserved: 0,
            tool: Bytes::borrow(call.tool.spec.id.as_bytes()),
            args: Bytes::borrow(call.args.text().as_bytes()),
            tensors: if views.is_empty() {
                std::ptr::null()
            } else {
                views.as_ptr()
            },
            tensor_count: views.len(),
            deadline_ns: left.map_or(-1, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)),
            call_id: call.call_id,
            context: std::ptr::from_ref(&context).cast_mut().cast(),
        };
        let mut answer = Answer::default();
        let reply = answer.as_reply();
        // SAFETY: the instance is alive; request and reply are ours and live beyond the call.
        let status = unsafe { shim::call(self.0.call, self.0.pointer, &raw const request, reply) };
        classify(status, answer)
    }
}

impl Executor for TableExecutor {
    fn call(&self, call: &Call<'_>) -> std::result::Result<Reply, Fault> {
        let views: Vec<_> = call.args.tensors.iter().map(tensor::borrow).collect();
        self.run(call, &views)
    }

    fn call_views(
        &self,
        call: &Call<'_>,
        views: &[TensorView<'_>],
    ) -> std::result::Result<Reply, Fault> {
        let views: Vec<_> = views.iter().map(tensor::of_view).collect();
        self.run(call, &views)
    }

    fn restore(&self, state: &[u8]) -> Result<bool> {
        let Some(restore) = self.0.restore else {
            return Ok(false);
        };
        let mut answer = Answer::default();
        let reply = answer.as_reply();
        // SAFETY: the instance is alive, the bytes are valid and the reply is ours.
        let status = unsafe { shim::restore(restore, self.0.pointer, Bytes::borrow(state), reply) };
        step(status, answer, Code::LoadRestore, "restore").map(|()| true)
    }

    fn validate(&self) -> Result<()> {
        let Some(validate) = self.0.validate else {
            return Ok(());
        };
        let mut answer = Answer::default();
        let reply = answer.as_reply();
        // SAFETY: the instance is alive and the reply is ours.
        let status = unsafe { shim::validate(validate, self.0.pointer, reply) };
        step(status, answer, Code::LoadValidate, "validate")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn classify(
    status: std::result::Result<Status, Thrown>,
    answer: Answer,
) -> std::result::Result<Reply, Fault> {
    match status {
        Ok(STATUS_OK) => answer
            .into_reply()
            .map_err(|why| Fault::Error(Error::new(Code::CallUnserializable).with_message(why))),
        Ok(STATUS_INVALID_INPUT) => {
            let (kind, message) = answer.words("the plugin refused its input");
            Err(named(&kind, &message).unwrap_or(Fault::RefusedInput { message }))
        }
        Ok(STATUS_CANCELLED) => Err(Fault::Cancelled),
        Ok(other) => {
            let (kind, message) = answer.words(&format!("the plugin answered status {other}"));
            Err(named(&kind, &message).unwrap_or(Fault::Raised {
                kind,
                message,
                traceback: None,
            }))
        }
        Err(Thrown(text)) => Err(Fault::Panicked {
            message: format!("C++ exception: {text}"),
        }),
    }
}

/// An error that the plugin called by a code of the catalogue: it knew what went wrong, so its
/// generation goes on.
fn named(kind: &str, message: &str) -> Option<Fault> {
    let error = Error::new(Code::from_code(kind)?).with_message(message);
    Some(Fault::Error(error))
}

/// Functions that a C host already holds, instead of a library.
#[derive(Clone, Copy)]
pub struct Callbacks {
    /// The host's own pointer, passed to each function.
    pub user: Opaque,
    /// Executes a tool.
    pub call: CallFn,
    /// Says whether the plugin is fit.
    pub validate: Option<Validate>,
    /// Ends `user`, once, after the last call of the last generation.
    pub destroy: Option<Destroy>,
}

/// Makes generations of a C host's callbacks; all share one `user`.
pub struct CallbackLoader(Arc<Instance>);

impl CallbackLoader {
    /// # Safety
    /// The functions must follow the plugin ABI and may be called from any thread until `destroy`
    /// has been called.
    #[must_use]
    pub unsafe fn new(callbacks: Callbacks) -> Self {
        Self(Arc::new(Instance {
            pointer: callbacks.user,
            call: callbacks.call,
            validate: callbacks.validate,
            destroy: callbacks.destroy,
            restore: None,
            _library: None,
            _host: None,
        }))
    }
}

impl Loader for CallbackLoader {
    fn build(&self, _: &Manifest, _: &BuildContext) -> Result<Built> {
        Ok(Built {
            executor: Arc::new(TableExecutor(Arc::clone(&self.0))),
            tools: Vec::new(),
        })
    }
}
