"""What a plugin tried when the system refused it: the function that was called, and the paths that it is about.

An `OSError` tells its number and perhaps a path, and not whether a file was to be written or removed, which the
sandbox holds by different lines of the manifest. Read from the traceback, once something was refused. Rejected: an
audit hook, which every `open` and `import` of a well-behaved plugin would pay for.
"""

from __future__ import annotations

import dis
from types import CodeType, TracebackType
from typing import Any

KNOWN = {
    *("unlink", "remove", "rmdir", "rename", "replace", "link", "symlink", "mkdir", "mkfifo", "mknod"),
    *("open", "truncate", "listdir", "scandir"),
    *("kill", "killpg", "pidfd_send_signal"),
    *("setrlimit", "prlimit", "setpriority", "setxattr", "removexattr", "chroot", "unshare", "setns"),
    *("fork", "forkpty", "posix_spawn", "posix_spawnp", "execv", "execve"),
}
"""Functions of the system; `python/src/denial.rs` says what each is about."""
MODULES = {"os", "_os", "posix", "_accessor", "io", "resource", "signal"}
"""Where they are looked up; elsewhere `replace` is a method of `str`."""


def of(traceback: TracebackType | None) -> tuple[str, list[str]]:
    """The last function of the system that was called on the way, or ""; paths that say more than the exception's."""
    called: str = ""
    paths: list[str] = []
    while traceback is not None:
        frame = traceback.tb_frame
        code = frame.f_code
        if code.co_filename.endswith("shutil.py"):
            paths = _of_shutil(code.co_name, frame.f_locals) or paths
        if traceback.tb_next is None:
            called = _called(code, traceback.tb_lasti, traceback.tb_lineno)
        traceback = traceback.tb_next
    return called, paths


def _of_shutil(function: str, names: dict[str, Any]) -> list[str]:
    """What the whole is about: it fails at the first part, which may be named relative to a descriptor."""
    wanted = {"rmtree": ["path"], "move": ["src", "real_dst"]}.get(function, [])
    found = [names.get(name) for name in wanted]
    return [str(path) for path in found if path is not None]


def _called(code: CodeType, at: int, line: int) -> str:
    """Of `os.unlink(path)` at the instruction `at`: `unlink`."""
    of_line = [(start, end) for start, end, number in code.co_lines() if number == line]
    before, found = "", ""
    for step in dis.get_instructions(code):
        name, what = step.argval, step.opname
        if step.offset > at:
            break
        if not isinstance(name, str) or not what.startswith("LOAD_") or what.startswith("LOAD_CONST"):
            continue
        free = not what.startswith(("LOAD_ATTR", "LOAD_METHOD"))
        here = any(start <= step.offset < end for start, end in of_line)
        if here and name in KNOWN and (free or before in MODULES):
            found = name
        before = name
    return found
