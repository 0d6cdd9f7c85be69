"""Python plugins in interpreters of their own, and the ways to name a plugin's code, in worker processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import plugward

PLUGIN = """
import sys

class Plugin:
    def __init__(self):
        self.tools = {"about": self.about, "size": self.size}

    def about(self):
        import clash
        return {"clash": clash.VERSION, "executable": sys.executable, "version": list(sys.version_info[:2]),
                "prefix": sys.prefix, "path": sys.path, "plugward": __import__("plugward").__file__}

    def size(self, data):
        return len(data)
"""


@pytest.fixture
def runtime() -> Iterator[plugward.Runtime]:
    with plugward.Runtime(logging=False) as rt:
        yield rt


def environment(folder: Path, version: str) -> Path:
    """A virtual environment with one package, `clash`, in that version; nothing is downloaded."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    (site,) = folder.glob("lib/python*/site-packages")
    install(site, version)
    return folder


def install(site: Path, version: str) -> None:
    (site / "clash").mkdir(parents=True)
    (site / "clash" / "__init__.py").write_text(f"VERSION = {version!r}\n")
    info = site / f"clash-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: clash\nVersion: {version}\n")
    (info / "RECORD").write_text("clash/__init__.py,,\n")


def plugin(folder: Path, name: str, **more: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "plug.py").write_text(PLUGIN)
    manifest = {"name": name, "kind": "python", "entrypoint": "plug.py:Plugin", "isolation": "process"} | more
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_clashing_requirements_live_side_by_side(runtime: plugward.Runtime, tmp_path: Path) -> None:
    for name, version in (("old", "1.0"), ("new", "2.5")):
        folder = plugin(tmp_path / name, name, python=".venv", dependencies=[f"clash=={version}"], spares=1)
        environment(folder / ".venv", version)
        (report,) = runtime.load(str(folder))
        assert report.ok, report.error
    old, new = (runtime.call(name, "about").unwrap() for name in ("old", "new"))
    assert (old["clash"], new["clash"]) == ("1.0", "2.5")
    assert new["executable"] == str(tmp_path / "new" / ".venv" / "bin" / "python")
    host = str(Path(plugward.__file__).parent.parent)
    for about in (old, new):
        assert about["plugward"] == plugward.__file__
        assert host not in about["path"], "the host's packages are not theirs"
        assert not {p for p in about["path"] if "site-packages" in p and str(tmp_path) not in p}
    assert runtime.call("old", "size", {"data": b"x" * 5_000_000}).result == 5_000_000


def test_packages_of_the_host_are_not_lent(runtime: plugward.Runtime, tmp_path: Path) -> None:
    folder = plugin(tmp_path / "p", "p", python=".venv")
    environment(folder / ".venv", "1.0")
    (folder / "plug.py").write_text("import pytest\n" + PLUGIN)
    (report,) = runtime.load(str(folder))
    assert report.error is not None
    assert "No module named 'pytest'" in report.error


def test_the_check_looks_into_that_environment(runtime: plugward.Runtime, tmp_path: Path) -> None:
    folder = plugin(tmp_path / "p", "p", python=".venv", dependencies=["clash>=2"])
    environment(folder / ".venv", "1.0")
    (report,) = runtime.load(str(folder))
    assert report.state == "UNAVAILABLE"
    assert report.error is not None
    assert report.code == "PW-PKG-002"


def test_an_interpreter_of_another_version(runtime: plugward.Runtime, tmp_path: Path) -> None:
    found = other((3, 10), (3, 14))
    if not found:
        pytest.skip("no other CPython of 3.10 to 3.14 is installed")
    for program, version in found.items():
        name = "py{}{}".format(*version)
        folder = plugin(tmp_path / name, name, python=program)
        install(folder, "3.0")
        (report,) = runtime.load(str(folder))
        assert report.ok, (program, report.error)
        about = runtime.call(name, "about").unwrap()
        assert tuple(about["version"]) == version
        pid = (runtime.plugin_health(name) or {})["pid"]
        assert Path(f"/proc/{pid}/comm").read_text() == "plugward-worker\n", "forked"
        assert runtime.call(name, "size", {"data": b"x" * 1_000_000}).result == 1_000_000


def other(least: tuple[int, int], below: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Other CPythons on this machine, one a version."""
    found: dict[tuple[int, int], str] = {}
    places = [Path(p) for p in os.environ.get("PATH", "").split(os.pathsep)]
    places += Path.home().glob(".pyenv/versions/*/bin")
    for place in places:
        for program in place.glob("python3.*"):
            version = program.name.removeprefix("python3.")
            key = (3, int(version)) if version.isdigit() else (0, 0)
            # A shim asks pyenv, which may say no.
            if not least <= key < below or key == sys.version_info[:2] or key in found or "shims" in str(place):
                continue
            if subprocess.run([program, "-c", ""], capture_output=True).returncode == 0:
                found[key] = str(program)
    return {program: key for key, program in found.items()}


def no_interpreter(folder: Path) -> None:
    return


def not_executable(folder: Path) -> None:
    (folder / "python").write_text("#!/bin/sh\n")


def not_python(folder: Path) -> None:
    (folder / "python").symlink_to("/bin/true")


def broken(folder: Path) -> None:
    (folder / "python").write_text("#!/nowhere/python3\n")
    (folder / "python").chmod(0o755)


@pytest.mark.parametrize("make", [no_interpreter, not_executable, not_python, broken])
def test_what_is_no_interpreter_is_refused_with_a_remedy(
    runtime: plugward.Runtime, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    folder = plugin(tmp_path / "p", "p", python="./python")
    make(folder)
    (report,) = runtime.load(str(folder))
    assert report.state == "UNAVAILABLE"
    assert report.error is not None
    assert report.code == "PW-ENV-004", report.error
    assert f"{folder}/./python" in report.error
    assert report.remedy


def test_an_interpreter_that_is_too_old_is_refused(runtime: plugward.Runtime, tmp_path: Path) -> None:
    found = other((3, 6), (3, 10))
    if not found:
        pytest.skip("no CPython before 3.10 is installed")
    folder = plugin(tmp_path / "p", "p", python=next(iter(found)))
    (report,) = runtime.load(str(folder))
    assert report.error is not None
    assert report.code == "PW-ENV-004", report.error
    assert "3.10" in str(report.findings)


def test_an_interpreter_of_its_own_needs_a_process(runtime: plugward.Runtime, tmp_path: Path) -> None:
    folder = plugin(tmp_path / "p", "p", python=sys.executable, isolation="thread")
    (report,) = runtime.load(str(folder))
    assert report.error is not None
    assert report.code == "PW-LOAD-002"
    assert "process" in report.remedy


MODULE = """
class Upper:
    def __init__(self): self.tools = {"up": self.up}
    def up(self, text):
        import os
        return [text.upper(), os.getpid()]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages: one module, offered as an entry point of its name."""
    folder = tmp_path / "site"
    (folder / "shouting").mkdir(parents=True)
    (folder / "shouting" / "__init__.py").write_text("")
    (folder / "shouting" / "loud.py").write_text(MODULE)
    info = folder / "shouting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\nSummary: shouts\n")
    (info / "entry_points.txt").write_text("[plugward.plugins]\nshouting = shouting.loud:Upper\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize(
    ("entrypoint", "isolation"),
    [
        ("shouting.loud:Upper", "process"),
        ("own.py:Upper", "process"),
        ("own:Upper", "process"),
        ("sub/deep.py:Upper", "process"),
        ("shouting", "process"),
        ("shouting", "thread"),
    ],
)
def test_every_way_to_name_the_code(site: Path, tmp_path: Path, entrypoint: str, isolation: str) -> None:
    folder = tmp_path / "p"
    (folder / "sub").mkdir(parents=True)
    for place in (folder / "own.py", folder / "sub" / "deep.py"):
        place.write_text(MODULE)
    manifest = {"name": "p", "kind": "python", "entrypoint": entrypoint, "isolation": isolation}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with plugward.Runtime(logging=False) as runtime:
        (report,) = runtime.load(str(folder))
        assert report.ok, report.error
        text, pid = runtime.call("p", "up", {"text": "hey"}).unwrap()
    assert text == "HEY"
    assert (pid == os.getpid()) == (isolation == "thread")


@pytest.mark.parametrize(
    "entrypoint", ["nowhere", "nowhere:Upper", "shouting.loud:Lower", "own.py:Lower", "no.py:Upper"]
)
def test_what_cannot_be_found_says_so(site: Path, tmp_path: Path, entrypoint: str) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "own.py").write_text(MODULE)
    manifest = {"name": "p", "kind": "python", "entrypoint": entrypoint, "isolation": "process"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with plugward.Runtime(logging=False) as runtime:
        (report,) = runtime.load(str(folder))
    assert report.error is not None
    assert report.code in ("PW-LOAD-003", "PW-LOAD-007"), report.error


def test_an_installed_plugin_may_ask_for_a_process(site: Path) -> None:
    (site / "shouting" / "manifest.json").write_text(
        json.dumps({"name": "shouting", "kind": "python", "entrypoint": "shouting.loud:Upper", "isolation": "process"})
    )
    with plugward.Runtime(logging=False) as runtime:
        reports = {report.name: report for report in runtime.load_entry_points()}
        assert reports["shouting"].ok, reports["shouting"].error
        text, pid = runtime.call("shouting", "up", {"text": "hey"}).unwrap()
    assert text == "HEY"
    assert pid != os.getpid()
