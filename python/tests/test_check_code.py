"""Is the code there that a manifest names? And are npm packages, of which this door runs none?"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import plugward
from python.tests.site_folder import SiteFolder


def plugin(folder: Path, **keys: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"name": "p", **keys}))
    return folder


def checked(folder: Path) -> list[dict[str, Any]]:
    return [one for one in plugward.DependencyChecker().check(folder) if one["subject"] != "machine"]


@pytest.mark.parametrize(
    ("kind", "entrypoint", "code"),
    [
        ("native", "libgone.so", "PW-NAT-001"),
        ("node", "gone.js", "PW-LOAD-007"),
        ("node", "gone.mjs:Export", "PW-LOAD-007"),
        ("python", "gone.py:P", "PW-LOAD-007"),
        ("python", "below/gone.py", "PW-LOAD-007"),
        ("python", "no_such_module:P", "PW-LOAD-003"),
        ("python", "no_such_module", "PW-LOAD-003"),
        ("python", "json.no_such_module:P", "PW-LOAD-003"),
        ("python", "package.gone:P", "PW-LOAD-003"),
    ],
)
def test_code_that_is_missing(tmp_path: Path, kind: str, entrypoint: str, code: str) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("raise SystemExit('it was imported')")
    plugin(tmp_path, kind=kind, entrypoint=entrypoint)
    (finding,) = checked(tmp_path)
    assert (finding["kind"], finding["ok"], finding["code"]) == ("entrypoint", False, code), finding
    assert finding["cause"], finding
    assert "entrypoint in the manifest" in finding["remedy"], finding


@pytest.mark.parametrize(
    "entrypoint", ["plugin.py:P", "plugin:P", "plugin", "package.module:P", "json:P", "json.decoder:P", "sys:P"]
)
def test_code_that_is_there_and_is_not_imported(tmp_path: Path, entrypoint: str) -> None:
    (tmp_path / "package").mkdir()
    for name in ("plugin.py", "package/__init__.py", "package/module.py"):
        (tmp_path / name).write_text("raise SystemExit('it was imported')")
    plugin(tmp_path, kind="python", entrypoint=entrypoint)
    (finding,) = checked(tmp_path)
    assert (finding["kind"], finding["ok"]) == ("entrypoint", True), finding


@pytest.mark.parametrize(("entrypoint", "code"), [("gone.py:P", "PW-LOAD-007"), ("no_such_module:P", "PW-LOAD-003")])
def test_a_load_says_the_same(tmp_path: Path, entrypoint: str, code: str) -> None:
    plugin(tmp_path, kind="python", entrypoint=entrypoint)
    with plugward.Runtime() as runtime:
        (report,) = runtime.load(tmp_path)
    assert (report.state, report.code) == ("FAILED", code)
    assert checked(tmp_path)[0]["code"] == code


def test_an_entry_point_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = SiteFolder(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site.path))
    points = "[plugward.plugins]\ngood = alpha:Plugin\nbad = alpha.gone:Plugin\n"
    site.add("alpha", code="raise SystemExit('it was imported')", files={"entry_points.txt": points})
    plugin(tmp_path / "plugin", kind="python", entrypoint="good")
    assert checked(tmp_path / "plugin")[0]["ok"]
    plugin(tmp_path / "plugin", kind="python", entrypoint="bad")
    (finding,) = checked(tmp_path / "plugin")
    assert (finding["code"], "alpha.gone" in finding["cause"]) == ("PW-LOAD-003", True), finding


def test_data_without_a_folder_says_nothing_of_its_code() -> None:
    assert checked({"name": "p", "kind": "python", "entrypoint": "no_such_module:P"}) == []  # type: ignore[arg-type]


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("other systems keep names as text")
    folder = tmp_path / "odd\udcff"
    plugin(folder, kind="python", entrypoint="gone:P")
    (finding,) = checked(folder)
    assert finding["code"] == "PW-LOAD-003", finding
    finding["cause"].encode()
    described = plugward.describe_permissions(folder)
    assert described["manifest"].encode().decode().endswith("odd\ufffd/manifest.json")


def install(folder: Path, name: str, **keys: Any) -> None:
    place = folder / "node_modules" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "package.json").write_text(json.dumps(keys))


def test_npm_packages(tmp_path: Path) -> None:
    (tmp_path / "index.js").write_text("")
    plugin(tmp_path, kind="node", entrypoint="index.js", dependencies=["alpha@^1.2.0", "gone"])
    (tmp_path / "package.json").write_text(json.dumps({"engines": {"node": ">=18"}, "dependencies": {"beta": "*"}}))
    install(tmp_path, "alpha", version="2.0.0")
    install(tmp_path, "beta", version="1.0.0", dependencies={"gamma": "^1"})
    found = {one["subject"]: one for one in checked(tmp_path)}
    codes = {subject: one["code"] for subject, one in found.items()}
    assert codes == {
        "index.js": None,
        "node": None,
        "alpha": "PW-PKG-002",
        "gone": "PW-PKG-001",
        "beta": "PW-PKG-003",
    }
    assert "no Node was looked at" in found["node"]["message"]
    assert "npm install gone" in found["gone"]["remedy"]


def test_the_libtorch_of_a_native_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLUGWARD_LIBTORCH", raising=False)
    config = {"libtorch": "torch", "libtorch_version": "2.11.0"}
    plugin(tmp_path, kind="native", entrypoint="libgone.so", config=config)
    library, torch = checked(tmp_path)
    assert (library["code"], torch["code"]) == ("PW-NAT-001", "PW-PKG-001")
    assert "torch==2.11.0" in torch["remedy"]
