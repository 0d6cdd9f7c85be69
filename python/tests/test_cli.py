"""The console script, as people and machines call it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = """
class Plugin:
    def __init__(self):
        self.tools = {"add": {"handler": self.add}, "fail": {"handler": self.fail}}
    def add(self, a, b=1):
        return {"sum": a + b}
    def fail(self):
        raise ValueError("on purpose")
"""


def cli(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plugward.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


def data(*arguments: object) -> tuple[int, Any]:
    ended = cli(*arguments, "--json")
    return ended.returncode, json.loads(ended.stdout)


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins" / "calc"
    folder.mkdir(parents=True)
    (folder / "plugin.py").write_text(SOURCE)
    manifest = {"name": "calc", "kind": "python", "entrypoint": "plugin.py:Plugin", "dependencies": ["pydantic"]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "plugins"


def test_run(plugins: Path, tmp_path: Path) -> None:
    status, outcome = data("run", "calc", "add", "-p", plugins, "--args", '{"a": 2}')
    assert (status, outcome["result"]) == (0, {"sum": 3})
    (tmp_path / "args.json").write_text('{"a": 40, "b": 2}')
    status, outcome = data("run", "calc", "add", "-p", plugins, "--args", f"@{tmp_path / 'args.json'}")
    assert (status, outcome["result"]) == (0, {"sum": 42})
    status, outcome = data("run", "calc", "fail", "-p", plugins)
    assert (status, outcome["error"]) == (1, "on purpose")
    shown = cli("run", "calc", "fail", "-p", plugins)
    assert shown.returncode == 1
    assert "on purpose" in shown.stderr
    assert "what to do" in shown.stderr


@pytest.mark.parametrize("args", ["{", "[1]", "@/no/such/file"])
def test_wrong_use_is_exit_code_2(plugins: Path, args: str) -> None:
    ended = cli("run", "calc", "add", "-p", plugins, "--args", args)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_list(plugins: Path) -> None:
    status, health = data("list", "-p", plugins)
    assert (status, [one["state"] for one in health]) == (0, ["INITIALIZED"])
    (plugins / "calc" / "plugin.py").write_text("1/0")
    status, health = data("list", "-p", plugins)
    assert (status, [one["state"] for one in health]) == (1, ["FAILED"])
    assert "calc" in cli("list", "-p", plugins).stdout


def test_check(plugins: Path) -> None:
    status, reports = data("check", plugins)
    assert status == 0
    assert [one["kind"] for one in reports[0]["findings"] if one["subject"] == "pydantic"] == ["package"]
    manifest = plugins / "calc" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("pydantic", "no-such-package-at-all"))
    status, reports = data("check", plugins)
    assert status == 1
    assert "PW-PKG-001" in [one["code"] for one in reports[0]["findings"]]
    manifest.write_text("{")
    status, reports = data("check", plugins)
    assert (status, reports[0]["error"]["code"]) == (2, "PW-MAN-002")
    assert cli("check", plugins).returncode == 2
    assert cli("check", plugins / "nowhere").returncode == 2


def test_doctor(plugins: Path) -> None:
    status, report = data("doctor", "-p", plugins)
    assert (status, report["problems"]) == (0, [])
    assert report["facts"]["plugward"]
    assert {one["kind"] for one in report["facts"]["gpu_findings"]} == {"gpu"}
    assert "gpu driver" in cli("doctor").stdout
    assert "all is well" in cli("doctor").stdout
