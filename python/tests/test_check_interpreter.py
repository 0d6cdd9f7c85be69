"""A plugin with an interpreter of its own: findings are about that environment, not about the host's."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plugward
from python.tests.site_folder import SiteFolder

Findings = list[dict[str, Any]]


@pytest.fixture
def venv(tmp_path: Path) -> tuple[Path, SiteFolder]:
    """A virtual environment without any package, and its folder of packages."""
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True, timeout=50)
    (packages,) = place.glob("lib/python*/site-packages")
    return place, SiteFolder(packages)


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., Findings]:
    def check(python: Path | str, *requirements: str, deep: bool = False) -> Findings:
        manifest = {"name": "p", "kind": "python", "entrypoint": "p:P", "dependencies": list(requirements)}
        manifest["python"] = str(python)
        found = plugward.DependencyChecker().check(manifest, deep=deep)
        return [one for one in found if one["subject"] != "machine"]

    return check


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_environment_is_looked_at_not_the_hosts(
    venv: tuple[Path, SiteFolder], checked: Callable[..., Findings]
) -> None:
    place, site = venv
    site.add("alpha", "3.1", requires=["beta; python_version >= '3'"])
    interpreter, numpy, alpha = checked(place, "numpy", "alpha")
    assert interpreter["ok"]
    assert str(place / "bin" / "python") in interpreter["message"]
    assert numpy["code"] == "PW-PKG-001", "the host has numpy, this environment has not"
    assert f"{place}/bin/python -m pip install" in numpy["remedy"]
    assert alpha["code"] == "PW-PKG-003"
    site.add("beta")
    assert [one["ok"] for one in checked(place, "alpha")] == [True, True], "what is installed meanwhile is seen"
    assert [one["ok"] for one in checked(place / "bin" / "python", "alpha")] == [True, True]


def test_deep_imports_there(venv: tuple[Path, SiteFolder], checked: Callable[..., Findings]) -> None:
    place, site = venv
    site.add("alpha", code="import sys\nassert sys.prefix.endswith('venv'), sys.prefix\nraise ImportError('in there')")
    findings = checked(place, "alpha", deep=True)
    assert [one["code"] for one in findings] == [None, None, "PW-PKG-005"]
    assert "in there" in findings[2]["cause"]


def test_folders_that_pth_files_add(
    venv: tuple[Path, SiteFolder], checked: Callable[..., Findings], tmp_path: Path
) -> None:
    place, site = venv
    assert [one["ok"] for one in checked(place, "alpha")] == [True, False]
    elsewhere = SiteFolder(tmp_path / "elsewhere")
    elsewhere.add("alpha")
    (site.path / "more.pth").write_text(str(elsewhere.path))
    assert [one["ok"] for one in checked(place, "alpha")] == [True, True]


def test_markers_are_those_of_the_interpreter(tmp_path: Path, checked: Callable[..., Findings]) -> None:
    facts = '{"version": "3.14.2", "path": ["%s"], "markers": {"python_version": "3.14", "sys_platform": "linux"}}'
    program = script(tmp_path / "python", "printf '\\036'; echo '" + facts % tmp_path + "'")
    findings = checked(program, 'alpha; python_version < "3.14"', 'beta; python_version == "3.14"')
    assert [one["code"] for one in findings] == [None, None, "PW-PKG-001"], findings
    assert "Python 3.14.2" in findings[0]["message"]


def test_the_interpreter_is_asked_once(
    venv: tuple[Path, SiteFolder], checked: Callable[..., Findings], tmp_path: Path
) -> None:
    place, _ = venv
    program = script(tmp_path / "python", f'echo >> "{tmp_path}/count"; exec "{place}/bin/python" "$@"')
    for _ in range(3):
        assert checked(program)[0]["ok"]
    assert (tmp_path / "count").read_text() == "\n"
    time.sleep(0.02)
    script(program, f'echo >> "{tmp_path}/count"; exec "{place}/bin/python" "$@" ')
    assert checked(program)[0]["ok"]
    assert (tmp_path / "count").read_text() == "\n\n", "a changed interpreter is asked anew"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("exit 3", "exit status 3"),
        ("echo no python here", "exit status 0"),
        ("echo lost >&2; kill -SEGV $$", "SIGSEGV; its last lines: lost"),
        ('printf \'\\036{"version": "3.9.1", "path": [], "markers": {}}\'', "3.10 or newer"),
    ],
)
def test_what_is_no_interpreter(tmp_path: Path, checked: Callable[..., Findings], text: str, word: str) -> None:
    findings = checked(script(tmp_path / "python", text), "numpy")
    assert [one["code"] for one in findings] == ["PW-ENV-004"], "nothing is said about the host's packages"
    assert word in findings[0]["cause"]


def test_an_interpreter_that_is_not_there(tmp_path: Path, checked: Callable[..., Findings]) -> None:
    assert "no such program" in checked(tmp_path / "bin" / "python")[0]["cause"]
    assert checked("no-such-python-at-all")[0]["code"] == "PW-ENV-004"
    (tmp_path / "plain").write_text("text")
    assert checked(tmp_path / "plain")[0]["code"] == "PW-ENV-004"


def test_a_plugin_with_a_broken_interpreter_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text("class Plugin:\n    tools = {'one': lambda: 1}\n")
    (tmp_path / "manifest.json").write_text(
        '{"name": "p", "kind": "python", "entrypoint": "plugin.py", "python": ".venv"}'
    )
    (tmp_path / ".venv").mkdir()
    with plugward.Runtime() as runtime:
        (report,) = runtime.load(tmp_path)
        assert (report.state, report.code) == ("UNAVAILABLE", "PW-ENV-004")
        outcome = plugward.ToolRunner(runtime).run_tool("p", "one", {})
        assert outcome["code"] == "PW-ENV-004"
        assert ".venv/bin/python" in outcome["error"]
