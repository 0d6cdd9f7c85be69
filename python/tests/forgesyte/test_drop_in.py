"""The module alias, the names, and what it costs a host that does not use it: nothing."""

import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

import plugward.forgesyte

NAMES = {
    "lifecycle.lifecycle_state": "PluginLifecycleState",
    "lifecycle.lifecycle_manager": "PluginLifecycleManager",
    "health.health_model": "PluginHealthResponse PluginListResponse",
    "health.health_router": "router",
    "loader.plugin_errors": "PluginLoadError PluginImportError PluginInitError PluginValidationError",
    "loader.plugin_registry": "PluginRegistry PluginMetadata get_registry",
    "loader.dependency_checker": "DependencyChecker DependencyCheckResult check_dependencies get_dependency_checker",
    "loader.startup_audit": "run_startup_audit",
    "loader.plugin_loader": "PluginLoader get_plugin_loader",
    "sandbox": "run_plugin_sandboxed PluginSandboxResult run_with_timeout run_with_memory_guard",
    "sandbox.sandbox_runner": "run_plugin_sandboxed PluginSandboxResult",
    "sandbox.timeout": "run_with_timeout run_sandboxed_with_timeout TimeoutGuardResult DEFAULT_TIMEOUT_SECONDS",
    "sandbox.memory_guard": "run_with_memory_guard MemoryGuardResult get_memory_usage_bytes check_memory_limit"
    " format_memory_bytes DEFAULT_MEMORY_LIMIT_BYTES",
}


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A host's package `hostapp`, with a loader package of its own that holds more than Plugward's."""
    for name, text in {
        "hostapp/__init__.py": "",
        "hostapp/plugins/__init__.py": "",
        "hostapp/plugins/loader/__init__.py": "from .plugin_registry import get_registry",
        "hostapp/plugins/loader/plugin_registry.py": "get_registry = None",
        "hostapp/plugins/loader/own.py": "from hostapp.plugins.sandbox import run_plugin_sandboxed as run",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(sys.meta_path)
    yield "hostapp.plugins"
    sys.meta_path[:] = before
    for name in [name for name in sys.modules if name.split(".")[0] == "hostapp"]:
        del sys.modules[name]


def test_every_name_is_there() -> None:
    assert set(NAMES) == set(plugward.forgesyte.MODULES)
    for module, names in NAMES.items():
        for name in names.split():
            assert hasattr(importlib.import_module(f"plugward.forgesyte.{module}"), name), (module, name)


def test_modules_are_attributes() -> None:
    code = "import plugward.forgesyte as f; print(f.sandbox.timeout, f.health.health_router.router)"
    assert "APIRouter" in python(code)


@pytest.mark.parametrize("early", [True, False])
def test_the_alias(host: str, early: bool) -> None:
    if not early:
        importlib.import_module(f"{host}.loader.plugin_registry")
    plugward.forgesyte.alias(host)
    plugward.forgesyte.alias(host)
    for name in plugward.forgesyte.MODULES:
        ours = importlib.import_module(f"plugward.forgesyte.{name}")
        assert importlib.import_module(f"{host}.{name}") is ours
        assert ours.__name__ == ours.__spec__.name == f"plugward.forgesyte.{name}"  # type: ignore[union-attr]
    own = importlib.import_module(f"{host}.loader.own")
    assert own.run is plugward.forgesyte.sandbox.run_plugin_sandboxed, "a module of the host's, with an import of ours"
    if early:
        loader = importlib.import_module(f"{host}.loader")
        assert loader.get_registry is plugward.forgesyte.loader.get_registry
    with patch(f"{host}.sandbox.memory_guard.get_memory_usage_bytes", return_value=1 << 40):
        assert not plugward.forgesyte.sandbox.run_with_memory_guard(lambda: 1).ok


def test_it_costs_nothing_when_unused() -> None:
    assert python("import sys, plugward; print([m for m in sys.modules if 'forgesyte' in m])") == "[]"
    alias = "import sys, plugward.forgesyte as f; f.alias('app.plugins')"
    code = f"{alias}; print([m for m in sys.modules if 'forgesyte.' in m])"
    assert python(code) == "['plugward.forgesyte._alias']"
    heavy = "['fastapi', 'pydantic', 'torch', 'numpy']"
    code = f"import sys, plugward.forgesyte.sandbox; print([m for m in {heavy} if m in sys.modules])"
    assert python(code) == "[]"


def test_it_prints_nothing() -> None:
    modules = ", ".join(f"plugward.forgesyte.{name}" for name in plugward.forgesyte.MODULES)
    ended = subprocess.run([sys.executable, "-W", "error", "-c", f"import {modules}"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_parameters_that_the_host_names() -> None:
    from plugward.forgesyte import loader, sandbox
    from plugward.forgesyte.tool_runner import run_plugin_tool

    for function, names in {
        sandbox.run_plugin_sandboxed: "tool_fn args frame_base64 device annotated kwargs",
        sandbox.run_with_timeout: "tool_fn timeout_seconds kwargs",
        sandbox.run_sandboxed_with_timeout: "tool_fn timeout_seconds kwargs",
        sandbox.run_with_memory_guard: "tool_fn memory_limit_bytes kwargs",
        loader.check_dependencies: "packages requires_gpu requires_models",
        loader.DependencyChecker.validate_plugin: "self plugin_name requires_gpu model_paths required_packages",
        loader.PluginLoader.load_plugin: "self plugin_name plugin_path description version",
        loader.PluginRegistry.register: "self name description version instance",
        loader.PluginRegistry.update_execution_metrics: "self plugin_name state elapsed_ms had_error",
        loader.PluginRegistry.record_success: "self name execution_time_ms",
        loader.run_startup_audit: "discovered_names",
        run_plugin_tool: "plugin_id tool_name args progress_callback",
    }.items():
        assert list(inspect.signature(function).parameters) == names.split(), function
