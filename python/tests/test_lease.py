"""Arrays on their way to worker processes: copied once, or filled in place; never overwritten while looked at."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugward
from python.tests.patience import until

PLUGIN = """
import os, time
import numpy as np

class Plugin:
    name = "eye"

    def __init__(self):
        self.kept = []
        names = ("total", "keep", "look", "drop", "watch", "echo", "exits", "keep_view", "flags", "size")
        self.tools = {name: getattr(self, name) for name in names}

    def total(self, **frames): return {name: int(np.asarray(f).sum()) for name, f in frames.items()}
    def keep(self, frame): self.kept.append(frame); return len(self.kept)
    def keep_view(self, data): self.kept.append(memoryview(data)[2:]); return len(self.kept)
    def look(self): return [int(np.asarray(f).reshape(-1)[0]) for f in self.kept]
    def drop(self): self.kept.clear()
    def watch(self, frame):
        for _ in range(6000):
            if frame[0]: return int(frame[0])
            time.sleep(0.01)
    def echo(self, frame): return frame
    def exits(self): os._exit(1)
    def size(self, frame): return len(frame)
    def flags(self, frame): return frame.flags.writeable, frame.flags.owndata, frame.shape, str(frame.dtype)
"""

Load = Callable[..., plugward.Runtime]
STRESS = int(os.environ.get("PLUGWARD_STRESS", "0"))
"""How many rounds the tests of what is left behind make; 0 for a few."""
patient = pytest.mark.timeout(180 + STRESS)
FRAME = np.arange(100_000, dtype="u4")


def write_plugin(folder: Path, name: str = "eye", **limits: Any) -> Path:
    (folder / "eye.py").write_text(PLUGIN)
    manifest = {"name": name, "kind": "python", "entrypoint": "eye.py:Plugin", "isolation": "process"}
    more: dict[str, Any] = {"restart": {"policy": "never"}, "fails_on": "crash", "limits": {"concurrency": 2, **limits}}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(manifest | more))
    return path


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    made = []

    def load(*names: str, **limits: Any) -> plugward.Runtime:
        rt = plugward.Runtime(logging=False)
        made.append(rt)
        for name in names or ("eye",):
            (report,) = rt.load(write_plugin(tmp_path, name, **limits))
            assert report.ok, report.error
        return rt

    yield load
    for rt in made:
        rt.close()


def held() -> int:
    """Descriptors and mappings of this process."""
    mappings = Path("/proc/self/maps").read_text().count("memfd:plugward")
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) + mappings


def test_what_a_plugin_keeps_stays_what_it_was(load: Load) -> None:
    rt = load()
    for n in range(20):
        assert rt.call("eye", "keep", {"frame": FRAME + n}).result == n + 1
    assert rt.call("eye", "look").result == list(range(20))
    assert rt.call("eye", "drop").ok
    for n in range(20):
        data = memoryview(bytes([n]) * 10_000)
        assert rt.call("eye", "keep_view", {"data": data}).result == n + 1
        assert rt.call("eye", "total", {"x": FRAME}).ok
    assert rt.call("eye", "look").result == list(range(20))


def test_what_a_plugin_keeps_is_bounded_and_said(load: Load) -> None:
    rt = load()
    codes = [rt.call("eye", "keep", {"frame": FRAME}).code for _ in range(300)]
    kept = codes.index("PW-WORKER-012")
    assert kept >= 200
    assert set(codes[kept:]) == {"PW-WORKER-012"}
    outcome = rt.call("eye", "keep", {"frame": FRAME})
    assert "keeps arrays of earlier calls" in (outcome.error or "")
    assert rt.state("eye") == "INITIALIZED"
    assert rt.call("eye", "drop").ok
    assert rt.call("eye", "total", {"x": FRAME}).result == {"x": int(FRAME.sum())}


def test_the_bound_is_the_manifests(load: Load) -> None:
    """Memory is there while it is used: a large call grows it, and afterwards it is given back."""
    rt = load(payload_mb=64, concurrency=1)
    assert rt.call("eye", "size", {"frame": np.ones(60 << 20, "u1")}).result == 60 << 20
    outcome = rt.call("eye", "size", {"frame": np.ones(65 << 20, "u1")})
    assert (outcome.code, "allowed" in (outcome.error or "")) == ("PW-WORKER-006", True)
    assert "limits.payload_mb" in (outcome.remedy or "")
    health = rt.plugin_health("eye")
    assert health is not None
    status = Path("/proc", str(health["pid"]), "status").read_text()
    (shared,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("RssShmem"))
    assert shared < 40 << 10, "16 MiB a lane, and once more, stay warm"


def test_an_argument_is_copied_once_on_its_way_in(tmp_path: Path) -> None:
    """Private memory of the host is limited to less than one more copy of what is sent."""
    code = f"""
        import resource, numpy as np, plugward
        rt = plugward.Runtime(logging=False)
        (report,) = rt.load({str(write_plugin(tmp_path))!r})
        assert report.ok, report.error
        size = 150 << 20
        sent = [np.ones(size, "u1"), bytes(size), bytearray(size), memoryview(bytes(size))]
        rt.call("eye", "total", {{"x": np.ones(10)}})
        used = next(int(l.split()[1]) << 10 for l in open("/proc/self/status") if l.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (used + (64 << 20),) * 2)
        for one in sent:
            outcome = rt.call("eye", "size", {{"frame": one}})
            assert outcome.result == size, outcome
        print("done")
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert ended.stdout.strip() == "done", ended.stdout + ended.stderr


async def test_a_leased_frame_is_not_copied_at_all(load: Load) -> None:
    rt = load()
    with rt.lease("eye", (1000,), "u1") as frame:
        frame[...] = 0
        watching = asyncio.ensure_future(rt.acall("eye", "watch", {"frame": frame}))
        await asyncio.sleep(0.1)
        frame[0] = 7
        assert (await watching).result == 7, "it saw what was written after the call had begun"


def test_leases_go_with_every_call_and_in_parts(load: Load) -> None:
    rt = load()
    with rt.lease("eye", (4, 5), "f4") as frame:
        assert isinstance(frame, np.ndarray)
        frame[...] = np.arange(20).reshape(4, 5)
        assert rt.call("eye", "flags", {"frame": frame}).result == [False, False, [4, 5], "float32"]
        runner = plugward.ToolRunner(rt)
        answer = runner.run_tool("eye", "total", {"all": frame, "half": frame[2:], "column": frame[:, 1], "own": FRAME})
        expected = {"all": 190, "half": int(frame[2:].sum()), "column": 34, "own": int(FRAME.sum())}
        assert answer["result"] == expected
        assert (rt.call("eye", "echo", {"frame": frame}).result == frame).all()


def test_a_lease_of_one_plugin_goes_to_another_by_copy(load: Load) -> None:
    rt = load("eye", "other")
    with rt.lease("eye", 10) as frame:
        frame[...] = 1
        assert rt.call("other", "total", {"x": frame}).result == {"x": 10}


def test_a_lease_used_after_its_end_is_an_error(load: Load) -> None:
    rt = load()
    lease = rt.lease("eye", (10,), "u1")
    with lease as frame:
        frame[...] = 3
    assert lease.ended
    outcome = rt.call("eye", "total", {"x": frame})
    assert (outcome.code, "ended" in (outcome.error or "")) == ("PW-WORKER-013", True)
    frame[...] = 4  # nobody else has this memory as long as we do
    assert rt.call("eye", "total", {"x": np.full(10, 9, "u1")}).result == {"x": 90}
    assert frame.sum() == 40
    with pytest.raises(plugward.PlugwardError, match="over"):
        _ = lease.array


def test_a_lease_ends_with_its_worker(load: Load) -> None:
    rt = load()
    lease = rt.lease("eye", (10,), "u1")
    frame = lease.array
    assert rt.call("eye", "exits").code == "PW-WORKER-005"
    assert rt.restart("eye").ok
    assert lease.ended
    frame[...] = 5
    outcome = rt.call("eye", "total", {"x": frame})
    assert outcome.code == "PW-WORKER-013"
    rt.close()
    assert frame.sum() == 50


def test_what_has_no_worker_has_no_leases(load: Load) -> None:
    rt = load()
    rt.add_host("here", {"f": lambda: 1})
    for plugin, code in (("here", "PW-WORKER-013"), ("nobody", "PW-REG-001")):
        with pytest.raises(plugward.PlugwardError) as raised:
            rt.lease(plugin, 10)
        assert raised.value.code == code
    with pytest.raises(plugward.PlugwardError) as raised:
        rt.lease("eye", 1 << 40)
    assert raised.value.code == "PW-WORKER-006"
    with pytest.raises(ValueError, match="shape"):
        rt.lease("eye", (-1, 3))


@patient
def test_leases_leave_nothing_behind(load: Load) -> None:
    rt = load()
    gc.collect()
    before = held()
    for n in range(STRESS or 500):
        with rt.lease("eye", (300, 300)) as frame:
            frame[0, 0] = n % 200
            assert rt.call("eye", "total", {"x": frame[0, 0:1]}).result == {"x": n % 200}
    del frame
    gc.collect()
    assert held() <= before
    kept = [rt.lease("eye", 10) for _ in range(250)]
    assert len(kept) == 250, "all frames had come back"


@patient
def test_crashes_with_leases_leave_nothing_behind(load: Load) -> None:
    rt = load()
    rt.call("eye", "total", {"x": FRAME})
    before = held()
    for _ in range(STRESS or 10):
        frame = rt.lease("eye", (300, 300)).array
        frame[...] = 1
        assert rt.call("eye", "exits").code == "PW-WORKER-005"
        assert rt.restart("eye").ok
        assert rt.call("eye", "total", {"x": frame}).code == "PW-WORKER-013"
    del frame
    gc.collect()
    until("all is given back", lambda: held() <= before)


@pytest.mark.parametrize("size", [0, 1, 100_000, 10_000_000])
def test_results_are_the_hosts_own(load: Load, size: int) -> None:
    rt = load()
    for frame in (np.ones(size, "u1"), bytes(size), bytearray(size), memoryview(bytes(size))):
        back = rt.call("eye", "echo", {"frame": frame}).unwrap()
        assert type(back) is type(frame)
        assert len(back) == size
        if isinstance(back, np.ndarray):
            back[...] = 2  # writable, and no worker's any more
    assert rt.call("eye", "total", {"x": FRAME}).ok
