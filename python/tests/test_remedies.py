"""Each attack is refused; with the lines which the refusal names, it works. Or the refusal says that none would do."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import plugward

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="worker processes are Linux only")

PLUGIN = """
import os, resource, shutil, socket, subprocess, urllib.request
from multiprocessing.shared_memory import SharedMemory
from os import rename as moved
from pathlib import Path

TMP = os.environ["TMPDIR"]

class NoModelError(Exception): pass

class Plugin:
    def __init__(self):
        self.tools = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")
                      and callable(getattr(self, name))}

    def unlinks(self, one, two): os.unlink(os.path.join(one, "file"))
    def path_unlinks(self, one, two): (Path(one) / "file").unlink()
    def path_unlinks_a_link(self, one, two): (Path(one) / "link").unlink()
    def removes_a_folder(self, one, two): os.rmdir(f"{one}/folder")
    def removes_a_tree(self, one, two): shutil.rmtree(f"{one}/tree")
    def renames(self, one, two): os.rename(f"{one}/file", f"{one}/other")
    def renames_a_free_name(self, one, two): moved(f"{one}/file", f"{one}/other")
    def renames_across(self, one, two): os.rename(f"{one}/file", f"{two}/other")
    def path_replaces(self, one, two): (Path(one) / "file").replace(Path(two) / "other")
    def renames_in(self, one, two): os.rename(f"{one}/file", f"{TMP}/other")
    def renames_out(self, one, two):
        Path(TMP, "own").write_text("x")
        os.rename(f"{TMP}/own", f"{two}/other")
    def moves(self, one, two): shutil.move(f"{one}/file", f"{two}/other")
    def links(self, one, two): os.link(f"{one}/file", f"{two}/other")
    def links_in(self, one, two): os.link(f"{one}/file", f"{TMP}/other")
    def symlinks(self, one, two): os.symlink("/a", f"{two}/link")
    def path_symlinks(self, one, two): (Path(two) / "link").symlink_to("/a")
    def makes_a_folder(self, one, two): os.mkdir(f"{one}/new")
    def makes_folders(self, one, two): os.makedirs(f"{one}/new/and/more")
    def makes_a_pipe(self, one, two): os.mkfifo(f"{one}/new")
    def writes(self, one, two): Path(one, "file").write_text("x")
    def writes_by_a_changed_name(self, one, two):
        with open(f"{one}/File".replace("F", "f"), "w") as file: file.write("x")
    def makes_a_file(self, one, two): Path(one, "new").write_text("x")
    def truncates(self, one, two): os.truncate(f"{one}/file", 1)
    def opens(self, one, two): os.close(os.open(f"{one}/file", os.O_WRONLY))
    def symlinks_in_root(self, one, two): os.symlink("/a", "/plugward-attack")
    def removes_of_etc(self, one, two): os.unlink("/etc/hostname")
    def makes_in_root(self, one, two): Path("/plugward-attack").write_text("x")
    def makes_a_device(self, one, two): Path("/dev/plugward-attack").write_text("x")
    def shares_memory(self, one, two):
        memory = SharedMemory(create=True, size=100)
        memory.close()
        memory.unlink()
    def reads_its_host(self, one, two): Path(f"/proc/{os.getppid()}/environ").read_bytes()
    def writes_its_host(self, one, two): Path(f"/proc/{os.getppid()}/oom_score_adj").write_text("0")
    def kills_its_host(self, one, two): os.kill(os.getppid(), 0)
    def raises_a_limit(self, one, two): resource.prlimit(0, resource.RLIMIT_NOFILE, (64, 64))
    def labels(self, one, two): os.setxattr(f"{one}/file", "user.attack", b"x")
    def runs(self, one, two): subprocess.run(["/bin/true"], check=True)
    def forks(self, one, two):
        if os.fork() == 0: os._exit(0)
    def looks_up(self, one, two): os.environ["REMEDIES_SECRET"]
    def reads(self, one, two): Path(one, "file").read_text()
    def lists(self, one, two): os.listdir(one)
    def connects(self, one, two): socket.create_connection(("127.0.0.1", int(two))).close()
    def resolves(self, one, two): socket.getaddrinfo("example.com", 80)
    def fetches(self, one, two): urllib.request.urlopen("http://example.com", timeout=2)
    def fetches_for(self, one, two):
        try:
            urllib.request.urlopen("http://example.com", timeout=2)
        except OSError:
            raise NoModelError("no model, and it cannot be fetched")
    def fetches_and_says_so(self, one, two):
        try:
            socket.getaddrinfo("example.com", 80)
        except OSError as error:
            raise NoModelError("no model, and it cannot be fetched") from error
"""

WRITES = [
    *("unlinks", "path_unlinks", "path_unlinks_a_link", "removes_a_folder", "removes_a_tree"),
    *("renames", "renames_a_free_name", "renames_across", "path_replaces", "renames_in", "renames_out", "moves"),
    *("links", "links_in", "symlinks", "path_symlinks", "makes_a_folder", "makes_folders"),
    *("writes", "writes_by_a_changed_name", "makes_a_file", "truncates", "opens"),
]
OF_THE_SYSTEM = ["symlinks_in_root", "removes_of_etc", "makes_in_root", "makes_a_device"]
NEVER = ["reads_its_host", "writes_its_host", "kills_its_host", "raises_a_limit", "labels"]
NAMES = ["resolves", "fetches", "fetches_for", "fetches_and_says_so"]


class Attempts:
    """The same plugin under one manifest after another."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.runtimes: list[plugward.Runtime] = []
        self.port = ""

    def attack(self, tool: str, manifest: dict[str, Any]) -> plugward.Outcome:
        self.number += 1
        folder = self.folder / f"attempt{self.number}"
        folder.mkdir()
        (folder / "attacks.py").write_text(PLUGIN)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        rt = plugward.Runtime(logging=False)
        self.runtimes.append(rt)
        (report,) = rt.load(folder)
        assert report.ok, report.error
        one, two = self.targets()
        return rt.call("attacks", tool, {"one": one, "two": self.port or two}, deadline_ms=30_000)

    def targets(self) -> tuple[str, str]:
        """Two folders of the same names each time: lines name them."""
        one, two = self.folder / "one", self.folder / "two"
        for folder in (one / "folder", one / "tree/branch", two):
            folder.mkdir(parents=True, exist_ok=True)
        for file in (one / "file", one / "tree/leaf", one / "tree/branch/leaf"):
            file.write_text("precious")
        (one / "link").unlink(missing_ok=True)
        (one / "link").symlink_to("file")
        return str(one), str(two)

    def refused(self, tool: str, **permissions: Any) -> tuple[plugward.Outcome, dict[str, Any]]:
        manifest: dict[str, Any] = {"name": "attacks", "kind": "python", "entrypoint": "attacks.py:Plugin"}
        manifest |= {"isolation": "process", "restart": {"policy": "never"}, "permissions": permissions, "env": []}
        outcome = self.attack(tool, manifest)
        assert not outcome.ok
        assert (outcome.code or "").startswith("PW-PERM-"), outcome
        return outcome, manifest


@pytest.fixture
def attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attempts]:
    monkeypatch.setenv("REMEDIES_SECRET", "s")
    made = Attempts(tmp_path)
    yield made
    for rt in made.runtimes:
        rt.close()


def obeyed(manifest: dict[str, Any], remedy: str) -> dict[str, Any]:
    """The manifest with exactly the lines that a remedy names."""
    permissions = dict(manifest["permissions"])
    for path, line in re.findall(r'add "([^"]+)" to permissions\.(\w+)', remedy):
        assert path.count("/") > 1, f"a folder of the system: {remedy}"
        permissions[line] = [*permissions.get(line, []), path]
    for line in re.findall(r"set permissions\.(\w+) = true", remedy):
        permissions[line] = True
    env = re.findall(r'add "(\w+)" to env', remedy)
    changed = manifest | {"permissions": permissions, "env": env}
    assert changed != manifest, f"no line: {remedy}"
    return changed


@pytest.mark.parametrize("tool", [*WRITES, "runs", "forks", "looks_up", "shares_memory"])
def test_the_named_lines_are_the_ones_that_work(attempts: Attempts, tool: str) -> None:
    outcome, manifest = attempts.refused(tool)
    assert outcome.code == {"looks_up": "PW-PERM-005", "runs": "PW-PERM-004", "forks": "PW-PERM-004"}.get(
        tool, "PW-PERM-002"
    ), outcome
    again = attempts.attack(tool, obeyed(manifest, outcome.remedy or ""))
    assert again.ok, (outcome.remedy, again)


@pytest.mark.parametrize("tool", ["reads", "lists", "unlinks", "makes_a_file"])
def test_so_too_where_reading_is_held(attempts: Attempts, tool: str) -> None:
    outcome, manifest = attempts.refused(tool, read=["models"])
    assert outcome.code == ("PW-PERM-001" if tool in ("reads", "lists") else "PW-PERM-002"), outcome
    again = attempts.attack(tool, obeyed(manifest, outcome.remedy or ""))
    assert again.ok, (outcome.remedy, again)


def test_an_error_without_a_path_names_the_line_alone(attempts: Attempts) -> None:
    outcome, _ = attempts.refused("makes_a_pipe")
    assert outcome.code == "PW-PERM-002", outcome
    assert "add its folder to permissions.write" in (outcome.remedy or "")


def test_a_file_that_is_granted_may_be_written_and_its_folder_is_named_for_the_rest(attempts: Attempts) -> None:
    one, _ = attempts.targets()
    granted = {"write": [f"{one}/file"]}
    outcome, manifest = attempts.refused("unlinks", **granted)
    assert f'add "{one}" to permissions.write' in (outcome.remedy or ""), outcome
    assert attempts.attack("writes", manifest).ok


@pytest.mark.parametrize("tool", OF_THE_SYSTEM)
def test_no_line_opens_a_folder_of_the_system(attempts: Attempts, tool: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("the modes of the folder refuse it first")
    outcome, _ = attempts.refused(tool)
    assert "no line of the manifest is named" in (outcome.remedy or ""), outcome
    assert not Path("/plugward-attack").exists()
    assert not Path("/dev/plugward-attack").exists()


@pytest.mark.parametrize("tool", NEVER)
@pytest.mark.parametrize("granted", [{}, {"network": True, "subprocess": True}], ids=["none", "all"])
def test_what_nothing_allows_is_said_so(attempts: Attempts, tool: str, granted: dict[str, Any]) -> None:
    one, two = attempts.targets()
    outcome, _ = attempts.refused(tool, **granted, **({"write": [one, two]} if granted else {}))
    assert outcome.code == "PW-PERM-008", outcome
    assert (outcome.remedy or "").startswith("nothing in the manifest allows it")


def test_a_connection_names_the_network(attempts: Attempts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        attempts.port = str(server.getsockname()[1])
        outcome, manifest = attempts.refused("connects")
        assert outcome.code == "PW-PERM-003"
        assert attempts.attack("connects", obeyed(manifest, outcome.remedy or "")).ok


@pytest.mark.parametrize("tool", NAMES)
def test_a_name_that_cannot_be_looked_up_names_the_network(attempts: Attempts, tool: str) -> None:
    outcome, manifest = attempts.refused(tool)
    assert outcome.code == "PW-PERM-003", outcome
    assert outcome.error_type == {"resolves": "gaierror", "fetches": "URLError"}.get(tool, "NoModelError")
    again = attempts.attack(tool, obeyed(manifest, outcome.remedy or ""))
    # Where this machine has no network either, the failure is the plugin's own.
    assert again.ok or again.code == "PW-CALL-001", again
