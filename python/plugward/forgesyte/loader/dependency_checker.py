"""What a plugin needs and does not find: packages, a GPU, model files.

Packages are looked up, not imported. A GPU is asked of the driver; where torch is loaded, its word is taken.
Each check looks its helpers up when it is called, so that a host may replace any of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..sandbox._calls import say
from ._findings import driver_sees_a_gpu, model_problem, requirement_problem

__all__ = ["DependencyCheckResult", "DependencyChecker", "check_dependencies", "get_dependency_checker"]

logger = logging.getLogger(__name__)

Models = Mapping[str, Any] | Iterable[Any]

NO_GPU = "GPU required but not available (install the NVIDIA driver, or set requires_gpu to false)"


@dataclass
class DependencyCheckResult:
    """What was missing. `gpu_available` is False also where nobody asked for a GPU."""

    ok: bool
    reason: str | None = None
    gpu_available: bool = False
    missing_deps: list[str] = field(default_factory=list)


class DependencyChecker:
    """Checks packages, GPU and models; every problem is reported, not only the first."""

    def check_gpu(self) -> bool:
        """Whether a plugin can use a GPU here."""
        if "torch" in sys.modules or importlib.util.find_spec("torch") is None:
            torch = _torch()
            if torch is not None:
                return _torch_sees_a_gpu(torch)
            if "torch" in sys.modules:  # None stands there: its import is forbidden
                return False
        return driver_sees_a_gpu()

    def check_python_package(self, name: object) -> bool:
        """Whether a package is installed: an import name (`cv2`) or a requirement (`numpy>=1.24`)."""
        if not isinstance(name, str) or not name.strip():
            return False
        if not all(part.isidentifier() for part in name.split(".")):
            return requirement_problem(name) is None
        try:
            return importlib.util.find_spec(name) is not None
        except ValueError:  # a module without a spec: somebody put it there
            return sys.modules.get(name) is not None
        except (ImportError, AttributeError):
            return False

    def check_model_file(self, path: str | Path, read_bytes: int = 16) -> bool:
        """Whether a model file can be read, has `read_bytes` and is not visibly something else.

        Files of formats that are not known pass; a manifest's `models` entry can ask for a checksum.
        """
        problem = model_problem(path, read_bytes)
        if problem:
            say(logger, logging.WARNING, "Model file %s: %s", path, problem)
        return problem is None

    def check_dependencies(
        self,
        packages: Iterable[str] | None = None,
        requires_gpu: bool = False,
        requires_models: Models | None = None,
    ) -> dict[str, Any]:
        """`{"available", "reason", "missing"}`; the reason names everything that is missing."""
        found = self._check(packages, requires_gpu, requires_models)
        return {"available": found.ok, "reason": found.reason, "missing": found.missing_deps}

    def validate_plugin_manifest(self, manifest: Mapping[str, Any] | None) -> dict[str, Any]:
        """`check_dependencies` for what a manifest asks for."""
        needs = manifest if isinstance(manifest, Mapping) else {}
        return self.check_dependencies(
            packages=needs.get("dependencies"),
            requires_gpu=bool(needs.get("requires_gpu")),
            requires_models=needs.get("models"),
        )

    def validate_plugin(
        self,
        plugin_name: str,
        requires_gpu: bool = False,
        model_paths: Models | None = None,
        required_packages: Iterable[str] | None = None,
    ) -> DependencyCheckResult:
        """What one plugin misses."""
        result = self._check(required_packages, requires_gpu, model_paths)
        if not result.ok:
            say(logger, logging.WARNING, "Plugin '%s' is missing dependencies: %s", plugin_name, result.reason)
        return result

    def _check(self, packages: Iterable[str] | None, gpu: bool, models: Models | None) -> DependencyCheckResult:
        names, paths = _names(packages), _paths(models)
        absent = [str(package) for package in names or () if not self.check_python_package(package)]
        reasons = [f"Missing package {name} (install: pip install '{name}')" for name in absent]
        for key, found, given in (("dependencies", names, packages), ("models", paths, models)):
            if found is None:
                absent.append(key)
                reasons.append(f"{key} must be a list or a mapping, not {type(given).__name__}")
        gpu_available = self.check_gpu() if gpu else False
        if gpu and not gpu_available:
            absent.append("GPU")
            reasons.append(NO_GPU)
        for path in paths or ():
            if not self.check_model_file(path):
                absent.append(str(path))
                reasons.append(f"Model file missing or not readable: {path}")
        return DependencyCheckResult(not absent, "; ".join(reasons) or None, gpu_available, absent)


def _names(packages: object) -> list[str] | None:
    """The requirements; None for what cannot hold any."""
    if packages is None:
        return []
    if isinstance(packages, str):
        return [packages]
    return list(packages) if isinstance(packages, Iterable) else None


def _paths(models: object) -> list[str | Path] | None:
    """The paths of `[path, ...]`, `{name: path}` and `{name: {"path": path}}`; None for what cannot hold any."""
    if models is None:
        return []
    if isinstance(models, (str, Path)):
        return [models]
    if not isinstance(models, Iterable):
        return None
    listed: Iterable[Any] = models.values() if isinstance(models, Mapping) else models
    return [model["path"] if isinstance(model, Mapping) and "path" in model else model for model in listed]


def _torch() -> Any:
    """Torch where it is loaded, or where whoever replaced the import gives one.

    A real torch that is not loaded is never loaded for this: it takes seconds and 200 MB.
    """
    try:
        return sys.modules["torch"] if "torch" in sys.modules else importlib.import_module("torch")
    except Exception:  # noqa: BLE001 - whatever an import may raise, there is no torch then
        return None


def _torch_sees_a_gpu(torch: Any) -> bool:
    try:
        return bool(torch.cuda.is_available())
    except Exception as error:  # noqa: BLE001 - a broken torch sees nothing
        say(logger, logging.WARNING, "torch.cuda.is_available() raised %s", type(error).__name__)
        return False


_checker = DependencyChecker()


def get_dependency_checker() -> DependencyChecker:
    """The checker that the loader uses."""
    return _checker


def check_dependencies(
    packages: Iterable[str] | None = None, requires_gpu: bool = False, requires_models: Models | None = None
) -> dict[str, Any]:
    """`DependencyChecker.check_dependencies` of the shared checker."""
    return get_dependency_checker().check_dependencies(packages, requires_gpu, requires_models)
