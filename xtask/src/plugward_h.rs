//! `include/plugward.h`: what C and C++ hosts are written against, from `ffi`.

use crate::generators::Result;
use crate::header::Header;

const PREFACE: &str = r#"/*
 * The host API: Plugward for C programs. plugward.hpp wraps it for C++17.
 *
 *     plugward_runtime *runtime = NULL;
 *     plugward_error *error = plugward_runtime_new(NULL, &runtime);
 *     if (error) { ... plugward_error_message(error) ...; plugward_error_free(error); }
 *
 * Rules that hold for every function:
 *
 * - Functions that can fail return a plugward_error*; NULL is success. The caller frees it.
 *   Out parameters are zeroed on failure.
 * - Text is UTF-8, pointer and length; (NULL, 0) is the empty text. Text that a function returns
 *   as plugward_bytes belongs to the handle it came from and is not terminated: print it with
 *   printf("%.*s", PLUGWARD_ARG(text)).
 * - What a function gives (`**out`, returned errors) the caller ends with the matching _free
 *   function, never with free(). Nothing that the caller allocated is freed here.
 * - Options structs begin with struct_size = sizeof(the struct); NULL means defaults. A smaller
 *   struct of an older header and a larger one of a newer header are both understood.
 * - A NULL that is not allowed is PW-ABI-001, text that is not UTF-8 PW-ABI-002, an impossible
 *   struct_size PW-ABI-003. Accessors answer NULL with 0, false or the empty text.
 * - No Rust panic and no C++ exception crosses this API; a panic inside is PW-RT-003. longjmp out
 *   of a callback is not supported.
 * - "Thread: any" means that a function may be called from any thread at any time, also at once.
 * - After fork, the child's calls are refused with PW-RT-002; the child makes its own runtime.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugward_errors.h"
#include "plugward_plugin.h"
"#;

const TRAILER: &str = r#"
/** The version of this header, as plugward_version() returns the library's. */
#define PLUGWARD_VERSION                                                                           \
  ((PLUGWARD_VERSION_MAJOR << 16) | (PLUGWARD_VERSION_MINOR << 8) | PLUGWARD_VERSION_PATCH)

/** NULL when the library fits this header, else PW-ABI-004. */
#define PLUGWARD_CHECK_VERSION()                                                                   \
  plugward_version_check(PLUGWARD_VERSION_MAJOR, PLUGWARD_VERSION_MINOR)

/** Text for printf's "%.*s". */
#define PLUGWARD_ARG(text) (int)(text).len, (const char *)((text).len ? (const void *)(text).data : "")
"#;

/// The whole file.
pub(crate) fn make() -> Result<String> {
    Header {
        source: "ffi/src/lib.rs",
        guard: "PLUGWARD_H",
        preface: PREFACE,
        trailer: TRAILER,
        types: &[
            ("Bytes", "plugward_bytes"),
            ("CallFn", "plugward_call_fn"),
            ("CallOptions", "plugward_call_options"),
            ("Callbacks", "plugward_callbacks"),
            ("DestroyFn", "plugward_destroy_fn"),
            ("Effect", "plugward_effect"),
            ("Error", "plugward_error"),
            ("Event", "plugward_event"),
            ("Lease", "plugward_lease"),
            ("LogFn", "plugward_log_fn"),
            ("LogLevel", "plugward_log_level"),
            ("LogRecord", "plugward_log_record"),
            ("Outcome", "plugward_outcome"),
            ("ProgressFn", "plugward_progress_fn"),
            ("Reply", "plugward_reply"),
            ("Reports", "plugward_reports"),
            ("Request", "plugward_request"),
            ("Runtime", "plugward_runtime"),
            ("RuntimeOptions", "plugward_runtime_options"),
            ("State", "plugward_state"),
            ("Status", "plugward_status"),
            ("Tensor", "plugward_tensor"),
            ("Text", "plugward_string"),
            ("ValidateFn", "plugward_validate_fn"),
        ],
        constants: &[
            "EFFECT_COMPLETED",
            "EFFECT_MAY_HAVE_RUN",
            "EFFECT_NOT_STARTED",
            "EFFECT_STOPPED",
            "EVENT_CALL_BEGAN",
            "EVENT_CALL_ENDED",
            "EVENT_DEPENDENCY_MISSING",
            "EVENT_FAULT",
            "EVENT_READY",
            "EVENT_RESTART",
            "STATE_FAILED",
            "STATE_INITIALIZED",
            "STATE_LOADED",
            "STATE_NONE",
            "STATE_RUNNING",
            "STATE_UNAVAILABLE",
            "VERSION_MAJOR",
            "VERSION_MINOR",
            "VERSION_PATCH",
        ],
        hidden: &[
            "Log",
            "Progress",
            "plugward_edge_destroy",
            "plugward_edge_log",
            "plugward_edge_progress",
        ],
        included: &[],
    }
    .make()
}
