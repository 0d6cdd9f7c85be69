"""What needs a process of its own: forks, the end of the interpreter, signals, the cost of the import."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest

import plugward
from plugward import Runtime


def python(source: str, timeout: float = 100, **options: Any) -> subprocess.CompletedProcess[str]:
    code = textwrap.dedent(source)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=timeout, **options
    )


def in_child(body: Any) -> int:
    """Run `body` in a forked child; its answer is the exit status. A child that hangs is killed."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            signal.alarm(60)
            status = body()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("isolation", ["inline", "thread"])
def test_a_forked_child_gets_an_answer_and_never_a_deadlock(runtime: Runtime, isolation: Any) -> None:
    runtime.add_host("p", {"t": lambda: 1}, isolation=isolation, deadline_ms=20_000)
    assert runtime.call("p", "t").ok

    def child() -> int:
        if runtime.call("p", "t").code != "PW-RT-002":
            return 1
        if runtime.health() != [] or runtime.summary()["ready"] or runtime.plugin_health("p") is not None:
            return 2
        try:
            runtime.restart("p")
        except plugward.PlugwardError as error:
            if error.code != "PW-RT-002":
                return 3
        runtime.close()
        fresh = Runtime(logging=False)
        fresh.add_host("p", {"t": lambda: 2}, isolation=isolation, deadline_ms=20_000)
        return 0 if fresh.call("p", "t").result == 2 else 4

    assert in_child(child) == 0
    assert runtime.call("p", "t").ok


def test_an_awaited_call_in_a_forked_child(runtime: Runtime) -> None:
    import asyncio

    runtime.add_host("p", {"t": lambda: 1})
    assert in_child(lambda: 0 if asyncio.run(runtime.acall("p", "t")).code == "PW-RT-002" else 1) == 0


def test_the_default_runtime_of_a_forked_child_is_fresh() -> None:
    parent = plugward.default_runtime()

    def child() -> int:
        own = plugward.default_runtime()
        own.add_host("child", {"t": lambda: 1})
        return 0 if own is not parent and own.call("child", "t").ok else 1

    assert in_child(child) == 0


def test_a_fork_while_other_threads_call(runtime: Runtime) -> None:
    import threading

    runtime.add_host("p", {"t": lambda: 1}, isolation="thread", deadline_ms=20_000)
    ended = threading.Event()

    def caller() -> None:
        while not ended.is_set():
            runtime.call("p", "t")
            runtime.health()

    threads = [threading.Thread(target=caller) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            assert (
                in_child(lambda: 0 if runtime.call("p", "t").code == "PW-RT-002" and not runtime.health() else 1) == 0
            )
    finally:
        ended.set()
        for thread in threads:
            thread.join()


HANGING = """
    import plugward, threading, time, sys
    runtime = plugward.Runtime({options})
    def spin():
        while True:
            try:
                while True: pass
            except BaseException: continue
    runtime.add_host("p", {{"t": {tool}}}, isolation="thread", deadline_ms=1000)
    assert runtime.call("p", "t").code == "PW-CALL-005"
    {end}
"""


@pytest.mark.parametrize("tool", ["spin", "lambda: time.sleep(3600)", "threading.Event().wait"])
@pytest.mark.parametrize("end", ["", "sys.exit(0)", "runtime.close()", "del runtime"])
def test_the_interpreter_ends_although_a_call_hangs(tool: str, end: str) -> None:
    ended = python(HANGING.format(tool=tool, end=end, options=""))
    assert ended.returncode == 0, ended.stderr
    assert "Fatal" not in ended.stderr
    assert "FATAL" not in ended.stderr


def test_the_interpreter_ends_while_a_daemon_thread_calls_inline() -> None:
    ended = python(
        """
        import plugward, threading, time
        runtime = plugward.Runtime(logging=False)
        def spin():
            while True: pass
        runtime.add_host("p", {"t": spin}, isolation="inline")
        threading.Thread(target=runtime.call, args=("p", "t"), daemon=True).start()
        time.sleep(0.2)
        """
    )
    assert ended.returncode == 0, ended.stderr


def test_the_interpreter_ends_while_the_log_is_being_written() -> None:
    ended = python(
        """
        import logging, plugward, time
        class Slow(logging.Handler):
            def handle(self, record):  # not emit: logging itself waits at exit for a handler's lock
                while True: pass
        logging.getLogger("plugward").addHandler(Slow())
        runtime = plugward.Runtime()
        runtime.add_host("p", {"t": lambda: 1 / 0})
        runtime.call("p", "t")
        time.sleep(0.1)
        """
    )
    assert ended.returncode == 0, ended.stderr


def test_ctrl_c_reaches_a_host_that_waits() -> None:
    code = """
        import plugward, signal, threading, time
        # A shell lets what it runs in the background ignore SIGINT, and children inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        runtime = plugward.Runtime(logging=False)
        def hang():
            print("ready", flush=True)
            time.sleep(3600)
        runtime.add_host("p", {"t": hang}, isolation="thread")
        try:
            runtime.call("p", "t")
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
    assert child.wait(60) == 0


def test_the_import_is_cheap() -> None:
    ended = python(
        """
        import sys
        import plugward
        heavy = {"pydantic", "fastapi", "asyncio", "typer", "rich", "packaging", "importlib.metadata", "numpy"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    assert ended.stdout.strip() == "[]", ended.stdout + ended.stderr


def test_every_public_name_is_there() -> None:
    for name in plugward.__all__:
        assert getattr(plugward, name) is not None
    assert set(plugward.__all__) <= set(dir(plugward))
    with pytest.raises(AttributeError):
        _ = plugward.nothing
