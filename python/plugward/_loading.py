"""Makes plugins of what their manifests name: imports, constructs, and finds their tools.

Called by the native loader. Every function answers `(value, None)` or `(None, (code, message, traceback))`: whatever a
plugin does while it is loaded is an answer, never an exception.
"""

from __future__ import annotations

import importlib
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from plugward import _importing
from plugward._describe import cut
from plugward._native import Checkpoints, describe_exception
from plugward.context import Context, unpacked

ENTRYPOINT, IMPORT, CONSTRUCT, VALIDATE, TOOLS, RESTORE = (
    "PW-LOAD-007",
    "PW-LOAD-003",
    "PW-LOAD-004",
    "PW-LOAD-005",
    "PW-LOAD-008",
    "PW-LOAD-009",
)
UNLOAD_SECONDS = 5.0
GROUP = "plugward.plugins"
"""The group of entry points that a manifest's bare `entrypoint` names one of."""

Problem = tuple[str, str, "str | None"]
"""Code, message, traceback."""


class _StepError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Built:
    """One generation of a plugin."""

    name: str
    instance: Any
    tools: list[dict[str, Any]]
    folder: _importing.Folder | None = None
    notes: list[str] = field(default_factory=list)
    shared: bool = False
    """Whether the instance is the host's own and serves every generation."""


@dataclass(frozen=True)
class _Begin:
    """What a generation begins with, besides its code."""

    context: Context
    replaces: bool
    """Whether the generation before still serves: a hot swap."""


_users: dict[int, int] = {}
"""How many living generations an object in memory has: one that was reloaded is unloaded with the last of them."""
_users_lock = threading.Lock()


def build(
    source: Sequence[Any],
    manifest: Mapping[str, Any],
    folder: str | None,
    generation: int,
    replaces: bool,
    checkpoints: Checkpoints,
) -> tuple[Built | None, Problem | None]:
    """Make a generation."""
    scope = _importing.Folder(manifest["name"], generation, Path(folder)) if folder else None
    begin = _Begin(Context(manifest["name"], generation, checkpoints), replaces)
    try:
        return _build(source, manifest, scope, begin), None
    except _StepError as error:
        _forget(scope)
        return None, _problem(error.code, error)
    except BaseException as error:  # noqa: BLE001 (a plugin may raise whatever it likes)
        _forget(scope)
        return None, (CONSTRUCT, _said(error), describe_exception(error))


def _build(source: Sequence[Any], manifest: Mapping[str, Any], scope: _importing.Folder | None, begin: _Begin) -> Built:
    name = manifest["name"]
    kind = source[0]
    if kind == "host":
        return Built(name, None, host_tools(source[1], source[2]), scope)
    if kind == "object":
        found = source[1]
    elif kind == "factory":
        found = source[1]()
    elif kind == "entry_point":
        found = _entry_point(source[1], begin.replaces)
    else:
        found = _entrypoint(manifest["entrypoint"], scope, begin.replaces)
    instance = _constructed(found, begin.context)
    built = Built(name, instance, [], scope, shared=instance is found)
    _give(built, begin.context)
    built.tools = _tools(built, manifest)
    if not (begin.replaces and built.shared):
        _hook(built, "on_load", begin.context)
    if begin.replaces:
        _hook(built, "on_reload", begin.context)
    if built.shared:
        with _users_lock:
            _users[id(instance)] = _users.get(id(instance), 0) + 1
    return built


def _problem(code: str, error: BaseException) -> Problem:
    cause = error.__cause__
    return (code, str(error), describe_exception(cause) if cause is not None else None)


def _said(error: BaseException) -> str:
    """`ImportError: No module named x`, whatever the exception's own methods do."""
    kind: str = type.__dict__["__name__"].__get__(type(error))
    try:
        text = cut(str(error), 4096)
    except BaseException:  # noqa: BLE001 (its __str__ is the plugin's)
        return f"{kind} (its message cannot be shown)"
    return f"{kind}: {text}" if text else kind


# --- import ----------------------------------------------------------------------------------------------------------


def _entrypoint(entrypoint: str, scope: _importing.Folder | None, afresh: bool) -> Any:
    module_name, colon, attribute = entrypoint.partition(":")
    offered = None if colon else _offered(module_name.strip(), scope)
    if offered is not None:
        return _entry_point(offered, afresh)
    module = _module(module_name.strip(), scope, afresh)
    return _attribute(module, attribute.strip() or "Plugin", entrypoint)


def _offered(name: str, scope: _importing.Folder | None) -> Any:
    """The entry point of that name, where an installed package offers one and the plugin's folder has no module so."""
    if name.endswith(".py") or "/" in name or (scope is not None and scope.holds(name)):
        return None
    import importlib.metadata

    return next(iter(importlib.metadata.entry_points(group=GROUP, name=name)), None)


def _module(name: str, scope: _importing.Folder | None, afresh: bool) -> Any:
    is_file = name.endswith(".py") or "/" in name
    if is_file and scope is None:
        raise _StepError(ENTRYPOINT, f"{name} is a file, but the manifest has no folder to look for it in")
    try:
        if is_file and scope is not None:
            if not (scope.path / name).is_file():
                raise _StepError(ENTRYPOINT, f"there is no file {name} in the plugin's folder")
            return scope.import_file(name)
        if scope is not None and scope.holds(name):
            return scope.import_module(name)
        return _importing.afresh(name) if afresh else importlib.import_module(name)
    except _StepError:
        raise
    except BaseException as error:
        raise _StepError(IMPORT, f"importing {name}: {_said(error)}") from error


def _entry_point(point: Any, afresh: bool) -> Any:
    try:
        module = _importing.afresh(point.module) if afresh else importlib.import_module(point.module)
    except BaseException as error:
        raise _StepError(IMPORT, f"importing {point.module}: {_said(error)}") from error
    return _attribute(module, point.attr or "Plugin", point.value)


def _attribute(module: Any, path: str, entrypoint: str) -> Any:
    found = module
    try:
        for part in path.split("."):
            found = getattr(found, part)
    except BaseException as error:
        message = f"{entrypoint}: the module has no {path}; {_said(error)}"
        raise _StepError(ENTRYPOINT, message) from error
    return found


# --- construction ----------------------------------------------------------------------------------------------------


def _constructed(found: Any, context: Context) -> Any:
    is_factory = inspect.isroutine(found) and not hasattr(found, "__plugward_tool__")
    if not inspect.isclass(found) and not is_factory:
        return found
    try:
        return found(ctx=context) if _takes_ctx(found) else found()
    except BaseException as error:
        raise _StepError(CONSTRUCT, f"constructing it: {_said(error)}") from error


def _takes_ctx(found: Any) -> bool:
    try:
        return "ctx" in inspect.signature(found).parameters
    except (TypeError, ValueError):
        return False


def _give(built: Built, context: Context) -> None:
    """Set `ctx`, where the instance leaves room for it."""
    known = inspect.getattr_static(built.instance, "ctx", None)
    if known is not None and not isinstance(known, Context):
        return
    try:
        built.instance.ctx = context
    except BaseException:  # noqa: BLE001 (slots, or its own __setattr__: it can do without)
        return


def _hook(built: Built, name: str, context: Context) -> None:
    hook = _optional(built, name)
    if not callable(hook):
        return
    try:
        hook(*([context] if _positional(hook) > 0 else []))
    except BaseException as error:
        raise _StepError(CONSTRUCT, f"{name}(): {_said(error)}") from error


def _positional(hook: Callable[..., Any]) -> int:
    """How many arguments without a default a hook takes."""
    try:
        parameters = inspect.signature(hook).parameters.values()
    except (TypeError, ValueError):
        return 0
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds and p.default is p.empty for p in parameters)


def restore(built: Built, kept: bytes) -> tuple[bool, Problem | None]:
    """Give the plugin what its last generation kept; whether it asked for that at all."""
    hook = _optional(built, "on_restore")
    if not callable(hook):
        return False, None
    try:
        # The events since the checkpoint come with the event bus; until then there are none.
        hook(*(unpacked(kept), [])[: max(1, min(2, _room(hook)))])
    except BaseException as error:  # noqa: BLE001 (as above)
        return False, (RESTORE, f"on_restore(): {_said(error)}", describe_exception(error))
    return True, None


def _room(hook: Callable[..., Any]) -> int:
    """How many positional arguments a hook can take at most."""
    try:
        parameters = list(inspect.signature(hook).parameters.values())
    except (TypeError, ValueError):
        return 2
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 2
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _optional(built: Built, name: str) -> Any:
    """An attribute that a plugin may lack; a property that raises is noted, no more."""
    try:
        return getattr(built.instance, name, None)
    except BaseException as error:  # noqa: BLE001 (a property is the plugin's code)
        built.notes.append(f"its attribute {name} cannot be read: {_said(error)}")
        return None


def validate(built: Built) -> tuple[bool, Problem | None]:
    """Ask the plugin itself."""
    hook = _optional(built, "validate")
    if not callable(hook):
        return True, None
    try:
        answer = hook()
    except BaseException as error:  # noqa: BLE001 (as above)
        return False, (VALIDATE, f"validate(): {_said(error)}", describe_exception(error))
    if answer is False:
        return False, (VALIDATE, "validate() returned False", None)
    return True, None


def stop(built: Built) -> tuple[bool, None]:
    """Tell the plugin that its generation has ended, at most for a few seconds."""
    hook = _optional(built, "on_unload")
    if _is_last(built) and callable(hook):
        thread = threading.Thread(target=_quietly, args=(hook,), name="plugward-unload", daemon=True)
        thread.start()
        thread.join(UNLOAD_SECONDS)
    _forget(built.folder)
    return True, None


def discard(built: Built) -> None:
    """Let go of a generation that never began."""
    _is_last(built)
    _forget(built.folder)


def _is_last(built: Built) -> bool:
    """Whether no other living generation has the same instance."""
    if not built.shared:
        return True
    with _users_lock:
        left = _users.get(id(built.instance), 1) - 1
        if left > 0:
            _users[id(built.instance)] = left
        else:
            _users.pop(id(built.instance), None)
        return left <= 0


def _quietly(hook: Callable[[], Any]) -> None:
    try:
        hook()
    except BaseException:  # noqa: BLE001 (it is gone whatever it says)
        return


def _forget(scope: _importing.Folder | None) -> None:
    if scope is not None:
        scope.forget()


# --- tools -----------------------------------------------------------------------------------------------------------


def host_tools(tools: Mapping[str, Any], schemas: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The tools of a host that holds plain callables."""
    given = schemas or {}
    return [_tool(name, handler, given.get(name) or {}) for name, handler in tools.items()]


def _tools(built: Built, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    declared: Any = _optional(built, "tools")
    if callable(declared) and not isinstance(declared, Mapping):
        declared = _answer(declared, "tools()")
    if isinstance(declared, Mapping) and declared:
        return [_from_table(built, str(name), entry) for name, entry in declared.items()]
    marked = _marked(built.instance)
    if marked:
        return marked
    return [_from_manifest(built, entry) for entry in manifest.get("tools") or ()]


def _answer(function: Callable[[], Any], what: str) -> Any:
    try:
        return function()
    except BaseException as error:
        raise _StepError(TOOLS, f"{what}: {_said(error)}") from error


def _from_table(built: Built, name: str, entry: Any) -> dict[str, Any]:
    """An entry of the plugin's own `tools`: a callable, or a description with a handler."""
    details = entry if isinstance(entry, Mapping) else {"handler": entry}
    return _tool(name, _handler(built, name, details.get("handler")), details)


def _handler(built: Built, name: str, handler: Any) -> Callable[..., Any]:
    if isinstance(handler, str):
        found = _optional(built, handler)
        if not callable(found):
            raise _StepError(TOOLS, f'tool "{name}": the plugin has no method {handler!r}')
        return found  # type: ignore[no-any-return]
    if callable(handler):
        return handler  # type: ignore[no-any-return]
    if handler is None:
        method = _optional(built, name)
        return method if callable(method) else _through_run_tool(built, name)
    raise _StepError(TOOLS, f'tool "{name}": its handler is a {type(handler).__name__}, not a callable or a name')


def _through_run_tool(built: Built, name: str) -> Callable[..., Any]:
    run = _optional(built, "run_tool")
    if not callable(run):
        raise _StepError(TOOLS, f'tool "{name}" has no handler, and the plugin has neither {name}() nor run_tool()')
    if inspect.iscoroutinefunction(run):

        async def later(**args: Any) -> Any:
            return await run(name, args)

        return later

    def handler(**args: Any) -> Any:
        return run(name, args)

    return handler


def _marked(instance: Any) -> list[dict[str, Any]]:
    """Methods (or a function) that `@plugward.tool` has marked."""
    if hasattr(instance, "__plugward_tool__"):
        mark = instance.__plugward_tool__
        return [_tool(mark["id"], instance, mark)]
    found = []
    for name, member in _static(instance):
        mark = _mark_of(member)
        if mark is not None:
            found.append(_tool(mark["id"], getattr(instance, name), mark))
    return found


def _mark_of(member: Any) -> dict[str, Any] | None:
    """The mark on a member, or on the function inside it."""
    for place in (member, getattr(member, "__func__", None), getattr(member, "__wrapped__", None)):
        mark = getattr(place, "__plugward_tool__", None)
        if isinstance(mark, dict):
            return mark
    return None


def _static(instance: Any) -> list[tuple[str, Any]]:
    """`inspect.getmembers_static`, which Python 3.10 lacks: no property is run."""
    return [(name, inspect.getattr_static(instance, name, None)) for name in dir(instance)]


def _from_manifest(built: Built, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A tool that only the manifest describes: a method of that name, or `run_tool`."""
    name = entry["id"]
    method = _optional(built, name)
    handler = method if callable(method) else _through_run_tool(built, name)
    return _tool(name, handler, entry)


def _tool(name: str, handler: Any, details: Mapping[str, Any]) -> dict[str, Any]:
    if not callable(handler):
        raise _StepError(TOOLS, f'tool "{name}": its handler is a {type(handler).__name__}, not a callable')
    description = details.get("description")
    inputs = details.get("input_schema", details.get("input", details.get("inputs")))
    outputs = details.get("output_schema", details.get("output", details.get("outputs")))
    deadline = details.get("deadline_ms")
    return {
        "id": name,
        "description": description if isinstance(description, str) else None,
        "input_schema": inputs if isinstance(inputs, Mapping) else None,
        "output_schema": outputs if isinstance(outputs, Mapping) else None,
        "deadline_ms": deadline if isinstance(deadline, int) else None,
        "handler": handler,
        "is_async": _is_async(handler),
        "is_function": isinstance(handler, (FunctionType, MethodType)),
        "takes_progress": _takes_progress(handler),
        "names_progress": _takes_progress(handler, by_name=True),
    }


def _is_async(handler: Any) -> bool:
    bare = inspect.unwrap(handler) if isinstance(handler, FunctionType) else handler
    return (
        inspect.iscoroutinefunction(handler)
        or inspect.iscoroutinefunction(bare)
        or inspect.iscoroutinefunction(getattr(handler, "func", None))
        or inspect.iscoroutinefunction(inspect.getattr_static(type(handler), "__call__", None))
    )


def _takes_progress(handler: Any, *, by_name: bool = False) -> bool:
    """Whether it can be given a callback; `by_name`: also where nobody asked for one, as in a worker process."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.name == "progress_callback" or (p.kind is p.VAR_KEYWORD and not by_name) for p in parameters)
