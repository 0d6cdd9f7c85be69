//! Opening a plugin's shared library and reading its table.

use super::executor::TableExecutor;
use super::host::HostContext;
use super::shim::{self, Thrown};
use crate::call::{BuildContext, Built, Loader};
use crate::error::{Code, Error, Result};
use crate::manifest::Manifest;
use libloading::Library;
use plugward_abi::{ABI_MAJOR, ABI_MINOR, ENTRY_SYMBOL, Entry, Plugin};
use std::path::PathBuf;
use std::sync::Arc;

/// Loads `kind: native` plugins into this process.
///
/// In-process, a native plugin's segfault is the host's; only a worker process contains it.
#[derive(Debug, Default)]
pub struct NativeLoader;

impl Loader for NativeLoader {
    fn build(&self, manifest: &Manifest, context: &BuildContext) -> Result<Built> {
        let path = path_of(manifest);
        // SAFETY: opening a library runs its initialisers; that is what loading a plugin means,
        // and the manifest names the file.
        let library = unsafe { Library::new(&path) }.map_err(|e| {
            Error::new(Code::NativeOpen).with_message(format!("{}: {}", path.display(), chain(&e)))
        })?;
        // SAFETY: a library that exports this name follows plugward_plugin.h.
        let entry = unsafe { library.get::<Entry>(ENTRY_SYMBOL) }.map_err(|_| {
            Error::new(Code::NativeSymbol).with_message(format!(
                "{} does not export plugward_plugin_entry",
                path.display()
            ))
        })?;
        // SAFETY: as above.
        let table = unsafe { shim::entry(*entry as *const std::ffi::c_void) };
        let library = Arc::new(library);
        let table = checked(table)?;
        let context = HostContext {
            logger: context.log.clone(),
            checkpoints: context.checkpoints.clone(),
        };
        // SAFETY: `checked` saw a table of this library, which the executor keeps open.
        let executor = unsafe { TableExecutor::create(table, library, manifest, context)? };
        Ok(Built {
            executor: Arc::new(executor),
            tools: Vec::new(),
        })
    }
}

fn path_of(manifest: &Manifest) -> PathBuf {
    let entry = PathBuf::from(&manifest.entrypoint);
    match &manifest.dir {
        Some(dir) if entry.is_relative() => dir.join(entry),
        _ => entry,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Refuses a table that cannot be called.
fn checked<'a>(table: std::result::Result<*const Plugin, Thrown>) -> Result<&'a Plugin> {
    let pointer = table.map_err(|Thrown(text)| {
        Error::new(Code::NativeTable).with_message(format!("the entry threw: {text}"))
    })?;
    if pointer.is_null() {
        return Err(Error::new(Code::NativeTable).with_message("the entry returned NULL"));
    }
    // SAFETY: not NULL, and every version of the table begins with these two members.
    let (size, version) = unsafe { ((*pointer).struct_size, (*pointer).abi_version) };
    if version >> 16 != ABI_MAJOR {
        return Err(Error::new(Code::NativeVersion).with_message(format!(
            "the plugin was built for ABI {}.{}, this runtime has {ABI_MAJOR}.{ABI_MINOR}",
            version >> 16,
            version & 0xffff
        )));
    }
    if (size as usize) < size_of::<Plugin>() {
        return Err(Error::new(Code::NativeTable).with_message(format!(
            "struct_size {size} is less than {}",
            size_of::<Plugin>()
        )));
    }
    // SAFETY: the table has at least our size and is static in the library.
    let table = unsafe { &*pointer };
    if table.create.is_none() || table.call.is_none() {
        return Err(Error::new(Code::NativeTable).with_message("create or call is NULL"));
    }
    Ok(table)
}
