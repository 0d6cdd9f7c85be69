"""Python plugins in worker processes: whatever they do, this process gets an answer."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugward
from python.tests.patience import PATIENCE, is_running, until

PARENT = """
import subprocess

class Plugin:
    name = "parent"
    def __init__(self): self.tools = {"go": self.go}
    def go(self): return [subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL).pid for _ in range(3)]
"""

DYING_HOST = """
import json, os, signal, sys
import plugward

runtime = plugward.Runtime(logging=False)
(report,) = runtime.load(sys.argv[1])
assert report.ok, report.error
print(json.dumps(runtime.call("parent", "go").result), flush=True)
runtime.unload("parent")
os.kill(os.getpid(), signal.SIGKILL)
"""

PLUGIN = """
import ctypes, os, subprocess, sys, time
import numpy as np

class Plugin:
    name = "bad"
    kept = 0

    def __init__(self):
        self.tools = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")
                      and callable(getattr(self, name)) and name != "validate"}

    def echo(self, **args): return args
    def pid(self): return os.getpid()
    def raises(self): raise KeyError("no such thing")
    def leaves(self): sys.exit(3)
    def exits(self): os._exit(9)
    def crashes(self): ctypes.string_at(0)
    def hangs(self): time.sleep(3600)
    def spins(self):
        while True: pass
    def eats(self):
        kept = []
        while True: kept.append(bytearray(1 << 20))
    def forks(self, n):
        for _ in range(n):
            if os.fork() == 0: time.sleep(600)
        time.sleep(600)
    def session(self): return subprocess.Popen(["sleep", "600"], start_new_session=True).pid
    def double(self, frame): return {"frame": frame * 2, "sum": int(frame.sum())}
    def writes(self, frame): frame[0] = 1
    def owns(self, frame): return bool(frame.flags.owndata), bool(frame.flags.writeable)
    def lengths(self, data): return [type(d).__name__ + str(len(d)) for d in data]
    def prints(self): print("hello from the plugin", flush=True)
    def opens(self, path): open(path, "w").close()
    def unfit(self): return object()
    async def waits(self):
        import asyncio
        await asyncio.sleep(0.01)
        return "awaited"
"""


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[..., plugward.Runtime]]:
    made = []

    def load(**more: Any) -> plugward.Runtime:
        folder = tmp_path / f"bad{len(made)}"
        folder.mkdir()
        (folder / "bad.py").write_text(PLUGIN)
        manifest = {"name": "bad", "kind": "python", "entrypoint": "bad.py:Plugin", "isolation": "process"}
        manifest |= {"restart": {"policy": "never"}, "limits": {"concurrency": 2}} | more
        (folder / "manifest.json").write_text(json.dumps(manifest))
        rt = plugward.Runtime(logging=False)
        made.append(rt)
        (report,) = rt.load(str(folder))
        assert report.ok, report.error
        return rt

    yield load
    for rt in made:
        rt.close()


def test_a_call_runs_in_another_process_and_data_crosses(load: Callable[..., plugward.Runtime]) -> None:
    rt = load()
    health = rt.plugin_health("bad")
    assert health is not None
    assert rt.call("bad", "pid").result == health["pid"] != os.getpid()
    args = {"n": [1, 2.5, None, True], "text": "ü", "deep": {"a": {"b": []}}}
    assert rt.call("bad", "echo", args).result == args
    assert rt.call("bad", "waits").result == "awaited"


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", "?", ">f8", "c8"])
def test_arrays_cross_with_shape_and_type(load: Callable[..., plugward.Runtime], dtype: str) -> None:
    rt = load()
    for array in (
        np.ones((3, 4, 5), dtype),
        np.ones((6, 8), dtype)[::2, ::-3],
        np.ones((), dtype),
        np.ones((0, 3), dtype),
    ):
        back = rt.call("bad", "echo", {"a": array}).unwrap()["a"]
        assert back.shape == array.shape
        assert back.dtype == array.dtype.newbyteorder("=")
        assert (back == array).all()


def test_a_frame_is_seen_in_place_and_read_only(load: Callable[..., plugward.Runtime]) -> None:
    rt = load(fails_on="crash")
    frame = np.arange(1080 * 1920 * 3, dtype="u1").reshape(1080, 1920, 3)
    result = rt.call("bad", "double", {"frame": frame}).unwrap()
    assert (result["frame"] == frame * 2).all()
    assert result["sum"] == int(frame.sum())
    assert rt.call("bad", "owns", {"frame": frame}).result == [False, False]
    outcome = rt.call("bad", "writes", {"frame": frame})
    assert (outcome.code, outcome.error_type) == ("PW-CALL-001", "ValueError")


def test_bytes_keep_their_type(load: Callable[..., plugward.Runtime]) -> None:
    rt = load()
    data = [b"12", bytearray(b"345"), memoryview(b"6")]
    assert rt.call("bad", "lengths", {"data": data}).result == ["bytes2", "bytearray3", "memoryview1"]
    back = rt.call("bad", "echo", {"data": data}).result["data"]
    assert [type(d) for d in back] == [bytes, bytearray, memoryview]
    assert [bytes(d) for d in back] == [b"12", b"345", b"6"]


def test_what_cannot_cross_is_refused_by_name(load: Callable[..., plugward.Runtime]) -> None:
    rt = load(fails_on="crash")
    outcome = rt.call("bad", "echo", {"ok": 1, "it": object()})
    assert outcome.code == "PW-CALL-002"
    assert "/it" in (outcome.error or "")
    assert rt.call("bad", "unfit").code == "PW-CALL-015"


@pytest.mark.parametrize(
    ("tool", "code", "word"),
    [
        ("raises", "PW-CALL-001", "no such thing"),
        ("leaves", "PW-CALL-011", "status 3"),
        ("exits", "PW-WORKER-005", "status 9"),
        ("crashes", "PW-WORKER-004", "SIGSEGV"),
        ("eats", "PW-CALL-014", "memory"),
    ],
)
def test_each_fault_has_its_own_error(load: Callable[..., plugward.Runtime], tool: str, code: str, word: str) -> None:
    rt = load(limits={"memory_mb": 400, "concurrency": 1})
    outcome = rt.call("bad", tool)
    assert (outcome.code, word in (outcome.error or "")) == (code, True), outcome
    health = rt.plugin_health("bad")
    assert health is not None
    assert health["state"] == "FAILED"
    assert rt.restart("bad").ok
    assert rt.call("bad", "echo", {"a": 1}).ok


def test_a_fork_bomb_names_its_limit(load: Callable[..., plugward.Runtime]) -> None:
    rt = load(limits={"processes": 20}, permissions={"subprocess": True})
    outcome = rt.call("bad", "forks", {"n": 300})
    assert (outcome.code, outcome.error_type) == ("PW-WORKER-011", "LimitExceeded"), outcome
    assert "limits.processes (now 20)" in (outcome.remedy or "")


@pytest.mark.parametrize("end", ["close", "crash"])
def test_a_session_of_its_own_ends_with_the_worker(load: Callable[..., plugward.Runtime], end: str) -> None:
    rt = load(permissions={"subprocess": True})
    pid = rt.call("bad", "session").unwrap()
    assert is_running(pid)
    if end == "close":
        rt.close()
    else:
        assert rt.call("bad", "crashes").code == "PW-WORKER-004"
    until("it has ended", lambda: not is_running(pid))


def test_a_crash_shows_pythons_own_traceback(load: Callable[..., plugward.Runtime]) -> None:
    outcome = load().call("bad", "crashes")
    assert "Segmentation fault" in (outcome.traceback or "")
    assert "bad.py" in (outcome.traceback or "")


@pytest.mark.parametrize("tool", ["hangs", "spins"])
def test_the_caller_is_back_at_its_deadline(load: Callable[..., plugward.Runtime], tool: str) -> None:
    rt = load()
    since = time.monotonic()
    outcome = rt.call("bad", tool, deadline_ms=500)
    assert outcome.code == "PW-CALL-005"
    assert 0.5 <= time.monotonic() - since < PATIENCE


def test_the_sandbox_names_the_line_that_would_allow_it(load: Callable[..., plugward.Runtime], tmp_path: Path) -> None:
    path = tmp_path / "written"
    rt = load(fails_on="crash")
    outcome = rt.call("bad", "opens", {"path": str(path)})
    assert (outcome.code, outcome.error_type) == ("PW-PERM-002", "PermissionError")
    assert outcome.remedy is not None
    assert f'add "{tmp_path}" to permissions.write in {tmp_path}/bad0/manifest.json' in outcome.remedy
    assert not path.exists()
    assert load(permissions={"write": [str(tmp_path)]}).call("bad", "opens", {"path": str(path)}).ok
    assert path.exists()


def test_what_holds_it_is_reported(load: Callable[..., plugward.Runtime]) -> None:
    rt = load(require_enforcement=True)
    enforced = rt.restart("bad").enforcement
    assert enforced is not None
    assert enforced["permissions.network"] == "seccomp"
    assert enforced["permissions.write"].startswith("Landlock")


def test_a_spent_budget_quarantines_it(load: Callable[..., plugward.Runtime]) -> None:
    rt = load(restart={"policy": "on_failure", "max": 0})
    assert rt.call("bad", "exits").code == "PW-WORKER-005"
    assert rt.call("bad", "pid").code == "PW-SUP-001"
    rt.release("bad")
    assert rt.restart("bad").ok


def test_what_it_prints_is_logged(load: Callable[..., plugward.Runtime]) -> None:
    rt = load()
    assert rt.call("bad", "prints").ok
    said = ("hello from the plugin", "bad")
    until("the line is in the log", lambda: any((r["message"], r["plugin"]) == said for r in rt.logs()))


async def test_it_can_be_awaited(load: Callable[..., plugward.Runtime]) -> None:
    rt = load()
    outcomes = await asyncio.gather(*(rt.acall("bad", "echo", {"n": n}) for n in range(20)))
    assert [o.result for o in outcomes] == [{"n": n} for n in range(20)]
    assert (await rt.acall("bad", "hangs", deadline_ms=500)).code == "PW-CALL-005"


def test_what_a_plugin_started_ends_with_its_worker_also_beside_a_host_that_dies(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "host.py").write_text(DYING_HOST)
    place = tmp_path / "parent.json"
    manifest = {
        "name": "parent",
        "kind": "python",
        "entrypoint": "parent.py:Plugin",
        "permissions": {"subprocess": True},
    }
    place.write_text(json.dumps(manifest))
    for _ in range(3):
        host = [sys.executable, str(tmp_path / "host.py"), str(place)]
        done = subprocess.run(host, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
        pids = json.loads(done.stdout)
        assert (len(pids), done.returncode) == (3, -signal.SIGKILL)
        until("what it started has ended", lambda pids=pids: not any(map(is_running, pids)))
