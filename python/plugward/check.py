"""Are the things there that a plugin needs? Packages, GPU, models, programs, variables."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from plugward import _native

__all__ = ["DependencyChecker"]


class DependencyChecker:
    """Asks for dependencies without importing a package, loading a model or starting CUDA."""

    def check(
        self,
        source: str | os.PathLike[str] | Mapping[str, Any],
        *,
        deep: bool = False,
        import_timeout: float = 60.0,
        progress: Callable[[str, int, int], Any] | None = None,
    ) -> list[dict[str, Any]]:
        """All findings about a manifest: a path, or its data. The good ones are among them.

        Each is `{kind, subject, ok, code, cause, message, remedy, took_us}`. `deep` imports every package that is
        required, each in a throw-away process and for at most `import_timeout` seconds. `progress(path, done, total)`
        is told how far the reading of a large model is, on another thread. Raises `PlugwardError` for a manifest that
        cannot be read.
        """
        given = dict(source) if isinstance(source, Mapping) else os.fspath(source)
        return _native.check_manifest(given, deep, import_timeout, progress)

    def check_dependencies(
        self,
        packages: Sequence[str] | None = None,
        requires_gpu: bool = False,
        requires_models: Mapping[str, str] | Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """The short answer: `{"available", "reason", "missing", "findings"}`."""
        if requires_gpu and not packages and not requires_models:
            return self._short(_native.check_gpu())
        manifest: dict[str, Any] = {
            "name": "check",
            "kind": "python",
            "entrypoint": "check:Check",
            "dependencies": list(packages or ()),
            "requires_gpu": requires_gpu,
            "models": _models(requires_models),
        }
        return self._short(self.check(manifest))

    def validate_plugin_manifest(self, manifest: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, Any]:
        """The short answer about a manifest."""
        return self._short(self.check(manifest))

    def gpu(self, packages: Sequence[str] = ("torch",)) -> list[dict[str, Any]]:
        """All findings about the GPU; about torch as well where `packages` names it and it is installed."""
        installed = [name for name in packages if self.check_package(name)]
        return [finding for finding in _native.check_gpu(installed) if finding["kind"] == "gpu"]

    def check_gpu(self) -> bool:
        """Whether there is a GPU that a plugin could use."""
        return bool(self.check_dependencies(requires_gpu=True)["available"])

    def check_package(self, requirement: str) -> bool:
        """Whether a requirement (`"numpy>=1.26"`) and what it needs in turn are installed."""
        return bool(self.check_dependencies([requirement])["available"])

    def check_model(self, path: str | os.PathLike[str]) -> bool:
        """Whether a model file is there, readable and whole, as far as its container tells."""
        return bool(self.check_dependencies(requires_models=[os.fspath(path)])["available"])

    @staticmethod
    def _short(findings: list[dict[str, Any]]) -> dict[str, Any]:
        bad = [finding for finding in findings if not finding["ok"]]
        return {
            "available": not bad,
            "reason": "; ".join(finding["message"] for finding in bad) or None,
            "missing": [finding["subject"] for finding in bad],
            "findings": findings,
        }


def _models(models: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    if isinstance(models, Mapping):
        return {name: str(Path(path).absolute()) for name, path in models.items()}
    return {f"model_{at}": str(Path(path).absolute()) for at, path in enumerate(models or ())}
