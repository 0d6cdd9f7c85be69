//! The one table of every error that a user can meet.
//!
//! Rust's [`Code`], the C constants, the Python and TypeScript types and `docs/errors.md` are all
//! made from [`Code::ALL`]; `cargo xtask generate` writes them and a test fails when they drift.
//!
//! Rules: codes are append-only. A code that is no longer raised keeps its row and gets
//! `retired` as its first word of `message`, so that old logs stay readable.

/// Declares the catalogue: one row a code.
macro_rules! catalogue {
    ($( $name:ident = $number:literal, $code:literal, $kind:literal, $http:literal, $retry:literal,
        $message:literal, $cause:literal, $remedy:literal; )*) => {
        /// A stable identifier of one error: `PW-<AREA>-<NNN>`.
        ///
        /// The numeric value is what C sees (`PLUGWARD_CODE_...`); it never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum Code {
            $( #[doc = concat!("`", $code, "`: ", $message)] $name = $number, )*
        }

        /// Positions in the catalogue: the discriminants count up by themselves.
        #[derive(Clone, Copy)]
        enum Position { $( $name, )* }

        impl Code {
            /// This code's place in [`Code::ALL`].
            #[must_use]
            pub const fn index(self) -> usize {
                match self { $( Code::$name => Position::$name as usize, )* }
            }

            /// Every code, in catalogue order.
            pub const ALL: &'static [Code] = &[ $( Code::$name, )* ];

            /// The catalogue row of this code.
            #[must_use]
            pub const fn row(self) -> &'static Row {
                match self {
                    $( Code::$name => &Row {
                        name: stringify!($name), number: $number, code: $code, kind: $kind,
                        http: $http, retryable: $retry, message: $message, cause: $cause,
                        remedy: $remedy,
                    }, )*
                }
            }
        }
    };
}

/// One row of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The Rust variant's name, `GpuNoDriver`.
    pub name: &'static str,
    /// The number that C sees.
    pub number: u32,
    /// The printed code, `PW-GPU-001`.
    pub code: &'static str,
    /// The `error_type` of the answer, `PluginUnavailable`.
    pub kind: &'static str,
    /// The HTTP status that fits, for hosts that map errors to statuses.
    pub http: u16,
    /// Whether the same call may succeed later without anybody's intervention.
    pub retryable: bool,
    /// What happened, in one sentence.
    pub message: &'static str,
    /// Why it happens.
    pub cause: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

catalogue! {
    // Manifest: reading and understanding what a plugin says of itself.
    ManifestNotFound = 1001, "PW-MAN-001", "ManifestError", 404, false,
        "no manifest was found", "the path does not exist, or the folder holds no manifest.json, manifest.toml, plugward.json or plugward.toml",
        "check the path; `plugward new` writes a manifest to start from";
    ManifestSyntax = 1002, "PW-MAN-002", "ManifestError", 422, false,
        "the manifest is not valid JSON or TOML", "a syntax error at the line and column named in the message",
        "correct the file at that place";
    ManifestUnknownKey = 1003, "PW-MAN-003", "ManifestError", 422, false,
        "the manifest has a key that Plugward does not know", "most often a spelling mistake; the nearest known key is named",
        "rename the key, or remove it";
    ManifestInvalid = 1004, "PW-MAN-004", "ManifestError", 422, false,
        "a value in the manifest is not allowed", "the value at the named place has the wrong type or is out of range",
        "correct the value; docs/manifest.schema.json lists what is allowed";
    ManifestMissingKey = 1005, "PW-MAN-005", "ManifestError", 422, false,
        "the manifest lacks a required key", "`name`, `kind` and `entrypoint` have no default",
        "add the named key";
    ManifestBadSchema = 1006, "PW-MAN-006", "ManifestError", 422, false,
        "a tool's input_schema or output_schema is not a valid JSON Schema", "the schema itself breaks the rules of its draft",
        "correct the schema of the named tool";
    ManifestUnreadable = 1007, "PW-MAN-007", "ManifestError", 422, false,
        "the manifest cannot be read", "the operating system refused to read the file",
        "check the file's permissions";

    // Registry.
    RegistryUnknownPlugin = 1101, "PW-REG-001", "UnknownPlugin", 404, false,
        "no plugin of that name is registered", "it was never loaded, was unloaded, or the name is misspelt",
        "list the names with `plugward list`, or load the plugin first";
    RegistryUnknownTool = 1102, "PW-REG-002", "UnknownTool", 404, false,
        "the plugin has no tool of that name", "the tool id is misspelt, or the plugin's tools changed",
        "use one of the tool ids named in the message";
    RegistryDuplicate = 1103, "PW-REG-003", "DuplicatePlugin", 409, false,
        "a plugin of that name is already registered", "two plugins claim one name, or one was loaded twice",
        "unload the first, rename one of them, or restart the plugin instead of loading it again";
    RegistryBusy = 1104, "PW-REG-004", "RegistryBusy", 503, true,
        "the registry could not be changed in time", "another writer held the lock for longer than the lock timeout",
        "try again; if it stays, look at plugward_lock_wait_seconds and at what the other writer does";
    RegistryDependencyCycle = 1105, "PW-REG-005", "ManifestError", 422, false,
        "plugins depend on one another in a circle", "following depends_on leads back to where it started",
        "remove one of the depends_on entries named in the message";

    RegistryMarkedFailed = 1106, "PW-REG-006", "PluginFailed", 503, false,
        "the host marked the plugin as failed", "the host executes the plugin itself and saw it fail",
        "mend the cause that the host names, then restart the plugin";
    RegistryMarkedUnavailable = 1107, "PW-REG-007", "PluginUnavailable", 503, false,
        "the host marked the plugin as unavailable", "the host found one of its dependencies missing",
        "supply the dependency that the host names, then restart the plugin";

    // Lifecycle.
    LifecycleForbidden = 1201, "PW-LIFE-001", "LifecycleError", 409, false,
        "that state change is not allowed", "FAILED and UNAVAILABLE are final within a generation, and states follow one table",
        "restart the plugin to begin its next generation";
    LifecycleStale = 1202, "PW-LIFE-002", "StaleGeneration", 409, false,
        "the result belongs to an earlier generation of the plugin", "the plugin was restarted or its call was abandoned in the meantime",
        "call the plugin again; the old result was discarded on purpose";

    LifecycleStopped = 1203, "PW-LIFE-003", "PluginStopped", 503, false,
        "the plugin was stopped", "somebody stopped it in good order; it is still listed",
        "start it again: Runtime.restart(name)";

    // Loading, step by step.
    LoadUnsupportedKind = 1301, "PW-LOAD-001", "PluginUnavailable", 503, false,
        "this host cannot run plugins of that kind", "no door for the kind (python, node, native, host) is part of this process",
        "load the plugin from a host of that kind, or change `kind` in the manifest";
    LoadIsolation = 1302, "PW-LOAD-002", "PluginUnavailable", 503, false,
        "the isolation that the manifest asks for cannot be given here", "this build or platform does not offer that level",
        "set `isolation` to a level that the message names, or use a build that offers it";
    LoadImport = 1303, "PW-LOAD-003", "PluginFailed", 503, false,
        "the plugin could not be imported", "its module raised, or could not be found, while it was imported",
        "run `plugward check` on the plugin; the traceback names the line";
    LoadConstruct = 1304, "PW-LOAD-004", "PluginFailed", 503, false,
        "the plugin could not be constructed", "its class or create function raised or answered an error",
        "look at the traceback; a plugin should fail here rather than at its first user";
    LoadValidate = 1305, "PW-LOAD-005", "PluginFailed", 503, false,
        "the plugin's own validate() found it unfit", "validate() raised, or returned false",
        "the message is the plugin's own; mend what it names and restart the plugin";
    LoadProbe = 1306, "PW-LOAD-006", "PluginFailed", 503, false,
        "the plugin's probe call failed", "the golden call of the manifest did not return what `expect_schema` describes",
        "run the probe by hand: `plugward run PLUGIN TOOL --args JSON`";
    LoadEntrypoint = 1307, "PW-LOAD-007", "PluginFailed", 503, false,
        "the manifest's entrypoint does not lead to a plugin", "the module, file, class or symbol that it names is not there",
        "correct `entrypoint`: \"pkg.module:Class\", \"file.py:Class\", \"file.js\", or a library file";
    LoadTools = 1308, "PW-LOAD-008", "PluginFailed", 503, false,
        "the plugin's tools cannot be read", "its tools are not a mapping of ids to handlers, or a handler is missing",
        "give each tool a handler: a callable, or the name of a method";
    LoadRestore = 1309, "PW-LOAD-009", "PluginFailed", 503, false,
        "the plugin could not take up its last checkpoint", "its restore function raised or answered an error",
        "mend the plugin; a checkpoint that fails two loads in a row is given up and the next one begins afresh";
    LoadDependsOn = 1310, "PW-LOAD-010", "PluginUnavailable", 503, false,
        "a plugin that this one depends on is not there", "its depends_on names a plugin that is not loaded, or is not available",
        "load or restart the plugin that the message names, then restart this one";

    // Dependencies that are not GPUs and not models.
    CheckPackageMissing = 1401, "PW-PKG-001", "PluginUnavailable", 503, false,
        "a package that the plugin needs is not installed", "it is absent from the environment that the plugin will use",
        "install it: pip install PACKAGE";
    CheckPackageVersion = 1402, "PW-PKG-002", "PluginUnavailable", 503, false,
        "a package that the plugin needs has the wrong version", "the installed version is outside the required range",
        "install a version in the range named in the message";
    CheckPackageTransitive = 1403, "PW-PKG-003", "PluginUnavailable", 503, false,
        "a package is installed, but something that it needs itself is not", "an incomplete or broken installation",
        "reinstall the package with its dependencies";
    CheckPackageRequirement = 1404, "PW-PKG-004", "ManifestError", 422, false,
        "a dependency is not a valid requirement", "the string does not follow PEP 508 or npm's ranges",
        "write it as in \"numpy>=1.26\"";
    CheckPackageImport = 1405, "PW-PKG-005", "PluginUnavailable", 503, false,
        "a package is installed but importing it fails or crashes", "its import raised, or ended the process that tried it",
        "reinstall the package; the message holds the last lines of the attempt";
    CheckPackageBroken = 1406, "PW-PKG-006", "PluginUnavailable", 503, false,
        "a package's installation is damaged", "its metadata or its modules are missing although it counts as installed",
        "reinstall the package: pip install --force-reinstall PACKAGE";
    CheckEnvironment = 1421, "PW-ENV-001", "PluginUnavailable", 503, false,
        "an environment variable that the plugin needs is not set", "it is absent from the host's environment",
        "set the named variable before the host starts";
    CheckExecutable = 1422, "PW-ENV-002", "PluginUnavailable", 503, false,
        "a program that the plugin needs is not on PATH", "it is not installed, or PATH does not lead to it",
        "install the program, or extend PATH";
    CheckPlatform = 1423, "PW-ENV-003", "PluginUnavailable", 503, false,
        "the plugin does not support this platform or interpreter version", "its manifest asks for another one",
        "run it on a platform or interpreter that the message names";
    CheckInterpreter = 1424, "PW-ENV-004", "PluginUnavailable", 503, false,
        "the plugin's own Python interpreter cannot be used", "the manifest's key python names a program that is missing, does not start or does not answer",
        "make the environment (python -m venv), or correct the key python in the manifest";

    // GPU, each cause with its own code.
    GpuNoDriver = 1501, "PW-GPU-001", "PluginUnavailable", 503, false,
        "a GPU is needed and no NVIDIA driver is installed", "libcuda.so.1 cannot be opened on this machine",
        "install the NVIDIA driver, or set requires_gpu to false if the plugin can run on the CPU";
    GpuNoDevice = 1502, "PW-GPU-002", "PluginUnavailable", 503, false,
        "a GPU is needed and the driver sees none", "the driver is installed, but no device answers",
        "check that the card is seated and visible with `ls /dev/nvidia*`, or pass it through to the virtual machine or container";
    GpuHidden = 1503, "PW-GPU-003", "PluginUnavailable", 503, false,
        "a GPU is there but hidden from this process", "CUDA_VISIBLE_DEVICES hides every device",
        "unset CUDA_VISIBLE_DEVICES, or name a device in it";
    GpuPermission = 1504, "PW-GPU-004", "PluginUnavailable", 503, false,
        "the GPU's device node may not be opened", "this user has no permission on /dev/nvidia*",
        "add the user to the group that owns the node, or correct the node's permissions";
    GpuDriverTooOld = 1505, "PW-GPU-005", "PluginUnavailable", 503, false,
        "the NVIDIA driver is too old for this CUDA", "torch was built with a newer CUDA than the driver supports",
        "update the driver, or install a torch build for the older CUDA";
    GpuVersionMismatch = 1506, "PW-GPU-006", "PluginUnavailable", 503, true,
        "the NVIDIA library and kernel module do not match", "the driver was updated while the old kernel module stayed loaded",
        "reload the kernel module or reboot the machine";
    GpuComputeTooLow = 1507, "PW-GPU-007", "PluginUnavailable", 503, false,
        "the GPU's compute capability is too low", "the manifest's gpu.min_compute asks for a newer card",
        "use a newer GPU, or lower gpu.min_compute if the plugin can run on this one";
    GpuMemory = 1508, "PW-GPU-008", "PluginUnavailable", 503, true,
        "the GPU has too little free memory", "other processes hold it, or the card is too small for gpu.min_memory_mb",
        "free memory on the card, or use a larger one";
    GpuTorchCpuBuild = 1509, "PW-GPU-009", "PluginUnavailable", 503, false,
        "a GPU is there, but torch is a CPU-only build", "the installed torch package was built without CUDA",
        "install a CUDA build of torch";
    GpuTorchDisagrees = 1510, "PW-GPU-010", "PluginUnavailable", 503, false,
        "the driver sees a GPU, but torch does not", "torch could not initialise CUDA although the driver answers",
        "run python -c 'import torch; torch.zeros(1).cuda()' and look at its error";
    GpuDriverError = 1511, "PW-GPU-011", "PluginUnavailable", 503, true,
        "the NVIDIA driver answered an error", "the driver library is there, but its initialisation failed with the named number",
        "look at dmesg for NVRM lines; reload the driver or reboot";
    GpuTorchArch = 1512, "PW-GPU-012", "PluginUnavailable", 503, false,
        "the installed torch has no code for this GPU", "its build lists the GPU kinds that it supports, and this one is not among them",
        "install a torch build for this GPU, or use another GPU";

    // Models.
    ModelMissing = 1601, "PW-MODEL-001", "PluginUnavailable", 503, false,
        "a model file is missing", "nothing is at the path that the manifest names",
        "put the model at that path, or correct models in the manifest";
    ModelNotAFile = 1602, "PW-MODEL-002", "PluginUnavailable", 503, false,
        "a model path is not a file", "a folder, socket, pipe or device is at the path",
        "point models at the file itself";
    ModelUnreadable = 1603, "PW-MODEL-003", "PluginUnavailable", 503, false,
        "a model file may not be read", "this user has no read permission on it",
        "correct the file's permissions";
    ModelEmpty = 1604, "PW-MODEL-004", "PluginUnavailable", 503, false,
        "a model file is empty", "a download or copy that never finished",
        "fetch the model again";
    ModelChecksum = 1605, "PW-MODEL-005", "PluginUnavailable", 503, false,
        "a model file is not the one that the manifest pins", "its sha256 differs from the manifest's",
        "fetch the model again, or update sha256 if the model was changed on purpose";
    ModelCorrupt = 1606, "PW-MODEL-006", "PluginUnavailable", 503, false,
        "a model file is damaged", "its container is truncated or its header contradicts its size",
        "fetch the model again";
    ModelPlaceholder = 1607, "PW-MODEL-007", "PluginUnavailable", 503, false,
        "a model file is a placeholder, not a model", "a git-lfs pointer or a line of text stands in its place",
        "run `git lfs pull`, or fetch the real file";
    ModelTimeout = 1608, "PW-MODEL-008", "PluginUnavailable", 503, true,
        "the storage that holds a model is not answering", "a network mount hangs",
        "check the mount; the load went on without it";
    ModelFormat = 1609, "PW-MODEL-009", "PluginUnavailable", 503, false,
        "a model file has another format than the manifest says", "it was exported or saved in another way",
        "correct models.NAME.format in the manifest, or export the model again";

    // Calls.
    CallPluginError = 2001, "PW-CALL-001", "PluginError", 500, false,
        "the plugin raised an error", "the plugin's own code failed; type and message are the plugin's",
        "look at the traceback; restart the plugin once its cause is mended";
    CallInvalidInput = 2002, "PW-CALL-002", "InvalidInput", 422, false,
        "the arguments do not fit the tool's input schema", "a value is missing, of the wrong type, or out of range",
        "correct the arguments; the message names the place";
    CallRefusedInput = 2003, "PW-CALL-003", "InvalidInput", 422, false,
        "the plugin refused its input", "the plugin raised plugward.InvalidInput",
        "correct the input as the message says; the plugin itself is fine";
    CallInvalidOutput = 2004, "PW-CALL-004", "InvalidOutput", 502, false,
        "the plugin's result does not fit its output schema", "the plugin broke its own promise",
        "report it to the plugin's author with the place named in the message";
    CallDeadline = 2005, "PW-CALL-005", "DeadlineExceeded", 504, false,
        "the call did not end before its deadline", "the plugin hangs, or the deadline is too short for the work",
        "raise limits.deadline_ms if the work is honest; restart the plugin otherwise";
    CallPluginFailed = 2006, "PW-CALL-006", "PluginFailed", 503, false,
        "the plugin has failed and is not called", "an earlier fault, named in the message, ended this generation",
        "mend the cause, then restart the plugin: Runtime.restart(name)";
    CallPluginUnavailable = 2007, "PW-CALL-007", "PluginUnavailable", 503, false,
        "the plugin is unavailable and is not called", "a dependency, named in the message, is missing",
        "supply the dependency, then restart the plugin";
    CallNotReady = 2008, "PW-CALL-008", "PluginNotReady", 503, true,
        "the plugin is still loading", "it has not reached INITIALIZED yet",
        "try again in a moment";
    CallBusy = 2009, "PW-CALL-009", "PluginBusy", 429, true,
        "the plugin's queue is full", "limits.concurrency calls are running and limits.queue more are waiting",
        "try again later, or raise limits.concurrency or limits.queue";
    CallQueueTimeout = 2010, "PW-CALL-010", "PluginBusy", 504, true,
        "the call waited for its turn until its deadline", "other calls kept the plugin busy; this one never began",
        "try again later, or raise limits.concurrency";
    CallExited = 2011, "PW-CALL-011", "PluginExited", 500, false,
        "the plugin tried to end the process", "it called sys.exit, exit or the like; only the call was ended",
        "remove the exit from the plugin: return or raise instead";
    CallPanicked = 2012, "PW-CALL-012", "PluginPanicked", 500, false,
        "native code panicked", "a Rust panic or a C++ exception left the plugin",
        "report it to the plugin's author with the message";
    CallCancelled = 2013, "PW-CALL-013", "Cancelled", 499, true,
        "the call was cancelled", "its caller gave up waiting, or the runtime is stopping",
        "nothing to do if that was intended";
    CallMemory = 2014, "PW-CALL-014", "MemoryLimitExceeded", 507, false,
        "the plugin used more memory than it may", "limits.memory_mb was exceeded, or an allocation failed",
        "raise limits.memory_mb, or send less at once";
    CallUnserializable = 2015, "PW-CALL-015", "InvalidOutput", 502, false,
        "the plugin's result cannot be converted", "it holds values that have no JSON form, or is too large or too deep",
        "return plain data: numbers, text, lists and dicts";
    CallErrorField = 2016, "PW-CALL-016", "PluginError", 502, false,
        "the plugin's result reports an error", "the manifest's error_field is set in the result",
        "look at the named field of the result";
    CallNested = 2017, "PW-CALL-017", "CallDepthExceeded", 508, false,
        "plugins call one another too deeply", "a chain of nested calls came back to itself",
        "break the circle between the plugins";

    // Native plugins.
    NativeOpen = 2101, "PW-NAT-001", "PluginFailed", 503, false,
        "the plugin's library cannot be opened", "it is missing, made for another platform, or lacks a library itself",
        "run ldd on the file and supply what it misses";
    NativeSymbol = 2102, "PW-NAT-002", "PluginFailed", 503, false,
        "the library is no Plugward plugin", "it does not export plugward_plugin_entry",
        "export the function that include/plugward_plugin.h declares";
    NativeVersion = 2103, "PW-NAT-003", "PluginFailed", 503, false,
        "the plugin was built for another plugin ABI", "its abi_version differs in the major number from this runtime's",
        "build the plugin against this version's include/plugward_plugin.h";
    NativeTable = 2104, "PW-NAT-004", "PluginFailed", 503, false,
        "the plugin's function table is incomplete", "struct_size is too small, or a required function is NULL",
        "fill in every required member, and set struct_size to sizeof(plugward_plugin)";

    // The C edge.
    AbiNull = 2201, "PW-ABI-001", "InvalidArgument", 400, false,
        "a required pointer is NULL", "the function's parameter named in the message must point somewhere",
        "pass a valid pointer";
    AbiUtf8 = 2202, "PW-ABI-002", "InvalidArgument", 400, false,
        "text is not valid UTF-8", "the bytes of the named parameter do not form UTF-8",
        "convert the text to UTF-8";
    AbiStructSize = 2203, "PW-ABI-003", "InvalidArgument", 400, false,
        "an options struct has an impossible size", "struct_size is smaller than the first version of the struct",
        "set struct_size to sizeof(the struct)";
    AbiVersion = 2204, "PW-ABI-004", "VersionMismatch", 400, false,
        "header and library do not belong together", "the program was compiled against another major version",
        "compile against the header that came with the library";
    AbiJson = 2205, "PW-ABI-005", "InvalidArgument", 400, false,
        "text is not valid JSON", "a syntax error at the place named in the message",
        "correct the JSON";
    AbiTensor = 2206, "PW-ABI-006", "InvalidArgument", 400, false,
        "a tensor's description contradicts itself", "its shape, strides, type and byte size do not fit together",
        "correct the description; include/plugward_plugin.h explains each member";
    AbiArgument = 2207, "PW-ABI-007", "InvalidArgument", 400, false,
        "an argument has a value that is not allowed", "the message names the argument and what is allowed",
        "correct the argument";

    // The runtime itself.
    RuntimeClosed = 2301, "PW-RT-001", "RuntimeClosed", 503, false,
        "the runtime has been closed", "close() was called, or the host is shutting down",
        "make a new Runtime";
    RuntimeForked = 2302, "PW-RT-002", "RuntimeForked", 503, false,
        "the runtime belongs to the parent process", "this process was forked after the runtime was made, and threads do not survive a fork",
        "make a new Runtime in the child; default_runtime() does so by itself";
    RuntimeInternal = 2303, "PW-RT-003", "InternalError", 500, false,
        "Plugward itself made a mistake and contained it", "a panic inside the library was caught at its edge",
        "report it with the message; the host and the other plugins are untouched";
    RuntimeThread = 2304, "PW-RT-004", "ResourceExhausted", 503, true,
        "the operating system gave no further thread", "the limit on threads or memory is reached",
        "raise the limit (ulimit -u), or lower limits.concurrency";
    RuntimeOption = 2305, "PW-RT-005", "InvalidArgument", 400, false,
        "an option has a value that is not allowed", "the message names the option and what is allowed",
        "correct the option";
    RuntimeReentrant = 2306, "PW-RT-006", "LifecycleError", 409, false,
        "a plugin may not close, unload or restart itself from inside a call", "the operation would wait for the very call that asked for it",
        "ask from outside the plugin, or after the call has ended";

    // Worker processes.
    WorkerProgram = 2401, "PW-WORKER-001", "PluginUnavailable", 503, false,
        "the worker program was not found", "plugward-worker lies neither beside the library nor where PLUGWARD_WORKER points",
        "install plugward-worker beside the library, or set PLUGWARD_WORKER to its path";
    WorkerStart = 2402, "PW-WORKER-002", "PluginFailed", 503, true,
        "the worker process could not be started", "the operating system refused it, or it ended or kept silent before it was ready",
        "the message holds the reason and the worker's last words; start the program by hand to see more";
    WorkerVersion = 2403, "PW-WORKER-003", "VersionMismatch", 503, false,
        "the worker program belongs to another version", "its protocol version differs from this runtime's",
        "install runtime and worker program of one release";
    WorkerCrashed = 2404, "PW-WORKER-004", "PluginCrashed", 500, false,
        "the plugin's process died of a signal", "native code crashed, aborted, or was killed from outside",
        "report it to the plugin's author with the signal and the last lines that it wrote";
    WorkerExited = 2405, "PW-WORKER-005", "PluginExited", 500, false,
        "the plugin ended its process", "it called exit or _exit, or ended the thread that it was called on",
        "remove the exit from the plugin: return or raise instead";
    WorkerPayload = 2406, "PW-WORKER-006", "PayloadTooLarge", 413, false,
        "the arguments are larger than a worker takes", "they exceed limits.payload_mb",
        "send less at once: a frame or a batch a call, or raise limits.payload_mb in the manifest";
    WorkerResult = 2407, "PW-WORKER-007", "ResultTooLarge", 502, false,
        "the plugin's result is larger than it may be", "it exceeds limits.result_mb",
        "return less at once, or raise limits.result_mb in the manifest";
    WorkerProtocol = 2408, "PW-WORKER-008", "PluginCrashed", 500, false,
        "the worker process broke the protocol", "the plugin overwrote the worker's memory, or a stranger's program answered",
        "report it to the plugin's author; the worker was ended and the host is untouched";
    WorkerSibling = 2409, "PW-WORKER-009", "PluginCrashed", 503, true,
        "the plugin's process was ended while this call was under way", "another call overstayed its deadline, or the plugin was stopped or restarted",
        "call again; set limits.concurrency to 1 where calls must not share their fate";
    WorkerEnforcement = 2410, "PW-WORKER-010", "PluginUnavailable", 503, false,
        "the plugin's permissions cannot be enforced here", "require_enforcement is set and this platform lacks a mechanism that the message names",
        "run it on a kernel that has the mechanism, or set require_enforcement to false";
    WorkerLimit = 2411, "PW-WORKER-011", "LimitExceeded", 507, false,
        "the plugin used more than its limits allow", "its CPU time, a file that it wrote, its open files or its processes passed the limit",
        "raise the limit that the message names, or do less at once";
    WorkerKept = 2412, "PW-WORKER-012", "PluginBusy", 503, true,
        "there is no room left for the arrays of a call", "the plugin keeps arrays of earlier calls, or leases fill its worker's memory",
        "copy in the plugin what it keeps beyond a call, end leases that are done with, or restart it";
    WorkerLease = 2413, "PW-WORKER-013", "LeaseEnded", 409, false,
        "the lease is over", "it was ended, or its worker was; or the plugin has no worker of its own",
        "ask for a new lease; a plugin in this process needs none";
    WorkerCancelled = 2414, "PW-WORKER-014", "PluginCrashed", 503, true,
        "the plugin's process was ended because a cancelled call would not end",
        "code that its caller has cancelled did not stop within the grace period; the plugin is not blamed and begins its next generation",
        "call again; let long work stop when it is asked to: return to Python now and then, look at should_stop, or await";

    // Checkpoints.
    CheckpointTooLarge = 2601, "PW-CKPT-001", "PayloadTooLarge", 413, false,
        "a checkpoint is larger than it may be", "one plugin's state is kept in at most 16 MiB of shared memory",
        "keep less: what can be computed again, or lies in a file of its own, need not be in a checkpoint";

    // Permissions.
    DeniedRead = 2801, "PW-PERM-001", "PermissionDenied", 500, false,
        "the plugin may not read a file", "its manifest's permissions.read names folders, and the file lies in none of them",
        "add the path to permissions.read in the manifest";
    DeniedWrite = 2802, "PW-PERM-002", "PermissionDenied", 500, false,
        "the plugin may not write a file", "outside its scratch folder (TMPDIR) it writes only what permissions.write names",
        "add the path to permissions.write in the manifest, or write to TMPDIR";
    DeniedNetwork = 2803, "PW-PERM-003", "PermissionDenied", 500, false,
        "the plugin may not use the network", "its manifest does not set permissions.network",
        "set permissions.network to true in the manifest";
    DeniedSubprocess = 2804, "PW-PERM-004", "PermissionDenied", 500, false,
        "the plugin may not start programs or signal other processes", "its manifest does not set permissions.subprocess",
        "set permissions.subprocess to true in the manifest";
    DeniedEnvironment = 2805, "PW-PERM-005", "PermissionDenied", 500, false,
        "the plugin does not see an environment variable", "the host has it, and the manifest's env does not name it",
        "add the name to env in the manifest";
    DeniedDevice = 2806, "PW-PERM-006", "PermissionDenied", 500, false,
        "the plugin may not use a device", "its manifest's permissions.devices does not name it",
        "add the device to permissions.devices in the manifest";
    DeniedSomething = 2807, "PW-PERM-007", "PermissionDenied", 500, false,
        "the plugin was refused something", "its words do not tell what it tried; the sandbox may have refused it",
        "look at the traceback, and add what it needs to the permissions in the manifest";
    DeniedAlways = 2808, "PW-PERM-008", "PermissionDenied", 500, false,
        "the plugin was refused what no plugin may do", "a worker may not reach into other processes, raise its limits or use the kernel's corners",
        "nothing in the manifest allows it: the plugin must do without";

    // Supervision.
    SupervisorQuarantined = 2501, "PW-SUP-001", "PluginQuarantined", 503, false,
        "the plugin is quarantined", "it failed more often than its restart budget allows",
        "mend the cause, then clear the quarantine and start it again: Runtime.release(name), then Runtime.restart(name)";
    SupervisorRestarting = 2502, "PW-SUP-002", "PluginNotReady", 503, true,
        "the plugin failed and is being restarted", "its last generation ended with the fault that the message names, and the supervisor begins the next one by itself",
        "try again after details.retry_after_ms; nothing need be done";

    // The VideoTracker plugin.
    VideoLibtorchMissing = 2701, "PW-VIDEO-001", "PluginUnavailable", 503, false,
        "libtorch was not found", "no torch package lies where config.libtorch, PLUGWARD_LIBTORCH or the plugin's Python environment point",
        "install the torch package that the message names, or set PLUGWARD_LIBTORCH to its folder";
    VideoLibtorchVersion = 2702, "PW-VIDEO-002", "PluginUnavailable", 503, false,
        "libtorch has another version than the plugin was built for", "libtorch keeps no binary interface from one version to the next, so it was not opened",
        "install the torch version that the message names, or build the plugin against the installed one";
    VideoLibtorchOpen = 2703, "PW-VIDEO-003", "PluginUnavailable", 503, false,
        "libtorch cannot be opened", "one of its libraries, or one that they need, is missing or damaged",
        "reinstall the torch package together with the packages that it depends on";
    VideoDevice = 2704, "PW-VIDEO-004", "PluginUnavailable", 503, false,
        "libtorch cannot use the device that the plugin is set to", "config.device asks for CUDA, and libtorch does not see it",
        "look at the GPU findings of `plugward check`, or set config.device to cpu";
    VideoModelPin = 2705, "PW-VIDEO-005", "PluginUnavailable", 503, false,
        "a model is not pinned", "a TorchScript file is a program, and libtorch does not notice a damaged one; only its sha256 vouches for it",
        "set models.NAME.sha256 in the manifest to the sum of the file that you trust (sha256sum FILE)";
    VideoModelLoad = 2706, "PW-VIDEO-006", "PluginUnavailable", 503, false,
        "libtorch refused a model", "the file is no TorchScript program of this libtorch, or needs an operator that is not there",
        "export the model again with torch.jit.save under a torch of the version that the message names";
    VideoModelHead = 2707, "PW-VIDEO-007", "PluginUnavailable", 503, false,
        "a model's answer does not fit its declared family", "plugward.json in the archive names another head, class count or input size than the model has",
        "correct the metadata, or name the model that belongs to the tool";
    VideoToolModel = 2708, "PW-VIDEO-008", "PluginUnavailable", 503, false,
        "the tool needs a model that the manifest does not name", "models in the manifest has no entry for this tool",
        "add the model that the message names, with its sha256, to models in the manifest";
    VideoProgram = 2709, "PW-VIDEO-009", "PluginUnavailable", 503, false,
        "no ffmpeg program was found", "none lies where config.ffmpeg, PLUGWARD_FFMPEG, PATH or the imageio_ffmpeg package point, or it may not be started",
        "install ffmpeg, or set PLUGWARD_FFMPEG to it; the manifest must grant permissions.subprocess";
    VideoImage = 2710, "PW-VIDEO-010", "InvalidInput", 422, false,
        "the image cannot be decoded", "it is damaged, cut off, or of a format that is not supported",
        "send a whole PNG, JPEG, WebP, BMP or GIF, or raw RGB as an array";
    VideoFile = 2711, "PW-VIDEO-011", "InvalidInput", 422, false,
        "the video cannot be read", "it is missing, damaged, cut off before its first frame, or no video",
        "check that the file plays; the message holds what ffmpeg said";
    VideoSize = 2712, "PW-VIDEO-012", "InvalidInput", 413, false,
        "a frame is larger than the plugin takes", "its width, height or pixel count passes the bound",
        "scale the frame down, or raise config.max_pixels in the manifest";
    VideoMemory = 2713, "PW-VIDEO-013", "ResourceExhausted", 507, true,
        "the GPU has no memory left for this frame", "the model and other processes hold the rest; what the call had taken was freed",
        "try again, lower config.batch, or use a card with more memory";
    VideoModelRun = 2714, "PW-VIDEO-014", "PluginError", 500, false,
        "the model failed on this input", "libtorch raised an error while the model ran",
        "look at the message; run the model on the same frame in Python to see more";
    VideoOutput = 2715, "PW-VIDEO-015", "PluginError", 500, false,
        "the annotated picture or video cannot be written", "ffmpeg or the disk refused it, or the folder is not granted",
        "add the folder to permissions.write in the manifest, or let the plugin choose its scratch folder";
    VideoLength = 2716, "PW-VIDEO-016", "InvalidInput", 413, false,
        "the video has more to tell than one answer may hold", "the JSON of its frames passes limits.result_mb, or an answer's share of limits.memory_mb",
        "pass frames_path, the name of a file that gets the frames as JSON lines; or cut the video into parts; or raise the limit in the manifest";
}
