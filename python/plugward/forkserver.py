"""A process that has imported what is heavy, and forks Python workers on request.

It runs on one thread, imports nothing of a plugin and touches no GPU. A worker that it forks is the host's own child,
as if the host had started it (the native part says how).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import warnings
from collections.abc import Sequence

from plugward import _native

NOTES = "PLUGWARD_FORK_NOTES"
"""What was left out before, over an `exec` of this program."""

OURS = ("plugward._loading", "plugward._crossing", "plugward._describe", "plugward._importing", "plugward.errors")
"""What every worker imports."""
COMMON = ("asyncio", "ctypes", "dataclasses", "datetime", "logging", "mmap", "signal", "tempfile", "typing", "uuid")
"""What many plugins import, and takes milliseconds: none of it begins a thread."""


def main(modules: Sequence[str]) -> None:
    """Import, then fork on request. Returns in each worker; the server itself ends when its host does."""
    notes = [note for note in os.environ.pop(NOTES, "").split("\n") if note]
    for name in (*OURS, *COMMON):
        importlib.import_module(name)
    for at, name in enumerate(modules):
        problem = _import(name)
        _settle()
        taint = _native.fork_taint()
        if taint is not None:
            notes.append(f"{name} is not imported before: with it {taint}")
            _begin_anew([*modules[:at], *modules[at + 1 :]], notes)
        if problem is not None:
            notes.append(f"{name} is not imported before: {problem}")
    gc.collect()
    # What is here now is never garbage: the collector must not touch, and so copy, its pages in every worker.
    gc.freeze()
    born = _native.serve_forks(_native.fork_taint(), notes)
    if born is None:
        os._exit(0)
    _begin_life(*born)


def _import(name: str) -> str | None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # That it is not installed is for the dependency check to say.
        return None if error.name == name else str(error)
    except BaseException as error:  # noqa: BLE001 (whatever it raises, the others are imported)
        return f"{type(error).__name__}: {error}"
    return None


def _settle() -> None:
    """Let thread pools end: libraries that have one (OpenBLAS) shut it down before a fork and begin it again later."""
    if _native.fork_taint() is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of a fork with threads; this one does nothing
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _begin_anew(modules: Sequence[str], notes: Sequence[str]) -> None:
    """Begin again without what must not be here: an import cannot be taken back."""
    environment = {**os.environ, NOTES: "\n".join(notes)}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:-1], ",".join(modules)], environment)  # noqa: S606


def _begin_life(scratch: str, cwd: str | None) -> None:
    """Be a process of its own: its own folders, its own chance."""
    os.environ["TMPDIR"] = scratch
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None  # type: ignore[attr-defined]
    if cwd is not None:
        with contextlib.suppress(OSError):
            os.chdir(cwd)
    # `random` has seeded itself after the fork; these do not.
    for module in ("numpy.random", "torch"):
        seed = getattr(sys.modules.get(module), "seed", None)
        if seed is not None:
            seed()
