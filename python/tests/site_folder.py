"""A folder of packages as pip leaves them, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class SiteFolder:
    """Put it on an import path; `add` installs."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path

    def add(
        self,
        name: str,
        version: str = "1.0",
        requires: Sequence[str] = (),
        *,
        extras: Sequence[str] = (),
        module: str | None = None,
        code: str = "",
        files: dict[str, str] | None = None,
    ) -> Path:
        """A distribution with one package of the name (or `module`); returns its dist-info folder."""
        module = module or name.replace("-", "_").replace(".", "_")
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Provides-Extra: {extra}" for extra in extras]
        lines += [f"Requires-Dist: {line}" for line in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n\nText\n")
        (info / "RECORD").write_text(f"{module}/__init__.py,,\n{info.name}/METADATA,,\n")
        for file, text in (files or {}).items():
            (info / file).write_text(text)
        (self.path / module).mkdir()
        (self.path / module / "__init__.py").write_text(code)
        return info
