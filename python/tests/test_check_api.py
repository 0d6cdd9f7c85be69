"""`DependencyChecker`: what a host calls."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import plugward


def manifest(path: Path, sha256: str) -> dict[str, object]:
    models = {"m": {"path": str(path), "sha256": sha256}}
    return {"name": "p", "kind": "python", "entrypoint": "p:P", "models": models}


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"\x01" * (20 << 20))
    return path


def test_progress_of_a_large_model_which_is_read_once(large: Path) -> None:
    told: list[tuple[str, int, int]] = []
    wanted = manifest(large, hashlib.sha256(large.read_bytes()).hexdigest())
    checker = plugward.DependencyChecker()
    for _ in range(2):
        findings = checker.check(wanted, progress=lambda path, done, total: told.append((str(path), done, total)))
        assert all(one["ok"] for one in findings)
    assert [one[0] for one in told] == [str(large)] * 3
    assert [one[1] for one in told] == sorted(one[1] for one in told)
    assert told[-1][1:] == (20 << 20, 20 << 20), "the second check remembers the sum"


def test_a_callback_that_raises_harms_nothing(large: Path) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("on purpose")

    (_, finding) = plugward.DependencyChecker().check(manifest(large, "0" * 64), progress=fail)
    assert finding["code"] == "PW-MODEL-005"


def test_the_gpu_alone() -> None:
    findings = plugward.DependencyChecker().gpu()
    assert findings
    assert {one["kind"] for one in findings} == {"gpu"}
    assert plugward.DependencyChecker().check_gpu() == all(one["ok"] for one in findings)


COLD = """
import sys, plugward
from plugward import DependencyChecker, _native
before = set(sys.modules)
_native.check_manifest = None  # what compiles the manifest's schema
assert DependencyChecker().check_gpu() in (True, False)
assert DependencyChecker().check_dependencies(requires_gpu=True)["findings"]
print(sorted(set(sys.modules) - before))
"""


def test_the_gpu_is_asked_without_reading_a_manifest_or_importing_anything() -> None:
    ended = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, timeout=50, check=True)
    assert ended.stdout == "[]\n"


@pytest.mark.parametrize("source", ["/no/such/manifest.json", {"name": "p", "knid": "python"}])
def test_what_cannot_be_read_raises(source: object) -> None:
    with pytest.raises(plugward.PlugwardError) as refused:
        plugward.DependencyChecker().check(source)  # type: ignore[arg-type]
    assert refused.value.code.startswith("PW-MAN-")
