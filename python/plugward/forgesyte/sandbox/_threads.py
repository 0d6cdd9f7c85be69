"""Daemon threads that run one job after another, and that can be abandoned in the middle of one."""

from __future__ import annotations

import contextvars
import ctypes
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

IDLE_SECONDS = 30.0
MAX_IDLE = 8

T = TypeVar("T")


class Stopped(BaseException):
    """Raised inside a tool whose caller no longer waits for it; no `except Exception` catches it."""


def interrupt(thread_id: int, kind: type[BaseException] | None) -> None:
    """Raise `kind` in a thread at its next bytecode; None takes back what was not raised yet."""
    exception = ctypes.py_object(kind) if kind else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), exception)


class Job(Generic[T]):
    """One call on a thread of ours. Either its result is taken or it is abandoned, never both."""

    def __init__(self, work: Callable[[], T]) -> None:
        """`work` must not raise."""
        self._work = work
        self._context = contextvars.copy_context()
        self._over = threading.Lock()
        self._over.acquire()
        self._change = threading.Lock()
        self._finished = False
        self._abandoned = threading.Event()
        self._thread_id = 0
        self._result: T | None = None

    def wait(self, seconds: float) -> bool:
        """Whether the work was done within `seconds`."""
        return self._over.acquire(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))

    def result(self) -> T | None:
        """What `work` gave, once `wait` has said True."""
        return self._result

    def abandon(self) -> bool:
        """Wait no more: the thread is interrupted and never used again. False where the work was just done."""
        with self._change:
            if self._finished:
                return False
            self._abandoned.set()
            if self._thread_id:
                interrupt(self._thread_id, Stopped)
            return True

    def run(self, leave: Callable[[], bool]) -> bool:
        """Do the work on this thread; `leave` makes the thread free again and says whether it goes on."""
        with self._change:
            if self._abandoned.is_set():
                return False
            self._thread_id = threading.get_ident()
        self._result = self._context.run(self._work)
        with self._change:
            if self._abandoned.is_set():
                return False
            self._finished = True
        goes_on = leave()
        self._over.release()
        return goes_on


class _Thread(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="plugward-forgesyte", daemon=True)
        self.jobs: queue.SimpleQueue[Job[Any]] = queue.SimpleQueue()

    def run(self) -> None:
        try:
            while self._next():
                pass
            for _ in range(1000):  # an interruption that is still on its way arrives here
                pass
        except Stopped:
            return

    def _next(self) -> bool:
        try:
            job = self.jobs.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            if _take(self):
                return False
            job = self.jobs.get()  # somebody took this thread at the same moment
        return job.run(self._leave)

    def _leave(self) -> bool:
        with _idle_lock:
            if len(_idle) >= MAX_IDLE:
                return False
            _idle.append(self)
            return True


_idle: list[_Thread] = []
_idle_lock = threading.Lock()


def _take(thread: _Thread) -> bool:
    with _idle_lock:
        if thread not in _idle:
            return False
        _idle.remove(thread)
        return True


def start(work: Callable[[], T]) -> Job[T]:
    """Run `work`, which must not raise, on an idle thread or a new one, in a copy of the caller's context."""
    job = Job(work)
    with _idle_lock:
        thread = _idle.pop() if _idle else None
    if thread is None:
        thread = _Thread()
        thread.start()
    thread.jobs.put(job)
    return job


def _after_fork() -> None:
    global _idle_lock
    _idle_lock = threading.Lock()
    _idle.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
