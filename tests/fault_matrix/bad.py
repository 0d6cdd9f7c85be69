"""Does, when asked, each thing that a plugin should not do."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

C = ctypes.CDLL(None, use_errno=True)
kept: list[Any] = []


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("this message cannot be shown")


def echo(**args: Any) -> Any:
    return args


def raises() -> None:
    raise ValueError("an ordinary bug")


def raises_base(kind: str) -> None:
    kinds = {
        "KeyboardInterrupt": KeyboardInterrupt,
        "GeneratorExit": GeneratorExit,
        "Cancelled": asyncio.CancelledError,
    }
    raise kinds[kind]("not an Exception")


def leaves() -> None:
    sys.exit(3)


def unprintable() -> None:
    raise UnprintableError


def long_message() -> None:
    raise ValueError("x" * (100 << 20))


def recurses() -> None:
    recurses()


def spins() -> None:
    while True:
        pass


def swallows() -> None:
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.01)


def hangs() -> None:
    C.sleep(3600)


def hangs_with_the_lock() -> None:
    ctypes.PyDLL(None).sleep(3600)


def exits() -> None:
    os._exit(7)


def abort() -> None:
    C.abort()


def segfault() -> None:
    ctypes.string_at(0x10)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def memory(most: int = 1 << 20) -> str:
    for _ in range(most):
        kept.append(b"x" * (1 << 20))
    return "it had all of it"


def forks(most: int = 1000) -> str:
    for _ in range(most):
        if os.fork() == 0:
            while True:
                C.pause()
    return "it had all of them"


def threads() -> str:
    for _ in range(3000):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    return "it started all of them"


def leaves_the_group() -> None:
    if os.fork() == 0:
        os.setsid()
        while True:
            C.pause()
    time.sleep(0.2)
    C.abort()


def memory_files() -> str:
    file = os.memfd_create("matrix")
    for _ in range(4096):
        os.write(file, b"x" * (1 << 20))
    return "it had all of it"


def files() -> None:
    while True:
        kept.append(os.open("/dev/null", os.O_RDONLY))


def flood(lines: int) -> str:
    for n in range(lines):
        os.write(1 + n % 2, b"line of a flood of lines\n")
    return "it wrote all of them"


def huge() -> bytes:
    return bytes(2 << 30)


def no_data() -> object:
    return object()


def leaves_a_thread() -> str:
    threading.Thread(target=time.sleep, args=(3600,), name="left behind", daemon=True).start()
    return "it left"


def ends_its_thread() -> None:
    C.syscall(60, 0)  # exit, not exit_group: of this thread alone


def write(path: str) -> None:
    Path(path).write_text("x")


def read(path: str) -> str:
    return Path(path).read_text()


def touch(path: str) -> str:
    Path(path).chmod(0o640)
    os.utime(path, (1, 1))
    seen = Path(path).stat()
    assert (seen.st_mode & 0o777, seen.st_mtime) == (0o640, 1)
    return "it changed them"


def fills(files: int) -> str:
    for n in range(files):
        (Path(os.environ["TMPDIR"]) / f"matrix_file_{n}").write_bytes(bytes(1 << 20))
    return "it wrote all of them"


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def spawn() -> int:
    return subprocess.run(["/bin/true"], check=False).returncode


def secret() -> str:
    return os.environ["MATRIX_SECRET"]


def big_file(mb: int) -> None:
    with (Path(os.environ["TMPDIR"]) / "matrix_big_file").open("wb") as file:
        for _ in range(mb):
            file.write(bytes(1 << 20))


def scribbles() -> str:
    """Overwrites all that it shares with its host and may write."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, rights, *_ = line.split()
        if "memfd:plugward" in line and "w" in rights:
            start, end = (int(at, 16) for at in span.split("-"))
            ctypes.memset(start, 0xFF, min(end - start, 16 << 20))
    return "it overwrote it"


def takes_a_signal() -> str:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return "it took it"


def takes_a_signal_natively() -> str:
    C.signal(signal.SIGTERM, 1)
    return "it took it"


def closes_everything() -> str:
    os.closerange(0, 4096)
    return "it closed them"


def sets_a_variable() -> str:
    os.environ["MATRIX_CHANGED"] = "1"
    return "it set it"


def kills_its_host() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def moves() -> str:
    os.chdir("/")
    return "it moved"


class Plugin:
    """Every function above is a tool."""

    def __init__(self) -> None:
        own = {name: it for name, it in globals().items() if getattr(it, "__module__", None) == __name__}
        self.tools = {name: it for name, it in own.items() if not isinstance(it, type)}
        # As the native plugin calls them.
        self.tools |= {"raise": raises, "hang": hangs, "exit": exits, "spin": spins}
