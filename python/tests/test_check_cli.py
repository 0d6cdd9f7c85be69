"""`plugward check`, as people and scripts call it."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from python.tests.site_folder import SiteFolder

VIDEOTRACKER = Path(__file__).parents[2] / "plugins" / "videotracker"
COMMAND = [sys.executable, "-m", "plugward.cli", "check"]


def plugin(folder: Path, name: str, **keys: Any) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    manifest = {"name": name, "kind": "python", "entrypoint": "plugin.py:Plugin", **keys}
    (place / "manifest.json").write_text(json.dumps(manifest))
    (place / "plugin.py").write_text("raise SystemExit('it was imported')")
    return place


def check(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=50, env={**os.environ, **env}
    )


def on_a_terminal(*arguments: object) -> str:
    """What a person sees: both streams are a terminal."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(mine, 65536):
            seen += chunk
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(mine)
    process.wait(timeout=50)
    return seen.decode()


def test_every_finding_with_cause_and_remedy(tmp_path: Path) -> None:
    plugin(tmp_path, "one", dependencies=["numpy", "gone-package"], env=["SURELY_UNSET"], models={"m": "m.pt"})
    ended = check(tmp_path, COLUMNS="200")
    assert (ended.returncode, ended.stderr) == (1, "")
    for word in ("ok", "numpy", "PW-PKG-001", "PW-ENV-001", "PW-MODEL-001", "why: it is not set"):
        assert word in ended.stdout
    assert 'do: install it: pip install "gone-package"' in ended.stdout
    assert "findings that need a hand: 3" in ended.stdout


def test_exit_codes(tmp_path: Path) -> None:
    good = plugin(tmp_path / "good", "good", dependencies=["numpy"])
    ended = check(good)
    assert (ended.returncode, "all that is needed is there" in ended.stdout) == (0, True)
    assert check(good / "manifest.json").returncode == 0
    plugin(tmp_path / "good", "bad", env=["SURELY_UNSET"])
    assert check(tmp_path / "good").returncode == 1
    broken = plugin(tmp_path / "broken", "broken")
    (broken / "manifest.json").write_text('{"name": "broken", "knid": "python"}')
    ended = check(tmp_path / "broken")
    assert ended.returncode == 2
    assert "cannot be used" in ended.stdout
    assert "kind" in ended.stdout
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", tmp_path / "nowhere"):
        assert check(nothing).returncode == 2
    assert check().returncode == 2
    assert check(good, "--depe").returncode == 2
    assert check(good, "--import-timeout", "0").returncode == 2


def test_the_manifest_that_cannot_be_used(tmp_path: Path) -> None:
    ended = check(tmp_path / "nonexist", COLUMNS="200")
    assert ended.stdout.startswith("nonexist ")
    assert "why: " in ended.stdout
    for irregular in ("/dev/null", fifo(tmp_path)):
        ended = check(irregular, COLUMNS="200")
        assert ended.returncode == 2
        assert "do: name a manifest's file, or the folder of a plugin" in ended.stdout


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "manifest.json")
    return folder


def test_plugins_whose_code_is_not_there(tmp_path: Path) -> None:
    (plugin(tmp_path, "one") / "plugin.py").unlink()
    plugin(tmp_path, "two", kind="node", entrypoint="plugin.py", dependencies=["gone@^1"])
    ended = check(tmp_path, COLUMNS="200")
    assert ended.returncode == 1
    assert "PW-LOAD-007" in ended.stdout
    assert "npm install gone@^1" in ended.stdout


def test_the_videotracker_without_its_library_and_torch(tmp_path: Path) -> None:
    unbuilt = tmp_path / "videotracker"
    shutil.copytree(VIDEOTRACKER, unbuilt, ignore=shutil.ignore_patterns("*.so", "src", "target", "tests", "train"))
    ended = check(unbuilt, COLUMNS="250", PLUGWARD_LIBTORCH=str(tmp_path))
    assert ended.returncode == 1
    for words in ("PW-NAT-001", "videotracker/README.md says", "torch==2.11.0", "config.libtorch of the manifest"):
        assert ended.stdout.count(words) >= 2, words


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    plugin(tmp_path, "odd\udcff")
    manifest = tmp_path / "odd\udcff" / "manifest.json"
    manifest.write_text(json.dumps({"name": "odd", "kind": "python", "entrypoint": "plugin.py"}))
    ended = check(tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    (report,) = json.loads(check(tmp_path, "--json").stdout)
    assert report["path"].endswith("odd\ufffd/manifest.json")
    assert report["permissions"]["clauses"]


def test_json(tmp_path: Path) -> None:
    plugin(tmp_path, "one", requires_gpu=True, env=["HOME"])
    (plugin(tmp_path, "two") / "manifest.json").write_text("{")
    ended = check(tmp_path, "--json")
    one, two = sorted(json.loads(ended.stdout), key=lambda report: report["name"])
    assert ended.returncode == 2
    assert (two["ok"], two["error"]["code"], two["findings"]) == (False, "PW-MAN-002", [])
    assert one["error"] is None
    keys = {"kind", "subject", "ok", "code", "cause", "message", "remedy", "took_us"}
    assert all(set(finding) == keys for finding in one["findings"])
    assert {finding["kind"] for finding in one["findings"]} == {"platform", "gpu", "env", "entrypoint"}
    assert one["ok"] == all(finding["ok"] for finding in one["findings"])


def test_what_a_plugin_may_do(tmp_path: Path) -> None:
    permissions = {"network": True, "write": ["/somewhere/else"]}
    plugin(tmp_path, "one", isolation="process", permissions=permissions, limits={"memory_mb": 300})
    shown = check(tmp_path, COLUMNS="200").stdout
    for word in ("uses the network", "permissions.network", "/somewhere/else", "starts no process", "300 MiB"):
        assert word in shown
    assert "limits.cpu_s" not in shown, "limits that are not set"
    plugin(tmp_path / "more", "silent")
    plugin(tmp_path / "more", "thread", isolation="thread")
    silent, thread = json.loads(check(tmp_path / "more", "--json").stdout)
    assert silent["permissions"]["confined"] == (sys.platform == "linux"), "it names no isolation"
    assert not thread["permissions"]["confined"]
    (report,) = json.loads(check(tmp_path, "--json").stdout)
    assert {"permissions.read", "permissions.write", "limits.cpu_s"} <= {
        clause["line"] for clause in report["permissions"]["clauses"]
    }


def test_deep(tmp_path: Path) -> None:
    site = SiteFolder(tmp_path / "site")
    site.add("alpha", code="import os; os.abort()")
    plugin(tmp_path / "plugins", "one", dependencies=["alpha"])
    shallow = check(tmp_path / "plugins", PYTHONPATH=str(site.path))
    assert shallow.returncode == 0, shallow.stdout
    deep = check(tmp_path / "plugins", "--deep", PYTHONPATH=str(site.path))
    assert deep.returncode == 1
    assert "PW-PKG-005" in deep.stdout
    assert "SIGABRT" in deep.stdout


def test_what_findings_say_is_not_markup(tmp_path: Path) -> None:
    plugin(tmp_path, "one", dependencies=["gone[bold]"], env=["[red]X[/]"])
    ended = check(tmp_path, COLUMNS="200")
    assert "gone[bold]" in ended.stdout
    assert "[red]X[/]" in ended.stdout


def test_colour_and_progress_are_for_terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    place = plugin(tmp_path, "one", models={"big": {"path": "weights.bin", "sha256": "0" * 64}})
    with (place / "weights.bin").open("wb") as file:
        file.write(b"\x01weights")
        file.truncate(200 << 20)
    plain = check(tmp_path)
    assert plain.returncode == 1
    assert "PW-MODEL-005" in plain.stdout
    assert "\x1b" not in plain.stdout + plain.stderr
    seen = on_a_terminal(tmp_path)
    assert "\x1b[31m" in seen
    assert "reading weights.bin" in seen
    assert "PW-MODEL-005" in seen
