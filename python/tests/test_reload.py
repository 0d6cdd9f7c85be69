"""Hot swap, stop, and what a plugin keeps for its next generation."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plugward
from plugward import Runtime
from python.tests.patience import until

LEVELS = ["inline", "thread", "process"]
PLUGIN = """
    import os, time

    class Plugin:
        EDITION = "{edition}"
        def __init__(self):
            self.count, self.hooks = 0, []
        def on_load(self): self.hooks.append("on_load")
        def on_reload(self): self.hooks.append("on_reload")
        def on_unload(self):
            with open({ends!r}, "a") as out: out.write(self.EDITION + "\\n")
        def on_restore(self, state, events):
            assert events == []
            self.hooks.append("on_restore")
            self.count = state["count"]
        def validate(self): {validate}
        @property
        def tools(self):
            return {{name: getattr(self, name) for name in ("add", "look", "nap", "hold", "die", "keep")}}
        def add(self):
            self.count += 1
            self.ctx.checkpoint({{"count": self.count}})
            return self.look()
        def look(self):
            return {{"edition": self.EDITION, "count": self.count, "pid": os.getpid(), "hooks": self.hooks}}
        def nap(self, seconds):
            time.sleep(seconds)
            return self.look()
        def hold(self, file):
            while not os.path.exists(file): time.sleep(0.01)
            return self.look()
        def keep(self, size):
            self.ctx.checkpoint(b"x" * size)
        def die(self):
            os.kill(os.getpid(), 9)
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., Path]:
    """Write an edition of the plugin and give its folder."""

    def write(edition: str = "one", isolation: str = "process", validate: str = "pass", **more: Any) -> Path:
        source = PLUGIN.format(edition=edition, validate=validate, ends=str(tmp_path / "ends.txt"))
        (tmp_path / "plugin.py").write_text(textwrap.dedent(source))
        manifest = {
            "name": "p",
            "kind": "python",
            "entrypoint": "plugin.py:Plugin",
            "isolation": isolation,
            "restart": {"backoff_ms": [10, 50]},
            "permissions": {"write": ["."]},
            **more,
        }
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        return tmp_path

    return write


def ask(runtime: Runtime, tool: str, **args: Any) -> Any:
    outcome = runtime.call("p", tool, args, deadline_ms=30_000)
    assert outcome.ok, outcome.to_dict()
    return outcome.result


def load(runtime: Runtime, folder: Path) -> None:
    (report,) = runtime.load(folder)
    assert report.ok, report.error


@pytest.mark.parametrize("isolation", LEVELS)
def test_a_new_edition_takes_over_while_a_long_call_ends_on_the_old(
    runtime: Runtime, plugin: Any, isolation: str, tmp_path: Path
) -> None:
    load(runtime, plugin(isolation=isolation))
    first = ask(runtime, "add")
    long: list[Any] = []
    reports: list[plugward.LoadReport] = []
    file = tmp_path / "go"
    thread = threading.Thread(target=lambda: long.append(ask(runtime, "hold", file=str(file))))
    thread.start()
    until("the long call runs", lambda: (runtime.plugin_health("p") or {})["in_flight"] == 1)
    plugin("two", isolation)
    reload = threading.Thread(target=lambda: reports.append(runtime.reload("p")))
    reload.start()
    until("the new edition serves", lambda: (runtime.plugin_health("p") or {})["generation"] == 2)
    file.touch()
    for each in (thread, reload):
        each.join()
    (report,) = reports
    assert (report.ok, report.generation, report.cut_off, report.error) == (True, 2, 0, None)
    assert long[0]["edition"] == "one"
    assert long[0]["pid"] == first["pid"]
    seen = ask(runtime, "look")
    assert (seen["edition"], seen["count"]) == ("two", 1)
    assert seen["hooks"] == ["on_load", "on_reload", "on_restore"]
    assert (seen["pid"] != first["pid"]) == (isolation == "process")
    ends = tmp_path / "ends.txt"
    until("the old one ended well", lambda: ends.exists() and ends.read_text() != "")
    assert ends.read_text() == "one\n"


@pytest.mark.parametrize("isolation", LEVELS)
def test_an_edition_that_does_not_come_up_changes_nothing(runtime: Runtime, plugin: Any, isolation: str) -> None:
    load(runtime, plugin(isolation=isolation))
    plugin("two", isolation, validate="raise ValueError('not today')")
    report = runtime.reload("p")
    assert (report.ok, report.state, report.generation) == (False, "INITIALIZED", 1)
    assert report.code == "PW-LOAD-005"
    assert "not today" in str(report.error)
    assert ask(runtime, "look")["edition"] == "one"
    plugin("three", isolation)
    assert runtime.reload("p").ok
    assert ask(runtime, "look")["edition"] == "three"


@pytest.mark.parametrize("isolation", LEVELS)
def test_under_load_not_one_call_is_lost(runtime: Runtime, plugin: Any, isolation: str) -> None:
    folder = plugin(isolation=isolation, limits={"concurrency": 3, "queue": 64})
    load(runtime, folder)
    done = threading.Event()
    bad: list[Any] = []
    good: list[int] = []

    def caller() -> None:
        while not done.is_set():
            outcome = runtime.call("p", "nap", {"seconds": 0.002})
            if outcome.ok:
                good.append(outcome.generation)
            else:
                bad.append(outcome.to_dict())

    async def awaiter() -> None:
        runner = plugward.ToolRunner(runtime)
        while not done.is_set():
            answer = await runner.arun_tool("p", "nap", {"seconds": 0.002})
            if not answer["ok"]:
                bad.append(answer)

    threads = [threading.Thread(target=caller) for _ in range(8)]
    threads.append(threading.Thread(target=lambda: asyncio.run(awaiter())))
    for thread in threads:
        thread.start()
    try:
        until("the first generation serves", lambda: 1 in good)
        for generation in range(2, 6):
            report = runtime.reload("p")
            assert (report.ok, report.generation) == (True, generation), report.error
            time.sleep(0.05)
        until("the fifth generation serves", lambda: 5 in good)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert bad == []
    assert {1, 5} <= set(good)


def test_a_module_of_the_environment_is_imported_anew(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "class Plugin:\n    tools = {'edition': lambda: EDITION}\nEDITION = '%s'\n"
    module = tmp_path / "reloaded_plugin.py"
    module.write_text(source % "one")
    monkeypatch.syspath_prepend(str(tmp_path))
    manifest = tmp_path / "manifest.json"
    data = {"name": "p", "kind": "python", "entrypoint": "reloaded_plugin:Plugin", "isolation": "thread"}
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(data))
    load(runtime, folder)
    assert ask(runtime, "edition") == "one"
    module.write_text("raise OSError('broken')\n")
    assert runtime.reload("p").code == "PW-LOAD-003"
    assert importlib.import_module("reloaded_plugin").EDITION == "one"
    assert ask(runtime, "edition") == "one"
    module.write_text(source % "twenty-two")
    assert runtime.reload("p").ok
    assert ask(runtime, "edition") == "twenty-two"
    sys.modules.pop("reloaded_plugin", None)


def test_an_object_in_memory_is_told_to_reload_and_unloaded_once(runtime: Runtime) -> None:
    said: list[str] = []

    class Mine:
        tools = {"t": lambda: 1}  # noqa: RUF012

        def on_load(self, ctx: plugward.Context) -> None:
            said.append(f"load {ctx.generation}")

        def on_reload(self) -> None:
            said.append("reload")

        def on_unload(self) -> None:
            said.append("unload")

    runtime.add_plugin(Mine(), "p")
    assert runtime.reload("p").ok
    assert said == ["load 1", "reload"]
    assert runtime.call("p", "t").ok
    assert runtime.stop("p").ok
    assert said == ["load 1", "reload", "unload"]
    assert runtime.restart("p").ok
    assert said[3:] == ["load 3"]


@pytest.mark.parametrize("isolation", LEVELS)
def test_a_stopped_plugin_is_listed_and_starts_again(runtime: Runtime, plugin: Any, isolation: str) -> None:
    load(runtime, plugin(isolation=isolation))
    ask(runtime, "add")
    report = runtime.stop("p")
    assert (report.ok, report.state) == (True, "UNAVAILABLE")
    outcome = runtime.call("p", "look")
    assert (outcome.code, outcome.error_type) == ("PW-LIFE-003", "PluginStopped")
    assert "restart" in str(outcome.remedy)
    assert runtime.list() == ["p"]
    assert runtime.restart("p").ok
    assert ask(runtime, "look")["count"] == 1


def test_what_is_kept_survives_a_killed_worker(runtime: Runtime, plugin: Any) -> None:
    load(runtime, plugin())
    first = ask(runtime, "add")
    ask(runtime, "add")
    assert runtime.call("p", "die").code == "PW-WORKER-004"
    until("it is back", lambda: runtime.state("p") == "INITIALIZED")
    seen = ask(runtime, "look")
    assert (seen["count"], seen["hooks"]) == (2, ["on_load", "on_restore"])
    assert seen["pid"] != first["pid"]


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_checkpoint_is_bounded(runtime: Runtime, plugin: Any, isolation: str) -> None:
    load(runtime, plugin(isolation=isolation, fails_on="crash"))
    ask(runtime, "add")
    outcome = runtime.call("p", "keep", {"size": 17 << 20})
    assert not outcome.ok
    assert "16.0 MiB" in str(outcome.error)
    runtime.restart("p")
    assert ask(runtime, "look")["count"] == 1


def test_a_state_comes_back_as_it_was_kept(runtime: Runtime) -> None:
    taken: list[Any] = []

    class Mine:
        def __init__(self, ctx: plugward.Context) -> None:
            self.ctx = ctx

        def on_restore(self, state: Any) -> None:
            taken.append(state)

        def keep(self, what: Any) -> None:
            self.ctx.checkpoint(what)

        tools = {"keep": {"handler": "keep"}}  # noqa: RUF012

    runtime.add_plugin(Mine, "p", {"fails_on": "crash"})
    states: list[Any] = [b"\x00\xff", {"a": [1, None, "ü"]}, 7, None, "text"]
    for state in states:
        assert runtime.call("p", "keep", {"what": state}).ok
        assert runtime.restart("p").ok
    assert taken == states
    outcome = runtime.call("p", "keep", {"what": object()})
    assert outcome.error_type == "TypeError"
