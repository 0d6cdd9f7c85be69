"""Python workers that are forked from a process with the heavy imports done."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import plugward
from python.tests.patience import until

PLUGIN = """
import ctypes, os, random, sys, threading, time

class Plugin:
    def __init__(self):
        self.tools = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")
                      and callable(getattr(self, name))}

    def about(self):
        fds = {}
        for fd in os.listdir("/proc/self/fd"):
            try:
                fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:
                pass
        return {"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "fds": fds, "cwd": os.getcwd(),
                "tmp": os.environ["TMPDIR"], "modules": list(sys.modules)}

    def chance(self):
        import numpy as np
        return [random.random(), float(np.random.random()), os.urandom(8).hex()]

    def product(self):
        import numpy as np
        a = np.ones((700, 700))
        return float((a @ a)[0, 0])

    def threads(self):
        seen = []
        workers = [threading.Thread(target=seen.append, args=(n,)) for n in range(8)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        return sorted(seen)

    def crashes(self): ctypes.string_at(0)
    def aborts(self): os.abort()
    def exits(self): os._exit(9)
    def hangs(self): time.sleep(3600)
"""


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[..., plugward.Runtime]]:
    made: list[plugward.Runtime] = []
    STRANGERS.clear()
    STRANGERS.update(family(os.getpid()))

    def load(*names: str, **more: Any) -> plugward.Runtime:
        rt = plugward.Runtime(logging=False)
        made.append(rt)
        for name in names or ("p",):
            folder = write(tmp_path / f"{name}{len(made)}", name, **more)
            (report,) = rt.load(str(folder))
            assert report.ok, report.error
        return rt

    yield load
    for rt in made:
        rt.close()
    until("all are gone", lambda: not family(os.getpid()))


def write(folder: Path, name: str, **more: Any) -> Path:
    folder.mkdir()
    (folder / "plug.py").write_text(PLUGIN)
    manifest = {"name": name, "kind": "python", "entrypoint": "plug.py:Plugin", "isolation": "process"}
    manifest |= {"restart": {"max": 1000, "backoff_ms": [1, 10]}, "dependencies": ["numpy"]} | more
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


STRANGERS: set[int] = set()
"""Children of this process that were there before the test: another test's (multiprocessing keeps some)."""


def family(host: int) -> dict[int, str]:
    """The living children of `host` with their names, but for strangers."""
    found = {}
    for listed in Path(f"/proc/{host}/task").glob("*/children"):
        for pid in _read(listed).split():
            stat = _read(Path(f"/proc/{pid}/stat"))
            if not stat:
                continue
            if stat.rpartition(")")[2].split()[0] not in "ZX" and int(pid) not in STRANGERS:
                found[int(pid)] = stat[stat.index("(") + 1 : stat.rindex(")")]
    return found


def _read(path: Path) -> str:
    """Of a thread or process that may end meanwhile."""
    try:
        return path.read_text()
    except OSError:
        return ""


def servers(host: int | None = None) -> list[int]:
    return [pid for pid, name in family(host or os.getpid()).items() if name == "plugward-forks"]


def is_forked(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == "plugward-worker"


def said(rt: plugward.Runtime, words: str) -> bool:
    return any(words in record["message"] for record in rt.logs())


def test_a_forked_worker_is_the_hosts_own_child(load: Callable[..., plugward.Runtime]) -> None:
    rt = load()
    about = rt.call("p", "about").unwrap()
    assert is_forked(about["pid"])
    assert about["parent"] == os.getpid()
    assert about["group"] == about["pid"]
    assert about["cwd"] == str(Path.cwd())
    assert Path(about["tmp"]).is_dir()
    assert "plugward-p-" in about["tmp"]
    assert "numpy" in about["modules"]
    # Inherited from whoever started this test is what this process has open across an exec; of ours there are these.
    ours = {fd: target for fd, target in about["fds"].items() if "memfd" in target or "socket" in target}
    assert list(ours.values()) == ["/memfd:plugward (deleted)"]
    assert about["fds"]["1"] == about["fds"]["2"] != f"/proc/{os.getpid()}/fd/1"
    assert len(servers()) == 1


def test_siblings_share_no_chance_and_no_descriptors(load: Callable[..., plugward.Runtime]) -> None:
    rt = load("a", "b", "c")
    chances = [rt.call(name, "chance").unwrap() for name in "abc"]
    for each in zip(*chances, strict=True):
        assert len(set(each)) == 3, chances
    outputs = {rt.call(name, "about").unwrap()["fds"]["1"] for name in "abc"}
    assert len(outputs) == 3
    assert len(servers()) == 1, "they have the same needs"


def test_threads_and_pools_work_in_it(load: Callable[..., plugward.Runtime]) -> None:
    rt = load()
    assert rt.call("p", "product").unwrap() == 700.0
    assert rt.call("p", "threads").unwrap() == list(range(8))


@pytest.mark.parametrize(
    ("tool", "code", "word"),
    [("crashes", "PW-WORKER-004", "SIGSEGV"), ("aborts", "PW-WORKER-004", "SIGABRT"), ("exits", "PW-WORKER-005", "9")],
)
def test_its_death_is_told_exactly(load: Callable[..., plugward.Runtime], tool: str, code: str, word: str) -> None:
    rt = load()
    assert is_forked(rt.plugin_health("p")["pid"])  # type: ignore[index]
    outcome = rt.call("p", tool)
    assert (outcome.code, word in (outcome.error or "")) == (code, True)
    if code == "PW-WORKER-004":
        assert "plug.py" in (outcome.traceback or "")


def test_a_deadline_kills_it(load: Callable[..., plugward.Runtime]) -> None:
    rt = load()
    pid = rt.plugin_health("p")["pid"]  # type: ignore[index]
    assert rt.call("p", "hangs", deadline_ms=500).code == "PW-CALL-005"
    until("it is dead", lambda: pid not in family(os.getpid()))


def test_workers_outlive_their_fork_server(load: Callable[..., plugward.Runtime]) -> None:
    rt = load("a", "b")
    pid = rt.plugin_health("a")["pid"]  # type: ignore[index]
    (server,) = servers()
    os.kill(server, signal.SIGKILL)
    until("that is said", lambda: said(rt, "fork-server ended (SIGKILL"))
    assert rt.call("a", "about").unwrap()["pid"] == pid
    assert rt.restart("b").ok, "with or without"
    (again,) = until("there is another", servers)
    assert again != server
    until("it forks", lambda: rt.restart("b").ok and is_forked(rt.plugin_health("b")["pid"]))  # type: ignore[index]
    assert rt.plugin_health("a")["pid"] == pid  # type: ignore[index]


def test_while_there_is_none_workers_are_started_cold(load: Callable[..., plugward.Runtime]) -> None:
    rt = load()
    cold = False
    for _ in range(40):
        for server in servers():
            os.kill(server, signal.SIGKILL)
        assert rt.restart("p").ok
        cold = cold or not is_forked(rt.plugin_health("p")["pid"])  # type: ignore[index]
        if cold:
            break
    assert cold
    assert rt.call("p", "about").unwrap()["parent"] == os.getpid()


HOST = """
    import json, sys, time
    import plugward
    rt = plugward.Runtime(logging=False)
    (report,) = rt.load(sys.argv[1])
    print(json.dumps([report.ok, str(report.error)]), flush=True)
    while rt.plugin_health(report.name)["spares"] < int(sys.argv[2]):
        time.sleep(0.01)
    for record in rt.logs():
        print(record["message"].replace("\\n", " "), file=sys.stderr)
    print("ready", flush=True)
    sys.stdin.read()
"""


def host(folder: Path, spares: int, path: Path | None = None) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOST), str(folder), str(spares)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **({"PYTHONPATH": str(path)} if path else {})},
    )
    assert child.stdout is not None
    ok, error = json.loads(child.stdout.readline())
    assert ok, error
    assert child.stdout.readline() == "ready\n"
    return child


def test_nothing_outlives_a_host_that_is_killed(tmp_path: Path) -> None:
    child = host(write(tmp_path / "p", "p", spares=2, permissions={"subprocess": True}), spares=2)
    left = family(child.pid)
    assert sorted(left.values()) == ["plugward-forks", *["plugward-worker"] * 3]
    child.kill()
    child.communicate()
    until("all are gone", lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in left))


def package(folder: Path, name: str, code: str) -> Path:
    """An installed package, as far as Python can tell."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(textwrap.dedent(code))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
    return folder


CUDA = """
    import ctypes, os
    ctypes.CDLL(os.path.join(os.path.dirname(__file__), "libcuda.so.1"))
"""
THREAD = """
    import threading, time
    threading.Thread(target=time.sleep, args=(999,), daemon=True).start()
"""
TAINTS = {
    "a thread": (THREAD, "2 threads run"),
    "CUDA": (CUDA, "libcuda.so is loaded"),
    "an exception": ("raise RuntimeError('not today')", "RuntimeError: not today"),
}


@pytest.mark.parametrize("what", TAINTS)
def test_what_must_not_be_forked_is_left_out_and_that_is_said(tmp_path: Path, what: str) -> None:
    code, words = TAINTS[what]
    site = package(tmp_path / "site", "sympy", code)
    if what == "CUDA":
        source = tmp_path / "cuda.c"
        source.write_text("int cuInit(unsigned flags) { return 0; }\n")
        built = ["cc", "-shared", "-fPIC", str(source), "-o", str(site / "sympy" / "libcuda.so.1")]
        subprocess.run(built, check=True)
    child = host(write(tmp_path / "p", "p", dependencies=["numpy", "sympy"]), 0, site)
    try:
        names = sorted(family(child.pid).values())
        assert names == ["plugward-forks", "plugward-worker"]
        threads = {pid: len(os.listdir(f"/proc/{pid}/task")) for pid in servers(child.pid)}  # noqa: PTH208
        assert list(threads.values()) == [1]
        (server,) = threads
        maps = Path(f"/proc/{server}/maps").read_text()
        assert "libcuda.so" not in maps
        assert "_multiarray_umath" in maps, "numpy is there all the same"
    finally:
        _, errors = child.communicate("")
    assert re.search(f"sympy is not imported before: (with it )?{words}", errors), errors


def test_an_import_that_kills_the_fork_server_is_left_out(tmp_path: Path) -> None:
    site = package(tmp_path / "site", "sympy", "import os\nif 'fork' in open('/proc/self/cmdline').read(): os.abort()")
    child = host(write(tmp_path / "p", "p", dependencies=["sympy"]), 0, site)
    try:
        until("another server, without it", lambda: servers(child.pid))
    finally:
        _, errors = child.communicate("")
    assert "SIGABRT" in errors


STORM = """
import os
here = os.path.dirname(__file__)
with open(os.path.join(here, "attempts"), "a") as attempts:
    attempts.write("x")
if os.path.exists(os.path.join(here, "broken")):
    raise RuntimeError("no more of me")
"""


def test_a_plugin_that_can_no_longer_be_imported_makes_no_storm(
    load: Callable[..., plugward.Runtime], tmp_path: Path
) -> None:
    folder = tmp_path / "p1"
    more = {"permissions": {"write": [str(tmp_path)]}, "restart": {"max": 3, "within_s": 60, "backoff_ms": [5, 10]}}
    rt = load(spares=1, **more)
    until("a spare", lambda: rt.plugin_health("p")["spares"] == 1)  # type: ignore[index]
    (folder / "plug.py").write_text(STORM + PLUGIN)
    (folder / "broken").touch()
    assert rt.call("p", "exits").code == "PW-WORKER-005"
    assert rt.call("p", "threads").ok, "the spare is of before"
    until("they are given up", lambda: said(rt, "no more warm spares"))
    time.sleep(0.3)
    assert len((folder / "attempts").read_text()) == 4, "once and three times more"
    assert rt.call("p", "threads").ok
    assert rt.plugin_health("p")["spares"] == 0  # type: ignore[index]


def test_a_spare_that_still_loads_ends_with_its_runtime(load: Callable[..., plugward.Runtime], tmp_path: Path) -> None:
    rt = load(spares=1, restart={"max": 10})
    until("a spare", lambda: rt.plugin_health("p")["spares"] == 1)  # type: ignore[index]
    (tmp_path / "p1" / "plug.py").write_text("import time\ntime.sleep(3600)\n" + PLUGIN)
    assert rt.call("p", "exits").code == "PW-WORKER-005"
    until("the spare serves, the next one hangs", lambda: len(family(os.getpid())) == 3)
    left = set(family(os.getpid()))
    rt.close()
    until("all are gone", lambda: not left & set(family(os.getpid())))


def test_deaths_with_spares_leave_nothing_behind(load: Callable[..., plugward.Runtime]) -> None:
    rt = load(spares=1)

    def ready() -> bool:
        return rt.plugin_health("p")["spares"] == 1  # type: ignore[index]

    def counts() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))  # noqa: PTH208

    def deaths(number: int) -> None:
        for n in range(number):
            until("a spare", ready)
            assert not rt.call("p", ("exits", "aborts")[n % 2]).ok
            assert rt.call("p", "threads").ok, "the very next call"
        until("a spare", ready)

    deaths(20)
    before = counts()
    deaths(int(os.environ.get("PLUGWARD_TEST_DEATHS", "300")) // 10)
    until("all is given back", lambda: counts()[0] <= before[0] + 4 and counts()[1] <= before[1] + 4)
    assert sorted(family(os.getpid()).values()) == ["plugward-forks", "plugward-worker", "plugward-worker"]
