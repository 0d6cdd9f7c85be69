"""The dependency checker: what is missing is named, and every helper may be replaced."""

import sys
import zipfile
from pathlib import Path
from unittest.mock import MagicMock, patch

import pytest

from plugward.forgesyte.loader import dependency_checker
from plugward.forgesyte.loader.dependency_checker import (
    DependencyChecker,
    check_dependencies,
    get_dependency_checker,
)


@pytest.fixture
def checker() -> DependencyChecker:
    return DependencyChecker()


def torch_that_says(answer: object) -> MagicMock:
    torch = MagicMock()
    torch.cuda.is_available.side_effect = [answer]
    return torch


def test_packages(checker: DependencyChecker) -> None:
    assert checker.check_python_package("json")
    assert checker.check_python_package("os.path")
    assert checker.check_python_package("pydantic>=2")
    for absent in ("no_such_package", "no.such.package", "pydantic>=999", "", "not a package!", None, 3):
        assert not checker.check_python_package(absent)  # type: ignore[arg-type]


def test_find_spec_may_be_replaced(checker: DependencyChecker) -> None:
    with patch("importlib.util.find_spec", return_value=None):
        assert not checker.check_python_package("json")
    with patch("importlib.util.find_spec", side_effect=ModuleNotFoundError):
        assert not checker.check_python_package("json")
    with patch("importlib.util.find_spec", return_value=MagicMock()):
        assert checker.check_python_package("no_such_package")
    with patch.dict(sys.modules, {"cv2": MagicMock()}):
        assert checker.check_python_package("cv2")
    with patch.dict(sys.modules, {"json": None}):
        assert not checker.check_python_package("json")


@pytest.mark.parametrize("answer", [True, False])
def test_a_torch_that_is_loaded_is_asked(checker: DependencyChecker, answer: bool) -> None:
    with patch.dict(sys.modules, {"torch": torch_that_says(answer)}):
        assert checker.check_gpu() is answer


def test_a_torch_that_somebody_injects_is_asked(checker: DependencyChecker) -> None:
    with patch("importlib.import_module", return_value=torch_that_says(True)):
        assert checker.check_gpu() is True


@pytest.mark.parametrize("trouble", [RuntimeError("driver"), ImportError("libcudart"), OSError("no")])
def test_a_torch_that_raises_sees_nothing(checker: DependencyChecker, trouble: Exception) -> None:
    with patch.dict(sys.modules, {"torch": torch_that_says(trouble)}):
        assert checker.check_gpu() is False


def test_a_forbidden_torch_sees_nothing(checker: DependencyChecker) -> None:
    with patch.dict(sys.modules, {"torch": None}):
        assert checker.check_gpu() is False


def test_without_torch_the_driver_is_asked(checker: DependencyChecker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    for answer in (True, False):
        monkeypatch.setattr(dependency_checker, "driver_sees_a_gpu", lambda answer=answer: answer)
        assert checker.check_gpu() is answer
    monkeypatch.undo()
    assert isinstance(checker.check_gpu(), bool)
    assert "torch" not in sys.modules


def test_model_files(checker: DependencyChecker, tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    assert not checker.check_model_file(model)
    assert not checker.check_model_file(tmp_path)
    model.write_bytes(b"x" * 15)
    assert not checker.check_model_file(model)
    assert checker.check_model_file(str(model), read_bytes=8)
    model.write_bytes(b"")
    assert not checker.check_model_file(model, read_bytes=0)
    model.write_bytes(b"any bytes of a format that nobody knows" * 10)
    assert checker.check_model_file(model)
    for odd in (None, 3, "\0"):
        assert not checker.check_model_file(odd)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
        b"<!DOCTYPE html>\n<html><body>404: not found</body></html>",
        b"PK\x03\x04" + b"a zip file that was cut off" * 20,
        bytes(99),
        bytes(1 << 20),
        bytes(range(129, 228)),
    ],
)
def test_what_is_visibly_no_model(checker: DependencyChecker, tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "model.pt"
    model.write_bytes(content)
    assert not checker.check_model_file(model)


NODE = b"\x0a\x01x\x12\x01y\x22\x04Relu"
GRAPH = b"\x0a" + bytes([len(NODE)]) + NODE + b"\x12\x01g"
ONNX = b"\x08\x08\x3a" + bytes([len(GRAPH)]) + GRAPH + b"\x42\x04\x0a\x00\x10\x0d"
SAFETENSORS = b'{"w":{"dtype":"F32","shape":[64],"data_offsets":[0,256]}}'


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("model.safetensors", len(SAFETENSORS).to_bytes(8, "little") + SAFETENSORS + bytes(range(256))),
        ("model.onnx", ONNX),
    ],
)
def test_a_model_that_was_cut_off(checker: DependencyChecker, tmp_path: Path, name: str, whole: bytes) -> None:
    model = tmp_path / name
    model.write_bytes(whole)
    assert checker.check_model_file(model)
    for length in (len(whole) // 2, len(whole) - 1):
        model.write_bytes(whole[:length])
        assert not checker.check_model_file(model), length


def test_a_model_is_not_read_on_the_callers_thread(
    checker: DependencyChecker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.pt"
    model.write_bytes(b"any bytes of a format that nobody knows")
    looked: list[str] = []
    with monkeypatch.context() as patched:
        for name in ("is_file", "open", "stat"):
            patched.setattr(Path, name, lambda *_, name=name: looked.append(name))
        found = checker.check_model_file(model)
    assert (found, looked) == (True, []), "a dead mount would hang there"


def test_a_whole_archive_is_a_model(checker: DependencyChecker, tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("model/version", b"3\n")
    assert checker.check_model_file(model)


def test_everything_that_is_missing_is_named(checker: DependencyChecker, tmp_path: Path) -> None:
    with patch.object(checker, "check_gpu", return_value=False):
        answer = checker.check_dependencies(
            ["json", "no_such_a", "no_such_b>=2"], requires_gpu=True, requires_models={"detector": tmp_path / "gone.pt"}
        )
    assert answer["available"] is False
    assert answer["missing"] == ["no_such_a", "no_such_b>=2", "GPU", str(tmp_path / "gone.pt")]
    for word in ("no_such_a", "no_such_b", "GPU", "gone.pt", "pip install"):
        assert word in answer["reason"]


def test_nothing_missing() -> None:
    assert check_dependencies(["json"]) == {"available": True, "reason": None, "missing": []}
    assert check_dependencies() == {"available": True, "reason": None, "missing": []}
    assert get_dependency_checker() is get_dependency_checker()


def test_manifests(checker: DependencyChecker) -> None:
    with patch.object(checker, "check_gpu", return_value=True) as gpu:
        manifest = {"id": "x", "requires_gpu": True, "dependencies": ["json"], "models": {}, "whatever": 1}
        assert checker.validate_plugin_manifest(manifest)["available"]
        gpu.assert_called_once_with()
    assert checker.validate_plugin_manifest({"dependencies": ["no_such_package"]})["missing"] == ["no_such_package"]
    for key in ("models", "dependencies"):
        answer = checker.validate_plugin_manifest({key: 5})
        assert (answer["available"], answer["missing"]) == (False, [key])
        assert f"{key} must be a list or a mapping, not int" in answer["reason"]
    assert checker.validate_plugin_manifest({})["available"]
    assert checker.validate_plugin_manifest(None)["available"]


def test_validate_plugin(checker: DependencyChecker, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = checker.validate_plugin("ocr", required_packages=["json"])
    assert (good.ok, good.reason, good.missing_deps) == (True, None, [])
    with patch.object(checker, "check_gpu", return_value=False):
        bad = checker.validate_plugin("ocr", True, [tmp_path / "gone.onnx"], ["no_such_package"])
    assert (bad.ok, bad.gpu_available) == (False, False)
    assert bad.missing_deps == ["no_such_package", "GPU", str(tmp_path / "gone.onnx")]
    assert "GPU" in (bad.reason or "")
    assert "ocr" in caplog.text
    with patch.object(checker, "check_gpu", return_value=True):
        assert checker.validate_plugin("ocr", requires_gpu=True).gpu_available is True
