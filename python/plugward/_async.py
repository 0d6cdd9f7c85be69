"""Coroutines under a deadline: awaited on a running loop, or run to their end on a loop of their own."""

from __future__ import annotations

import asyncio
import functools
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from plugward import _native
from plugward.errors import DeadlineExceeded, InvalidInput

GRACE = 0.005
"""Seconds that a cancelled coroutine has to end before its caller goes on without it."""
FIRST_NAP, LONGEST_NAP = 0.001, 0.05


async def acall(
    runtime: _native.Runtime,
    waiting: Counter[str],
    plugin: str,
    tool: str,
    args: Mapping[str, Any] | None,
    deadline_ms: float | None,
    progress: Callable[..., Any] | None,
) -> _native.Outcome:
    """Call a tool; cancelling the awaiting task cancels the call, also one that runs.

    No thread is held while it waits, unless the plugin is native code in this process: then one of the loop's executor
    waits for it, and a call whose task was cancelled goes on until its own deadline.
    """
    begun = runtime._begin(plugin, tool, args, deadline_ms, progress)
    if isinstance(begun, int):
        begun = await _turn(runtime, waiting, begun, (plugin, tool, args, deadline_ms, progress))
    if isinstance(begun, tuple):
        (threadless,) = begun
        outcome = await _sent(runtime, plugin, tool, args, deadline_ms, progress) if threadless else None
        if outcome is not None:
            return outcome
        call = functools.partial(runtime.call, plugin, tool, args, deadline_ms=deadline_ms, progress=progress)
        return await asyncio.to_thread(call)
    if isinstance(begun, _native.Outcome):
        return begun
    try:
        if begun.is_async:
            return await _coroutine(begun)
        return await _function(begun, progress or (args or {}).get("progress_callback"))
    except BaseException:
        begun.cancel()
        raise


_mailboxes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _native.Mailbox] = weakref.WeakKeyDictionary()


def _mailbox(loop: asyncio.AbstractEventLoop) -> _native.Mailbox | None:
    """The loop's own; `None` where it watches no file descriptors."""
    known = _mailboxes.get(loop)
    if known is None:
        known = _native.Mailbox()
        try:
            loop.add_reader(known.fileno(), known.deliver)
        except NotImplementedError:
            return None
        _mailboxes[loop] = known
    return known


async def _sent(
    runtime: _native.Runtime,
    plugin: str,
    tool: str,
    args: Mapping[str, Any] | None,
    deadline_ms: float | None,
    progress: Callable[..., Any] | None,
) -> _native.Outcome | None:
    """A call of a worker process; `None` where only a thread can wait for it."""
    loop = asyncio.get_running_loop()
    mailbox = _mailbox(loop)
    if mailbox is None:
        return None
    future: asyncio.Future[_native.Outcome] = loop.create_future()
    call = mailbox.send(runtime, future, plugin, tool, args, deadline_ms, progress)
    if not isinstance(call, _native.AwaitedCall):
        return call
    try:
        return await future
    except BaseException:
        call.cancel()
        raise


async def _turn(
    runtime: _native.Runtime, waiting: Counter[str], queue: int, ask: tuple[Any, ...]
) -> _native.Outcome | _native.PendingCall | tuple[bool]:
    """Wait for a turn at a plugin that is full, as one of at most `queue`."""
    plugin, tool, _, deadline_ms, _ = ask
    if waiting[plugin] >= queue:
        return runtime._no_turn(plugin, tool, deadline_ms, False)
    loop = asyncio.get_running_loop()
    until = None if deadline_ms is None else loop.time() + deadline_ms / 1e3
    nap = FIRST_NAP
    waiting[plugin] += 1
    try:
        while True:
            await asyncio.sleep(nap)
            nap = min(nap * 2, LONGEST_NAP)
            begun = runtime._begin(*ask)
            if not isinstance(begun, int):
                return begun
            if until is not None and loop.time() >= until:
                return runtime._no_turn(plugin, tool, deadline_ms, True)
    finally:
        waiting[plugin] -= 1


async def _coroutine(call: _native.PendingCall) -> _native.Outcome:
    task = asyncio.ensure_future(_drive(call))
    try:
        await asyncio.wait({task}, timeout=call.seconds_left())
        if task.done():
            return _known(call.finish(*task.result()))
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE)
        return _known(call.expire(task.done()))
    except BaseException:
        task.cancel()
        raise


async def _drive(call: _native.PendingCall) -> tuple[bool, Any]:
    """The coroutine's end as a value: a task that ends with SystemExit would end its loop."""
    try:
        return True, await call.steps()
    except BaseException as error:  # noqa: BLE001 (a plugin may raise whatever it likes)
        return False, error


async def _function(call: _native.PendingCall, progress: Callable[..., Any] | None) -> _native.Outcome:
    """A plain function on a pool thread; its reports are handled here, on the loop's thread."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_native.Outcome] = loop.create_future()

    def look() -> None:
        outcome = None if done.done() else call.poll(progress)
        if outcome is not None and not done.done():
            done.set_result(outcome)

    call.start(lambda: loop.call_soon_threadsafe(look))
    await asyncio.wait({done}, timeout=call.seconds_left())
    if not done.done():
        return _known(call.expire(False))
    return done.result()


def _known(outcome: _native.Outcome | None) -> _native.Outcome:
    if outcome is None:
        raise RuntimeError("the call was ended twice")
    return outcome


# --- from plain code -------------------------------------------------------------------------------------------------


class Stopper:
    """Cancels a coroutine from another thread."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        """Take the task, on its loop's thread."""
        self._loop, self._task = asyncio.get_running_loop(), task
        self._asked = self._heard = False

    def __call__(self) -> bool:
        """Ask the loop to cancel it; false, from the second time on, where the coroutine blocks the loop."""
        if self._asked:
            return self._heard
        self._asked = True
        self._loop.call_soon_threadsafe(self._stop)
        return True

    def _stop(self) -> None:
        self._heard = True
        self._task.cancel()


def run_blocking(handler: Callable[..., Any], kwargs: Mapping[str, Any]) -> Any:
    """Run a coroutine function to its end on this thread, whether or not a loop runs here."""
    own = OwnLoop()
    try:
        return own.run(handler, kwargs, None)
    finally:
        own.close()


class OwnLoop:
    """An event loop for one call on this thread; a loop that runs here is set aside meanwhile.

    The exception that stops a call may strike at any line of `run`. It must not strike while a loop is made or closed,
    which would leave sockets that nobody closes and a thread whose own loop is lost: whoever stops calls begins after
    `OwnLoop()` and has ended before `close()`.

    A helper thread was rejected: callbacks and thread-bound objects of the caller must stay on its thread.
    """

    def __init__(self) -> None:
        """Make the loop and set the running one aside."""
        self._loop = asyncio.new_event_loop()
        self._hooks = sys.get_asyncgen_hooks()
        self._aside = _set_aside()

    def run(
        self,
        handler: Callable[..., Any],
        kwargs: Mapping[str, Any],
        seconds: float | None,
        hold: Callable[[Stopper], None] | None = None,
    ) -> Any:
        """Run a coroutine function to its end; `hold` is given what cancels it from another thread."""
        try:
            return self._loop.run_until_complete(_limited(handler, kwargs, seconds, hold))
        finally:
            # Tasks that it left behind: they may run for as long as the call may, and are not waited for.
            left = [task for task in asyncio.all_tasks(self._loop) if not task.done()]
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        """Close the loop, whatever stopped it, and put the one that was set aside back. Runs no code of the plugin."""
        _put_back(*self._aside)
        sys.set_asyncgen_hooks(*self._hooks)
        self._loop._thread_id = None  # type: ignore[attr-defined]  # what stopped it may have struck before it could say so
        for task in asyncio.all_tasks(self._loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # nobody can wait for it
        self._loop.close()


@contextmanager
def no_running_loop() -> Iterator[None]:
    """Set the loop and the task that run on this thread aside."""
    aside = _set_aside()
    try:
        yield
    finally:
        _put_back(*aside)


_swap_task = getattr(asyncio.tasks, "_swap_current_task", None)  # Python 3.12 and later


def _set_aside() -> tuple[asyncio.AbstractEventLoop | None, asyncio.Task[Any] | None]:
    running = asyncio._get_running_loop()
    task = _swap_task(running, None) if running is not None and _swap_task else None
    asyncio._set_running_loop(None)
    return running, task


def _put_back(running: asyncio.AbstractEventLoop | None, task: asyncio.Task[Any] | None) -> None:
    asyncio._set_running_loop(running)
    if running is not None and _swap_task:
        _swap_task(running, task)


async def _limited(
    handler: Callable[..., Any],
    kwargs: Mapping[str, Any],
    seconds: float | None,
    hold: Callable[[Stopper], None] | None,
) -> Any:
    task = asyncio.ensure_future(_caught(handler, kwargs))
    if hold is not None:
        hold(Stopper(task))
    await asyncio.wait({task}, timeout=seconds)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE)
        raise DeadlineExceeded("the coroutine did not end before its deadline")
    ok, value = task.result()
    if not ok:
        raise value
    return value


async def _caught(handler: Callable[..., Any], kwargs: Mapping[str, Any]) -> tuple[bool, Any]:
    try:
        coroutine = handler(**kwargs)
    except TypeError as error:
        own = error.__traceback__ is None or error.__traceback__.tb_next is None
        # No line of the handler was reached: the arguments do not fit its signature.
        return False, InvalidInput(str(error)) if own else error
    except BaseException as error:  # noqa: BLE001 (as in `_drive`)
        return False, error
    try:
        return True, await coroutine
    except BaseException as error:  # noqa: BLE001 (as in `_drive`)
        return False, error
