"""Are the packages that a plugin needs installed? Asked of their metadata; nothing is imported."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from plugward._environment import Environment, Foreign, Installed, folder, visible

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["check", "folder", "modules"]

Told = tuple[str, str, bool, "str | None", str, str, str, int]
"""Kind, subject, ok, code, cause, message, remedy, microseconds."""
Problem = tuple[str, str, str]
"""Code, cause, message."""

MISSING, VERSION, TRANSITIVE, INVALID = "PW-PKG-001", "PW-PKG-002", "PW-PKG-003", "PW-PKG-004"
BROKEN, PLATFORM = "PW-PKG-006", "PW-ENV-003"
MOST_PACKAGES = 4096
MOST_PROBLEMS = 20


def check(
    dependencies: Sequence[str], python: str | None, foreign: Foreign | None = None, program: str | None = None
) -> list[Told]:
    """Check every requirement and what it needs in turn, and the range of Python versions.

    `foreign` stands for the interpreter `program`; without it this one is asked.
    """
    environment = Environment(foreign, program)
    found = [_python(python, environment.version)] if python else []
    for text in dependencies:
        found.extend(_requirement(text, environment))
    return found


def modules(dependencies: Sequence[str], foreign: Foreign | None = None) -> list[tuple[str, list[str]]]:
    """What to import to try the packages that are installed: requirement and modules."""
    environment = Environment(foreign)
    found = {}
    for text in dependencies:
        wanted = _parsed(text)
        if isinstance(wanted, str) or not environment.needs(wanted.marker):
            continue
        installed, note = _found(wanted.name, environment)
        if installed and note:
            found[str(wanted)] = [wanted.name]
            continue
        names = environment.modules(installed) if installed and not installed.broken else []
        if names:
            found[str(wanted)] = names
    return list(found.items())


def _parsed(text: str) -> Requirement | str:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement as error:
        return str(error).splitlines()[0]


def _python(wanted: str, version: str) -> Told:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    start = time.perf_counter_ns()
    try:
        fits = SpecifierSet(_ranges(wanted)).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        problem = (INVALID, str(error), f"{wanted!r} is no range of versions")
        return _bad("python", problem, 'write it as in ">=3.10"', start, "platform")
    if fits:
        return _good("python", f"Python {version} fits {wanted}", start, kind="platform")
    problem = (PLATFORM, f"this is Python {version}", f"the plugin needs Python {wanted}")
    return _bad("python", problem, f"run it on Python {wanted}", start, "platform")


def _ranges(wanted: str) -> str:
    """A bare `3.11` means any 3.11."""
    parts = (part.strip() for part in wanted.split(","))
    return ",".join(f"=={part.removesuffix('.*')}.*" if part[:1].isdigit() else part for part in parts)


def _requirement(text: str, environment: Environment) -> Iterator[Told]:
    start = time.perf_counter_ns()
    wanted = _parsed(text)
    if isinstance(wanted, str):
        problem = (INVALID, wanted, f"{text!r} is not a valid requirement")
        yield _bad(text, problem, 'write it as in "numpy>=1.26"', start)
        return
    subject = str(wanted)
    if not environment.needs(wanted.marker):
        yield _good(subject, f"{text} is not needed here", start)
        return
    found, note = _found(wanted.name, environment)
    own = _problem(wanted, found)
    if own is not None or found is None:
        yield _bad(subject, own or _missing(wanted.name), _remedy(wanted, environment, own), start)
        return
    wanted.name = found.name
    beneath = list(_beneath(wanted, environment))
    for chain, needed, problem in beneath[:MOST_PROBLEMS]:
        yield _bad(subject, _transitive(chain, problem), _remedy(needed, environment, problem), start)
    if not beneath:
        message = f"{found.name} {found.version} is installed" if found.version else f"{found.name} can be imported"
        yield _good(subject, message, start, "; ".join(filter(None, (note, _note(wanted, found)))))


def _found(name: str, environment: Environment) -> tuple[Installed | None, str]:
    """The distribution of that name, or else what the module of that name belongs to, with a note about it."""
    found = environment.find(name)
    return (found, "") if found is not None else environment.owner(name) or (None, "")


def _missing(name: str) -> Problem:
    cause = f"no installed distribution and no module is called {name}"
    return (MISSING, cause, f"the package {name} is not installed")


def _problem(wanted: Requirement, found: Installed | None) -> Problem | None:
    """Why what is installed does not serve a requirement."""
    from packaging.version import InvalidVersion, Version

    if found is None:
        return _missing(wanted.name)
    if found.broken is not None:
        return (BROKEN, found.broken, f"the installation of {wanted.name} is damaged")
    if found.version is None:
        cause = f"it belongs to no installed distribution, so its version is not known; needed is {wanted.specifier}"
        return (VERSION, cause, f"the module {wanted.name} has no version") if wanted.specifier else None
    version = found.version
    try:
        if wanted.specifier.contains(version, prereleases=True):
            return None
        Version(version)
        cause = f"{wanted.name} {version} is installed, outside of {wanted.specifier}"
    except InvalidVersion:
        cause = f"{wanted.name} {version} is installed, and {version!r} is no version that could be compared"
    return (VERSION, cause, f"the package {wanted.name} has version {version}, needed is {wanted.specifier}")


def _transitive(chain: Sequence[str], problem: Problem) -> Problem:
    message = f"{chain[0]} is installed, but {chain[-1]}, which it needs, is not usable"
    return (TRANSITIVE, f"{' -> '.join(chain)}: {problem[2]}", message)


def _beneath(root: Requirement, environment: Environment) -> Iterator[tuple[tuple[str, ...], Requirement, Problem]]:
    """What a package misses in turn: the chain that leads there, the requirement, and its problem.

    Breadth first, so that the shortest chain is told; packages that need each other in a circle are met once.
    """
    queue: deque[tuple[Requirement, tuple[str, ...]]] = deque([(root, (root.name,))])
    seen, told = {_key(root)}, set()
    while queue:
        owner, chain = queue.popleft()
        for wanted in _needed(owner, environment):
            problem = _problem(wanted, environment.find(wanted.name))
            link = (*chain, wanted.name)
            if problem is not None:
                if problem not in told:
                    told.add(problem)
                    yield link, wanted, problem
            elif _key(wanted) not in seen and len(seen) < MOST_PACKAGES:
                seen.add(_key(wanted))
                queue.append((wanted, link))


def _key(wanted: Requirement) -> tuple[str, frozenset[str]]:
    from packaging.utils import canonicalize_name

    return canonicalize_name(wanted.name), frozenset(map(canonicalize_name, wanted.extras))


def _needed(owner: Requirement, environment: Environment) -> Iterator[Requirement]:
    """What an installed package asks for, with the extras that are asked of it."""
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName

    found = environment.find(owner.name)
    for line in found.requires if found else ():
        wanted = _parsed(line)
        if isinstance(wanted, str):
            continue  # a mistake of that package's author, which pip passed over as well
        try:
            if environment.needs(wanted.marker, sorted(owner.extras)):
                yield wanted
        except (UndefinedComparison, UndefinedEnvironmentName):
            continue  # as above


def _note(wanted: Requirement, found: Installed) -> str:
    """What does no harm, but is worth knowing."""
    from packaging.utils import canonicalize_name

    offered = {canonicalize_name(extra) for extra in found.extras}
    unknown = sorted(extra for extra in wanted.extras if canonicalize_name(extra) not in offered)
    notes = [f"{found.name} has no extra {extra}, so nothing more was looked for" for extra in unknown]
    if wanted.url and found.origin != wanted.url:
        notes.append(f"it was not installed from {wanted.url}" + (f", but from {found.origin}" if found.origin else ""))
    return "; ".join(notes)


def _remedy(wanted: Requirement, environment: Environment, problem: Problem | None) -> str:
    if problem is not None and problem[0] == BROKEN:
        return f'reinstall it: {environment.pip} install --force-reinstall "{wanted}"'
    return f'install it: {environment.pip} install "{wanted}"'


def _bad(subject: str, problem: Problem, remedy: str, start: int, kind: str = "package") -> Told:
    code, cause, message = problem
    return (kind, subject, False, code, visible(cause), visible(message), visible(remedy), _since(start))


def _good(subject: str, message: str, start: int, note: str = "", kind: str = "package") -> Told:
    return (kind, subject, True, None, visible(note), message, "", _since(start))


def _since(start: int) -> int:
    return (time.perf_counter_ns() - start) // 1000
