"""What the sandbox refuses comes back with the manifest line that would allow it, and with that line it works."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import plugward
from python.tests.site_folder import SiteFolder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="worker processes are Linux only")

PLUGIN = """
import multiprocessing, os, socket, subprocess, urllib.request
from pathlib import Path

def at_import():
    SETTING

class Plugin:
    name = "tries"

    def __init__(self):
        self.tools = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")
                      and callable(getattr(self, name))}
        at_import()

    def reads(self, path): return Path(path).read_text()
    def writes(self, path): Path(path).write_text("x")
    def removes(self, path): Path(path).unlink()
    def makes(self, path): Path(path).mkdir()
    def connects(self, port): socket.create_connection(("127.0.0.1", port)).close()
    def fetches(self, port): urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=0.2)
    def runs(self): return subprocess.run(["/bin/true"]).returncode
    def forks(self):
        child = os.fork()
        if child == 0: os._exit(0)
        os.waitpid(child, 0)
    def spawns(self): return os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1]
    def locks(self): multiprocessing.Lock()
    def looks_up(self): return os.environ["PERMISSIONS_SECRET"]
    def misses(self): return os.environ["PERMISSIONS_NOBODY_HAS"]
    def misses_a_key(self): return {}["PERMISSIONS_SECRET"]
    def wraps(self, path):
        try:
            Path(path).write_text("x")
        except OSError as error:
            raise RuntimeError("no cache") from error
    def raises_its_own(self): raise PermissionError("you are not an administrator")
"""


@pytest.fixture
def tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., plugward.Runtime]]:
    monkeypatch.setenv("PERMISSIONS_SECRET", "s")
    made: list[plugward.Runtime] = []

    def load(setting: str = "pass", **more: Any) -> plugward.Runtime:
        folder = tmp_path / f"plugin{len(made)}"
        folder.mkdir()
        (folder / "tries.py").write_text(PLUGIN.replace("SETTING", setting))
        manifest = {"name": "tries", "kind": "python", "entrypoint": "tries.py:Plugin", "isolation": "process"}
        manifest |= {"restart": {"policy": "never"}, "fails_on": "crash"} | more
        (folder / "manifest.json").write_text(json.dumps(manifest))
        rt = plugward.Runtime(logging=False)
        made.append(rt)
        rt.load(str(folder))
        return rt

    yield load
    for rt in made:
        rt.close()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("x")
    return folder


def refused(outcome: plugward.Outcome, code: str, remedy: str) -> None:
    assert (outcome.code, outcome.effect) == (code, "stopped"), outcome
    assert remedy in (outcome.remedy or ""), outcome.remedy
    assert "manifest.json" in (outcome.remedy or "")


def test_files(tries: Callable[..., plugward.Runtime], outside: Path) -> None:
    free = tries(permissions={"read": [str(outside)], "write": [str(outside)]})
    strict = tries(permissions={"read": ["models"]})
    plain = tries()
    file, new = str(outside / "file"), str(outside / "new")
    for tool, path in (("reads", file), ("writes", new), ("removes", new), ("makes", new)):
        assert free.call("tries", tool, {"path": path}).ok, tool
    (outside / "new").rmdir()
    refused(strict.call("tries", "reads", {"path": file}), "PW-PERM-001", f'add "{file}" to permissions.read')
    refused(plain.call("tries", "writes", {"path": new}), "PW-PERM-002", f'add "{outside}" to permissions.write')
    refused(plain.call("tries", "writes", {"path": file}), "PW-PERM-002", f'add "{file}" to permissions.write')
    refused(plain.call("tries", "makes", {"path": new}), "PW-PERM-002", f'add "{outside}" to permissions.write')
    outcome = plain.call("tries", "wraps", {"path": new})
    refused(outcome, "PW-PERM-002", "permissions.write")
    assert (outcome.error_type, outcome.error) == ("RuntimeError", "no cache")
    assert "tries.py" in (outcome.traceback or "")


def test_where_reading_is_held_packages_are_still_found(
    tries: Callable[..., plugward.Runtime], outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SiteFolder(tmp_path / "site").add("of_the_host", code="import plugward._attempt, dis\nVALUE = 7")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    setting = "import numpy, of_the_host; assert numpy.ones(2).sum() == 2 and of_the_host.VALUE == 7"
    rt = tries(setting, permissions={"read": ["data"]})
    assert rt.state("tries") == "INITIALIZED", rt.health()
    refused(rt.call("tries", "reads", {"path": str(outside / "file")}), "PW-PERM-001", "permissions.read")


def test_the_network(tries: Callable[..., plugward.Runtime]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = {"port": server.getsockname()[1]}
        assert tries(permissions={"network": True}).call("tries", "connects", port).ok
        rt = tries()
        for tool in ("connects", "fetches"):
            refused(rt.call("tries", tool, port), "PW-PERM-003", "set permissions.network = true")


@pytest.mark.parametrize("tool", ["runs", "forks", "spawns"])
def test_programs(tries: Callable[..., plugward.Runtime], tool: str) -> None:
    granted = tries(permissions={"subprocess": True}).call("tries", tool)
    assert granted.ok, granted
    refused(tries().call("tries", tool), "PW-PERM-004", "set permissions.subprocess = true")


def test_semaphores_are_files(tries: Callable[..., plugward.Runtime]) -> None:
    assert tries(permissions={"write": ["/dev/shm"]}).call("tries", "locks").ok
    refused(tries().call("tries", "locks"), "PW-PERM-002", 'add "/dev/shm" to permissions.write')


def test_the_environment(tries: Callable[..., plugward.Runtime]) -> None:
    assert tries(env=["PERMISSIONS_SECRET"]).call("tries", "looks_up").ok
    rt = tries()
    refused(rt.call("tries", "looks_up"), "PW-PERM-005", 'add "PERMISSIONS_SECRET" to env')
    for tool in ("misses", "misses_a_key"):
        outcome = rt.call("tries", tool)
        assert (outcome.code, outcome.error_type) == ("PW-CALL-001", "KeyError"), tool


def test_a_plugins_own_permission_error_is_its_own(tries: Callable[..., plugward.Runtime]) -> None:
    outcome = tries().call("tries", "raises_its_own")
    assert (outcome.code, outcome.error) == ("PW-CALL-001", "you are not an administrator")


def test_outside_a_worker_nothing_is_blamed_on_the_manifest(runtime: plugward.Runtime) -> None:
    def denied() -> None:
        raise PermissionError(13, "Permission denied", "/nowhere")

    runtime.add_host("host", {"denied": denied})
    assert runtime.call("host", "denied").code == "PW-CALL-001"


def test_a_load_that_is_refused_names_the_line_too(tries: Callable[..., plugward.Runtime], outside: Path) -> None:
    for setting, line in (
        (f"Path({str(outside / 'new')!r}).write_text('x')", "permissions.write"),
        ("os.environ['PERMISSIONS_SECRET']", 'add "PERMISSIONS_SECRET" to env'),
    ):
        rt = tries(setting)
        report = rt.restart("tries")
        assert report.code == "PW-LOAD-004", report
        assert line in (report.remedy or ""), report.remedy


def test_permissions_are_told_to_people(tmp_path: Path) -> None:
    manifest = {"name": "a", "kind": "python", "entrypoint": "a:B", "isolation": "process"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"permissions": {"network": True}}))
    told = plugward.describe_permissions(tmp_path)
    clauses = {clause["subject"]: clause for clause in told["clauses"]}
    assert (told["confined"], told["manifest"]) == (True, str(tmp_path / "manifest.json"))
    assert (clauses["network"]["allowed"], clauses["subprocess"]["allowed"]) == ("everything", "nothing")
    assert clauses["subprocess"]["line"] == "permissions.subprocess"
    assert clauses["write"]["mechanism"].startswith("Landlock")
