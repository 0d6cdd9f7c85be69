"""Loading: a plugin's fault is in the registry and in the log, and nowhere else."""

import json
import logging
import sys
import threading
from pathlib import Path
from unittest.mock import MagicMock, patch

import pytest

from plugward.forgesyte.lifecycle.lifecycle_state import PluginLifecycleState as State
from plugward.forgesyte.loader.plugin_errors import (
    PluginImportError,
    PluginInitError,
    PluginLoadError,
    PluginValidationError,
)
from plugward.forgesyte.loader.plugin_loader import PluginLoader, get_plugin_loader
from plugward.forgesyte.loader.plugin_registry import PluginRegistry
from plugward.forgesyte.loader.startup_audit import run_startup_audit

GOOD = """
class Plugin:
    name = "whatever"
    def __init__(self):
        self.tools = {"double": {"handler": self.double, "description": "", "input_schema": {}}}
    def double(self, n):
        return 2 * n
"""


@pytest.fixture
def loader() -> PluginLoader:
    return get_plugin_loader()


def write(folder: Path, code: str, name: str = "plugin.py") -> Path:
    file = folder / name
    file.write_text(code)
    return file


def test_errors_have_one_family() -> None:
    for kind in (PluginImportError, PluginInitError, PluginValidationError):
        assert issubclass(kind, PluginLoadError)


def test_a_file_a_folder_and_modules(
    loader: PluginLoader, registry: PluginRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD.replace("Plugin", "Ocr"), "ocr_module_for_test.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    paths = {
        "file": tmp_path / "plugin.py",
        "file_and_class": f"{tmp_path / 'plugin.py'}:Plugin",
        "folder": tmp_path,
        "entry": "ocr_module_for_test:Ocr",
        "dotted": "ocr_module_for_test.Ocr",
        "module": "ocr_module_for_test",
    }
    for name, path in paths.items():
        assert loader.load_plugin(name, str(path), description="d", version="1.0.0") is True, name
        status = registry.get_status(name)
        assert status is not None
        assert (status.state, status.description, status.version) == (State.INITIALIZED, "d", "1.0.0")
        assert registry.get(name).double(4) == 8


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ("import no_such_module_at_all", PluginImportError, "no_such_module_at_all"),
        ("raise SystemExit('no licence')", PluginImportError, "no licence"),
        ("this is no python", PluginImportError, "SyntaxError"),
        ("x = 1", PluginImportError, "no class Plugin"),
        ("class Plugin:\n  def __init__(self): raise RuntimeError('bad config')", PluginInitError, "bad config"),
        ("import sys\nclass Plugin:\n  def __init__(self): sys.exit(7)", PluginInitError, "SystemExit"),
        ("class Plugin:\n  def run(self): pass\n  def validate(self): return False", PluginValidationError, "validate"),
        (
            "class Plugin:\n  def run(self): pass\n  def validate(self): raise ValueError('no weights')",
            PluginValidationError,
            "no weights",
        ),
        ("class Plugin:\n  tools = {'a': {'handler': 'gone'}}", PluginValidationError, "tool"),
    ],
)
def test_each_fault_is_listed_failed_with_its_step(
    loader: PluginLoader,
    registry: PluginRegistry,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    code: str,
    error: type[PluginLoadError],
    words: str,
) -> None:
    file = write(tmp_path, code)
    with pytest.raises(error, match=words):
        loader.load("bad", str(file))
    assert loader.load_plugin("bad", str(file)) is False
    status = registry.get_status("bad")
    assert status is not None
    assert status.state is State.FAILED
    assert words in (status.reason or "")
    assert "bad" in [s.name for s in registry.list_all()]
    assert any(
        r.levelno == logging.ERROR and words in r.getMessage() and "bad" in r.getMessage() for r in caplog.records
    )


def test_what_is_not_there(loader: PluginLoader, registry: PluginRegistry, tmp_path: Path) -> None:
    for n, path in enumerate(
        ["no.such.module:Plugin", str(tmp_path / "gone.py"), "json:NoSuchClass", "", ":", "a b c"]
    ):
        assert loader.load_plugin(f"p{n}", path) is False, path
        assert registry.get_state(f"p{n}") is State.FAILED


def test_import_module_may_be_replaced(loader: PluginLoader, registry: PluginRegistry) -> None:
    with patch("importlib.import_module", side_effect=ImportError("no libcudart")):
        assert loader.load_plugin("gpu", "app.gpu_plugin") is False
    assert "no libcudart" in (registry.get_status("gpu").reason or "")  # type: ignore[union-attr]
    module = MagicMock()
    with patch("importlib.import_module", return_value=module):
        assert loader.load_plugin("mock", "app.mock_plugin") is True
    assert registry.get_state("mock") is State.INITIALIZED
    assert registry.get("mock") is module.Plugin.return_value


def test_a_manifest_beside_the_module(loader: PluginLoader, registry: PluginRegistry, tmp_path: Path) -> None:
    write(tmp_path, "import no_such_module_at_all\n" + GOOD)
    manifest = {"id": "other_name", "version": "3.1.0", "description": "from the manifest", "type": "python"}
    needs = {"dependencies": ["no-such-distribution>=2"]}
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "entrypoint": "plugin.py:Plugin", **needs}))
    assert loader.load_plugin("mine", str(tmp_path / "plugin.py")) is False
    status = registry.get_status("mine")
    assert status is not None
    assert status.state is State.UNAVAILABLE, "a missing dependency: its code was not even imported"
    assert "no-such-distribution" in (status.reason or "")
    assert (status.version, status.description) == ("3.1.0", "from the manifest")
    (tmp_path / "manifest.json").write_text(json.dumps({"id": "x", "models": {"m": "models/m.onnx"}}))
    assert loader.load_plugin("mine", str(tmp_path / "plugin.py")) is False
    assert str(tmp_path / "models" / "m.onnx") in (registry.get_status("mine").reason or "")  # type: ignore[union-attr]
    (tmp_path / "manifest.json").write_text('{"id": "x", "dependencies": 17}')
    assert loader.load_plugin("mine", str(tmp_path / "plugin.py")) is False
    assert registry.get_state("mine") is State.FAILED


def test_loading_again_is_a_new_generation(loader: PluginLoader, registry: PluginRegistry, tmp_path: Path) -> None:
    file = write(tmp_path, "raise RuntimeError('typo')")
    assert not loader.load_plugin("p", str(file))
    file.write_text(GOOD)
    assert loader.load_plugin("p", str(file))
    assert registry.get_state("p") is State.INITIALIZED


def test_restart_reads_a_mended_file(loader: PluginLoader, registry: PluginRegistry, tmp_path: Path) -> None:
    file = write(tmp_path, "raise RuntimeError('typo')")
    assert not loader.load_plugin("p", str(file))
    assert not registry.restart("p")
    assert registry.get_state("p") is State.FAILED
    file.write_text(GOOD)
    assert registry.restart("p")
    assert registry.get_state("p") is State.INITIALIZED
    assert registry.runtime.plugin_health("p")["generation"] == 3  # type: ignore[index]


def test_many_at_once(loader: PluginLoader, registry: PluginRegistry, tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    threads = [threading.Thread(target=loader.load_plugin, args=(f"p{n}", str(file))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(registry.all_states().values()) == {State.INITIALIZED}
    assert len(registry.all_states()) == 8


def test_the_startup_audit(registry: PluginRegistry, caplog: pytest.LogCaptureFixture) -> None:
    registry.register("a")
    registry.register("extra")
    found = run_startup_audit(["a", "missing"])
    assert (found["ok"], found["missing"], found["extra"]) == (False, ["missing"], ["extra"])
    assert "missing" in caplog.text
    assert "extra" in caplog.text
    assert run_startup_audit(["a", "extra"])["ok"] is True
    assert run_startup_audit(iter(["a", "extra"]))["ok"] is True


def test_the_startup_audit_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    assert run_startup_audit(None)["ok"] is False  # type: ignore[arg-type]
    with patch("plugward.forgesyte.loader.plugin_registry.get_registry", side_effect=RuntimeError("no registry")):
        assert run_startup_audit(["a"])["ok"] is False
    with patch("plugward.forgesyte.loader.startup_audit.get_registry", side_effect=RuntimeError("no registry")):
        assert run_startup_audit(["a"])["ok"] is False
    assert "no registry" in caplog.text


def test_nothing_is_left_in_sys_modules_of_what_failed(loader: PluginLoader, tmp_path: Path) -> None:
    before = set(sys.modules)
    loader.load_plugin("p", str(write(tmp_path, "raise RuntimeError")))
    assert not [name for name in set(sys.modules) - before if name.startswith("_forgesyte_plugin_")]
