"""A Python plugin that dies in each way that there is."""

import ctypes
import os
import signal
import time
from typing import Any

import numpy as np


def total(frame: Any) -> int:
    return int(np.asarray(frame).sum())


def segfault(frame: Any) -> None:
    ctypes.string_at(0x10)


def abort(frame: Any) -> None:
    os.abort()


def exits(frame: Any) -> None:
    os._exit(7)


def kill(frame: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(frame: Any) -> None:
    time.sleep(3600)


class Plugin:
    def __init__(self) -> None:
        # The names of `worker/tests/common/bad.c`.
        self.tools = {"sum": total, "segfault": segfault, "abort": abort, "exit": exits, "kill": kill, "hang": hang}
