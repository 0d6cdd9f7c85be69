//! `include/plugward_plugin.h`: what native plugins are written against, from `core/abi`.

use crate::generators::Result;
use crate::header::Header;

const PREFACE: &str = r#"/*
 * The native plugin API.
 *
 * A plugin is a shared library that exports one function, plugward_plugin_entry, which returns a
 * static table of functions:
 *
 *     static plugward_status call(void *self, const plugward_request *request,
 *                                 plugward_reply *reply) { ... }
 *     static const plugward_plugin table = {
 *         sizeof(plugward_plugin), PLUGWARD_ABI_VERSION, create, destroy, NULL, call, NULL};
 *     PLUGWARD_PLUGIN_ENTRY { return &table; }
 *
 * Everything that crosses is borrowed for the length of one call. A plugin answers through the
 * functions of plugward_host, which copy: no allocation is freed by the other side. Text is UTF-8,
 * pointer and length; (NULL, 0) is the empty text. Only the first struct_size bytes of a table are
 * there; later versions grow tables at their end.
 *
 * A C++ exception that leaves a plugin's function is caught and becomes the call's error. longjmp
 * out of a plugin's function is not supported.
 *
 * Tensors have the layout of DLPack's DLTensor (https://dmlc.github.io/dlpack/latest/c_api.html),
 * member for member: a DLTensor* may be passed as a plugward_tensor*.
 *
 *     plugward_tensor      DLTensor         meaning
 *     data                 data             start of the allocation
 *     device {kind, id}    device           kind 1 is the CPU; only CPU tensors cross
 *     ndim                 ndim             0 to 32
 *     dtype {code, bits,   dtype            code 0 int, 1 uint, 2 float, 4 bfloat, 6 bool;
 *            lanes}                         an 8-bit image is {1, 8, 1}
 *     shape                shape            ndim sizes, in elements
 *     strides              strides          ndim strides in elements; NULL: compact, row-major
 *     byte_offset          byte_offset      from data to the first element, in bytes
 */

#include <stddef.h>
#include <stdint.h>

/** Where a plugin's answer goes; only the host's functions look inside. */
typedef struct plugward_reply plugward_reply;
"#;

const TRAILER: &str = r#"
/** Initialiser of a plugward_dtype: 8-bit unsigned, for images. */
#define PLUGWARD_DTYPE_U8 {1, 8, 1}

/** Initialiser of a plugward_dtype: 32-bit float. */
#define PLUGWARD_DTYPE_F32 {2, 32, 1}

/** The host's extension that keeps a plugin's state: a plugward_checkpoint. */
#define PLUGWARD_EXT_CHECKPOINT "plugward.checkpoint/1"

/** The plugin's extension that takes up the state of its last generation: a plugward_restore. */
#define PLUGWARD_EXT_RESTORE "plugward.restore/1"

/** The name of the one function that a plugin exports. */
#define PLUGWARD_PLUGIN_ENTRY_NAME "plugward_plugin_entry"

#ifdef __cplusplus
#define PLUGWARD_EXTERN_C extern "C"
#else
#define PLUGWARD_EXTERN_C extern
#endif

#if defined(_WIN32)
#define PLUGWARD_PLUGIN_EXPORT PLUGWARD_EXTERN_C __declspec(dllexport)
#else
#define PLUGWARD_PLUGIN_EXPORT PLUGWARD_EXTERN_C __attribute__((visibility("default")))
#endif

/** Heads the definition of a plugin's entry: PLUGWARD_PLUGIN_ENTRY { return &table; } */
#define PLUGWARD_PLUGIN_ENTRY                                                                      \
  PLUGWARD_PLUGIN_EXPORT const plugward_plugin *plugward_plugin_entry(void);                       \
  const plugward_plugin *plugward_plugin_entry(void)
"#;

/// The whole file.
pub(crate) fn make() -> Result<String> {
    Header {
        source: "core/abi/src/lib.rs",
        guard: "PLUGWARD_PLUGIN_H",
        preface: PREFACE,
        trailer: TRAILER,
        types: &[
            ("Bytes", "plugward_bytes"),
            ("Checkpoint", "plugward_checkpoint"),
            ("DType", "plugward_dtype"),
            ("Device", "plugward_device"),
            ("Entry", "plugward_entry_fn"),
            ("Host", "plugward_host"),
            ("LogLevel", "plugward_log_level"),
            ("Opaque", "plugward_opaque"),
            ("Plugin", "plugward_plugin"),
            ("Reply", "plugward_reply"),
            ("Request", "plugward_request"),
            ("Restore", "plugward_restore"),
            ("Status", "plugward_status"),
            ("Tensor", "plugward_tensor"),
        ],
        constants: &[
            "ABI_MAJOR",
            "ABI_MINOR",
            "ABI_VERSION",
            "LOG_DEBUG",
            "LOG_ERROR",
            "LOG_INFO",
            "LOG_WARN",
            "STATUS_CANCELLED",
            "STATUS_ERROR",
            "STATUS_INVALID_INPUT",
            "STATUS_OK",
        ],
        hidden: &["Reply"],
        included: &[
            "Entry",
            "Plugin",
            "Host",
            "Tensor",
            "Request",
            "Checkpoint",
            "Restore",
        ],
    }
    .make()
}
