"""docs/dependencies.md: every code is there, and every example is what the checker says.

`python -m python.tests.test_dependency_docs` writes the examples anew.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plugward
from plugward._errors import CATALOGUE, Code
from python.tests.fake_machine import Machine
from python.tests.site_folder import SiteFolder
from python.tests.test_check_gpu import CAUSES

PAGE = Path(__file__).parents[2] / "docs" / "dependencies.md"
KINDS = ("PW-PKG-", "PW-ENV-", "PW-GPU-", "PW-MODEL-")
CODES = [code.value for code in CATALOGUE if code.value.startswith(KINDS)]
ELSEWHERE = {"PW-MODEL-008": "core/tests/check_model_place.rs"}
"""Examples that need what a test here cannot make: a mount that is dead."""
EXAMPLE = re.compile(r"^### (PW-[A-Z]+-\d+)\n\n```text\n(.*?)```", re.MULTILINE | re.DOTALL)

Scenario = Callable[[Path], dict[str, Any]]


def package(*requirements: str, deep: bool = False, **installed: str) -> Scenario:
    """A plugin that needs packages, in a folder of hand-made ones: name = what its module does."""

    def run(place: Path) -> dict[str, Any]:
        site = SiteFolder(place / "site")
        for name, code in installed.items():
            if code == "damaged":
                (site.add(name) / "METADATA").unlink()
            else:
                site.add(name, "2.1", [code] if code.startswith("delta") else [], code="" if "delta" in code else code)
        sys.path.insert(0, str(site.path))
        try:
            return only(place, deep=deep, dependencies=list(requirements))
        finally:
            sys.path.remove(str(site.path))

    return run


def model(content: Callable[[Path], object], **keys: Any) -> Scenario:
    """A plugin with a model, at whose place `content` puts something."""

    def run(place: Path) -> dict[str, Any]:
        content(place / "detector.pt")
        return only(place, models={"detector": {"path": str(place / "detector.pt"), **keys}})

    return run


def manifest(**keys: Any) -> Scenario:
    return lambda place: only(place, **keys)


def interpreter(place: Path) -> dict[str, Any]:
    return only(place, python=str(place / ".venv" / "bin" / "python"))


def machine(code: str) -> Scenario:
    def run(place: Path) -> dict[str, Any]:
        made = Machine(place)
        CAUSES[code][0](made)
        found: list[dict[str, Any]] = made.load()["findings"]
        return bad(found)

    return run


def only(place: Path, *, deep: bool = False, **keys: Any) -> dict[str, Any]:
    whole = {"name": "tracker", "kind": "python", "entrypoint": "plugin.py:Plugin", **keys}
    return bad(plugward.DependencyChecker().check(whole, deep=deep, import_timeout=30))


def bad(findings: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [one for one in findings if not one["ok"]]
    return found


def archive(**files: bytes) -> bytes:
    """A zip archive as torch writes them, with fixed times."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(zipfile.ZipInfo(f"m/{name.replace('_pkl', '.pkl')}"), content)
    return out.getvalue()


SAVED = archive(data_pkl=b"\x80\x02}.", version=b"3\n")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345678\n"

SCENARIOS: dict[str, Scenario] = {
    "PW-PKG-001": package("no-such-package>=2"),
    "PW-PKG-002": package("alpha>=3,<4", alpha=""),
    "PW-PKG-003": package("alpha", alpha="delta>=1"),
    "PW-PKG-004": package("alpha >= three"),
    "PW-PKG-005": package(
        "alpha", deep=True, alpha="raise ImportError('libalpha.so.3: cannot open shared object file')"
    ),
    "PW-PKG-006": package("alpha", alpha="damaged"),
    "PW-ENV-001": manifest(env=["TRACKER_LICENCE_KEY"]),
    "PW-ENV-002": manifest(executables=["no-such-ffmpeg"]),
    "PW-ENV-003": manifest(python=">=3.99"),
    "PW-ENV-004": interpreter,
    **{code: machine(code) for code in CAUSES},
    "PW-MODEL-001": model(lambda path: None),
    "PW-MODEL-002": model(lambda path: path.mkdir()),
    "PW-MODEL-003": model(lambda path: path.symlink_to(path.name)),
    "PW-MODEL-004": model(lambda path: path.write_bytes(b"")),
    "PW-MODEL-005": model(lambda path: path.write_bytes(SAVED), sha256=hashlib.sha256(b"another").hexdigest()),
    "PW-MODEL-006": model(lambda path: path.write_bytes(SAVED[:-40])),
    "PW-MODEL-007": model(lambda path: path.write_bytes(POINTER)),
    "PW-MODEL-009": model(lambda path: path.write_bytes(SAVED), format="torchscript"),
}


def example(code: str, place: Path) -> str:
    """What the checker says, as `plugward check` would print it, without what differs from machine to machine."""
    found = SCENARIOS[code](place)
    assert found["code"] == code, found
    text = (
        f"{code} {found['kind']} {found['subject']}: {found['message']}\nwhy: {found['cause']}\ndo: {found['remedy']}\n"
    )
    text = text.replace(str(place), "/srv/tracker")
    text = re.sub(r"0x[0-9a-f]{8,}", "0x7f0000000000", text)
    text = re.sub(r"this is Python [\d.]+\w*", "this is Python 3.11.7", text)
    return re.sub(r"; the nearest folder that exists is \S+", "; the nearest folder that exists is /srv", text)


def documented() -> dict[str, str]:
    return dict(EXAMPLE.findall(PAGE.read_text()))


def test_every_code_has_its_example() -> None:
    assert list(documented()) == CODES
    assert set(SCENARIOS) | set(ELSEWHERE) == set(CODES)


@pytest.mark.parametrize("code", SCENARIOS)
def test_the_example_is_what_the_checker_says(code: str, tmp_path: Path) -> None:
    if code.startswith("PW-GPU") and sys.platform != "linux":
        pytest.skip("the driver's stand-ins are Linux libraries")
    said = example(code, tmp_path)
    assert documented()[code] == said, f"the page should say:\n{said}"


@pytest.mark.parametrize("code", ELSEWHERE)
def test_what_is_shown_elsewhere_is_in_the_catalogues_words(code: str) -> None:
    row = CATALOGUE[Code(code)]
    text = documented()[code]
    assert row.message in text
    assert row.remedy in text
    assert (PAGE.parents[1] / ELSEWHERE[code]).exists()


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "plugins" / "tracker"
    place.mkdir(parents=True)
    (place / "manifest.json").write_text('{"name": "tracker", "kind": "python", "entrypoint": "plugin.py"}')
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), {})


def rewrite() -> None:
    """Put every example into the page as it is today."""

    def anew(found: re.Match[str]) -> str:
        code = found[1]
        if code in ELSEWHERE:
            return found[0]
        place = Path(tempfile.mkdtemp())
        try:
            return f"### {code}\n\n```text\n{example(code, place)}```"
        finally:
            shutil.rmtree(place)

    PAGE.write_text(EXAMPLE.sub(anew, PAGE.read_text()))


if __name__ == "__main__":
    rewrite()
