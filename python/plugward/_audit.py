"""Does everybody tell the same story about the plugins: what is on disk, the registry, and the health API?

An audit reads; it restarts nothing and repairs nothing. Every issue names the command to type next.
"""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from plugward import _native
from plugward.errors import PlugwardError

if TYPE_CHECKING:
    from plugward._runtime import Runtime

STATES = ("LOADED", "INITIALIZED", "RUNNING", "FAILED", "UNAVAILABLE")
FINAL = ("FAILED", "UNAVAILABLE")
INSTALL = "install it: "


@dataclass(frozen=True)
class Issue:
    """One thing that is not as it should be."""

    plugin: str
    kind: str
    """`invisible`, `unexpected`, `drift`, `state`, `failed`, `unavailable`, `dependency`, `manifest` or `server`."""
    message: str
    next: str
    """The command to type next."""


@dataclass(frozen=True)
class Found:
    """A plugin that is installed, whether or not anybody loaded it."""

    name: str
    place: str
    look: str
    """The command that looks at it more closely."""
    error: str | None = None
    findings: Sequence[Mapping[str, Any]] = ()


@dataclass
class Report:
    """What an audit came to."""

    subject: str
    discovered: list[str]
    listed: list[str]
    issues: list[Issue] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `ok` is whether there are no issues."""
        return {"ok": not self.issues, **asdict(self)}


class Subject(Protocol):
    """What is audited."""

    @property
    def name(self) -> str:
        """How it is called."""

    def listing(self) -> list[dict[str, Any]]:
        """Every plugin that it lists."""

    def health(self, plugin: str) -> dict[str, Any] | None:
        """One plugin's health, None where it knows none of that name."""

    def look(self, plugin: str) -> str:
        """The command that shows one plugin's health."""

    def restart(self, plugin: str) -> str:
        """The command that begins its next generation, once its trouble is mended."""


class SubjectError(Exception):
    """The subject does not answer as it must."""


class LocalSubject:
    """A runtime of this process, into which the plugins have just been loaded."""

    name = "the plugins, loaded into this process"

    def __init__(self, runtime: Runtime, place: str) -> None:
        """`place` is where the plugins come from."""
        self._runtime = runtime
        self._place = place

    def listing(self) -> list[dict[str, Any]]:
        """What its registry holds."""
        health = {plugin["name"]: plugin for plugin in self._runtime.health()}
        return [health.get(name, {"name": name}) for name in self._runtime.list()]

    def health(self, plugin: str) -> dict[str, Any] | None:
        """What its health says."""
        return self._runtime.plugin_health(plugin)

    def look(self, _plugin: str) -> str:
        """All of it: there is no command for one."""
        return f"plugward doctor --plugins {shlex.quote(self._place)}"

    restart = look


class ServerSubject:
    """A running server, by its health API."""

    def __init__(self, url: str, seconds: float = 10.0) -> None:
        """`url` is the server's root."""
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{url} is no http or https address")
        self.name = url.rstrip("/")
        self._seconds = seconds

    def listing(self) -> list[dict[str, Any]]:
        """`GET /v1/plugins`; also the wrapped form is understood."""
        answer = self._get("/v1/plugins")
        found = answer.get("plugins") if isinstance(answer, dict) else answer
        if not isinstance(found, list) or not all(isinstance(one, dict) and "name" in one for one in found):
            raise SubjectError("GET /v1/plugins answered something that is no list of plugins")
        return found

    def health(self, plugin: str) -> dict[str, Any] | None:
        """`GET /v1/plugins/{name}/health`."""
        found = self._get(self._path(plugin), may_be_missing=True)
        if found is not None and not isinstance(found, dict):
            raise SubjectError(f"GET {self._path(plugin)} answered something that is no health")
        return found

    def look(self, plugin: str) -> str:
        """Ask the server."""
        return f"curl -i {shlex.quote(self.name + (self._path(plugin) if plugin else '/v1/plugins'))}"

    def restart(self, plugin: str) -> str:
        """Tell the server, where it has Plugward's tools router."""
        path = f"/v1/plugins/{urllib.parse.quote(plugin, safe='')}/restart"
        return f"curl -i -X POST {shlex.quote(self.name + path)}"

    @staticmethod
    def _path(plugin: str) -> str:
        return f"/v1/plugins/{urllib.parse.quote(plugin, safe='')}/health"

    def _get(self, path: str, *, may_be_missing: bool = False) -> Any:
        try:
            with urllib.request.urlopen(self.name + path, timeout=self._seconds) as answer:  # noqa: S310 - http only
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404 and may_be_missing:
                return None
            raise SubjectError(f"GET {path} answered {error.code}") from error
        except (OSError, ValueError) as error:
            raise SubjectError(f"GET {path}: {getattr(error, 'reason', error)}") from error


def discover(path: Path | None, groups: Sequence[str] = ()) -> list[Found]:
    """What is installed: manifests under `path`, and entry points of `groups`."""
    found = [_manifest(candidate) for candidate in _native.discover_plugins(path)] if path else []
    for group in groups:
        for point in sorted(importlib.metadata.entry_points(group=group), key=lambda one: one.name):
            found.append(Found(point.name, point.value, f"python -c 'import {point.module}'"))
    return found


def _manifest(candidate: Mapping[str, Any]) -> Found:
    place, error = str(candidate["path"]), candidate["error"]
    look = f"plugward check {shlex.quote(place)}"
    if error is not None:
        return Found(candidate["name"], place, look, error=error["message"])
    try:
        return Found(candidate["name"], place, look, findings=_native.check_manifest(place))
    except PlugwardError as wrong:
        return Found(candidate["name"], place, look, error=str(wrong))


def audit(subject: Subject, found: Sequence[Found]) -> Report:
    """Compare what is installed, what `subject` lists, and what its health says of each plugin."""
    report = Report(subject.name, sorted({one.name for one in found}), [])
    try:
        listed = subject.listing()
        report.listed = [str(plugin["name"]) for plugin in listed]
        report.issues.extend(_compared(subject, found, report.listed))
        for plugin in listed:
            report.issues.extend(_one(subject, plugin))
    except SubjectError as error:
        report.issues.append(Issue("", "server", str(error), subject.look("")))
    report.issues.extend(_needs(found))
    return report


def _compared(subject: Subject, found: Sequence[Found], listed: Sequence[str]) -> Iterator[Issue]:
    for one in found:
        if one.name not in listed:
            yield Issue(one.name, "invisible", f"is installed ({one.place}) but not listed", one.look)
    for name, count in Counter(listed).items():
        if count > 1:
            yield Issue(name, "drift", f"is listed {count} times", subject.look(name))
        if found and name not in {one.name for one in found}:
            yield Issue(name, "unexpected", "is listed but not installed where was looked", subject.look(name))


def _one(subject: Subject, listed: Mapping[str, Any]) -> Iterator[Issue]:
    name, state = str(listed["name"]), listed.get("state")
    health = subject.health(name)
    if health is None:
        yield Issue(name, "drift", "is listed, but health knows no plugin of that name", subject.look(name))
        return
    if state not in STATES:
        yield Issue(name, "state", f"is in the state {state!r}, which is none of the five", subject.look(name))
        return
    if _differ(state, health.get("state")) and _differ((subject.health(name) or {}).get("state"), state):
        text = f"is {state} in the list and {health.get('state')} in its health"
        yield Issue(name, "drift", text, subject.look(name))
    if state == "LOADED":
        yield Issue(name, "state", "is still LOADED: its load did not end", subject.look(name))
    if state in FINAL:
        yield _final(subject, name, str(state), listed.get("reason") or health.get("reason"))


def _differ(one: object, other: object) -> bool:
    """INITIALIZED and RUNNING alternate; that is no difference."""
    live = ("INITIALIZED", "RUNNING")
    return one != other and not (one in live and other in live)


def _final(subject: Subject, name: str, state: str, reason: str | None) -> Issue:
    if not reason:
        return Issue(name, "state", f"is {state} without a reason", subject.look(name))
    return Issue(name, state.lower(), f"is {state}: {reason}", subject.restart(name))


def _needs(found: Sequence[Found]) -> Iterator[Issue]:
    for one in found:
        if one.error is not None:
            yield Issue(one.name, "manifest", one.error, one.look)
        for finding in one.findings:
            if not finding["ok"]:
                remedy = str(finding["remedy"])
                command = remedy.removeprefix(INSTALL) if remedy.startswith(INSTALL) else one.look
                text = f"{finding['message']} [{finding['code']}]; what to do: {remedy}"
                yield Issue(one.name, "dependency", text, command)
