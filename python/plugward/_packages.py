"""Are the packages that a plugin needs installed? Asked of their metadata; nothing is imported."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

Told = tuple[str, bool, "str | None", str, str, str, int]
"""Subject, ok, code, cause, message, remedy, microseconds."""

MISSING, VERSION, TRANSITIVE, INVALID = "PW-PKG-001", "PW-PKG-002", "PW-PKG-003", "PW-PKG-004"
PLATFORM = "PW-ENV-003"
DEPTH = 8


def check(dependencies: Sequence[str], python: str | None) -> list[Told]:
    """Check every requirement and what it needs in turn, and the range of Python versions."""
    found: list[Told] = []
    if python:
        found.append(_python(python))
    seen: set[str] = set()
    for text in dependencies:
        found.extend(_requirement(text, seen))
    return found


def _python(wanted: str) -> Told:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    start = time.perf_counter_ns()
    version = platform.python_version()
    try:
        fits = SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        return _bad(
            "python", INVALID, str(error), f"{wanted!r} is no range of versions", 'write it as in ">=3.10"', start
        )
    if fits:
        return _good("python", f"Python {version} fits {wanted}", start)
    return _bad(
        "python",
        PLATFORM,
        f"this is Python {version}",
        f"the plugin needs Python {wanted}",
        f"run it on Python {wanted}",
        start,
    )


def _requirement(text: str, seen: set[str]) -> Iterator[Told]:
    from packaging.requirements import InvalidRequirement, Requirement

    start = time.perf_counter_ns()
    try:
        wanted = Requirement(text)
    except InvalidRequirement as error:
        said = str(error).splitlines()[0]
        yield _bad(text, INVALID, said, f"{text!r} is not a valid requirement", 'write it as in "numpy>=1.26"', start)
        return
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        yield _good(text, f"{text} is not needed here", start)
        return
    problem = _installed(wanted, start)
    if problem is not None:
        yield problem
        return
    broken = list(_needs(wanted, (wanted.name,), seen))
    if broken:
        yield from broken
        return
    version = importlib.metadata.version(wanted.name)
    yield _good(str(wanted), f"{wanted.name} {version} is installed", start)


def _installed(wanted: Requirement, start: int) -> Told | None:
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        version = None
    if not version:
        return _bad(
            str(wanted),
            MISSING,
            f"no installed distribution is called {wanted.name}",
            f"the package {wanted.name} is not installed",
            f'install it: pip install "{wanted}"',
            start,
        )
    if wanted.specifier.contains(version, prereleases=True):
        return None
    return _bad(
        str(wanted),
        VERSION,
        f"{wanted.name} {version} is installed, outside of {wanted.specifier}",
        f"the package {wanted.name} has version {version}, needed is {wanted.specifier}",
        f'install it: pip install "{wanted}"',
        start,
    )


def _needs(owner: Requirement, path: tuple[str, ...], seen: set[str]) -> Iterator[Told]:
    """What the packages under `owner` miss in turn."""
    key = f"{owner.name.lower()}[{','.join(sorted(owner.extras))}]"
    if key in seen or len(path) > DEPTH:
        return
    seen.add(key)
    from packaging.requirements import InvalidRequirement, Requirement

    for line in importlib.metadata.requires(owner.name) or ():
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue  # a mistake of that package's author, which pip passed over as well
        extras = {"", *owner.extras}
        if wanted.marker is not None and not any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        start = time.perf_counter_ns()
        problem = _installed(wanted, start)
        if problem is None:
            yield from _needs(wanted, (*path, wanted.name), seen)
            continue
        chain = " -> ".join((*path, wanted.name))
        yield _bad(
            path[0],
            TRANSITIVE,
            f"{chain}: {problem[3]}",
            f"{path[0]} is installed, but {wanted.name}, which it needs, is not usable",
            f'reinstall it with what it needs: pip install "{wanted}"',
            start,
        )


def _bad(subject: str, code: str, cause: str, message: str, remedy: str, start: int) -> Told:
    return (subject, False, code, cause, message, remedy, _since(start))


def _good(subject: str, message: str, start: int) -> Told:
    return (subject, True, None, "", message, "", _since(start))


def _since(start: int) -> int:
    return (time.perf_counter_ns() - start) // 1000
