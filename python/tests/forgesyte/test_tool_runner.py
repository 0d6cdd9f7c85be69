"""The seams: what is raised, what is returned, and that nothing FAILED or UNAVAILABLE is executed."""

import asyncio
import contextvars
import sqlite3
import threading
import time
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import numpy
import pydantic
import pytest

from plugward import InvalidInput
from plugward.forgesyte.lifecycle.lifecycle_state import PluginLifecycleState as State
from plugward.forgesyte.loader.plugin_registry import PluginRegistry
from plugward.forgesyte.tool_runner import ToolRunner, jsonable, run_plugin_tool, tool_runner


class Detection(pydantic.BaseModel):
    xyxy: list[float]
    class_name: str


class Weird(Exception):  # noqa: N818
    pass


class Plugin:
    """As plugin authors of that host write them."""

    name = "vision"

    def __init__(self) -> None:
        self.calls: list[str] = []
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        self.tools = {
            "double": {"handler": self.double, "description": "", "input_schema": schema, "output_schema": {}},
            "by_name": {"handler": "named", "description": "", "input_schema": {}, "output_schema": {}},
            "closure": {"handler": lambda **_: Detection(xyxy=[1, 2, 3, 4], class_name="ball")},
            "array": {
                "handler": lambda **_: {"scores": numpy.array([0.5, 1.0], dtype=numpy.float32), "n": numpy.int64(3)}
            },
            "raises": {"handler": self.raises},
            "refuses": {"handler": self.refuses},
            "later": {"handler": self.later},
            "video": {"handler": self.video},
        }

    def run_tool(self, tool: str, args: dict[str, Any]) -> Any:
        self.calls.append(tool)
        handler = self.tools[tool]["handler"]
        return (getattr(self, handler) if isinstance(handler, str) else handler)(**args)  # type: ignore[operator]

    def double(self, n: int) -> int:
        return 2 * n

    def named(self, **args: Any) -> dict[str, Any]:
        return args

    def raises(self, **_: Any) -> None:
        raise Weird("frame 7 is empty")

    def refuses(self, **_: Any) -> None:
        raise InvalidInput("no such camera")

    async def later(self) -> str:
        await asyncio.sleep(0.001)
        return "awaited"

    def video(self, frames: int, progress_callback: Any = None) -> str:
        for n in range(frames):
            progress_callback(n + 1, frames)
        return threading.current_thread().name


@pytest.fixture
def plugin(registry: PluginRegistry) -> Plugin:
    made = Plugin()
    registry.register("vision", instance=made)
    registry.mark_initialized("vision")
    return made


def test_results_are_returned_as_they_are(plugin: Plugin, registry: PluginRegistry) -> None:
    assert run_plugin_tool("vision", "double", {"n": 4}) == 8
    assert run_plugin_tool("vision", "by_name", {"a": 1}) == {"a": 1}
    assert isinstance(run_plugin_tool("vision", "closure"), Detection)
    assert run_plugin_tool("vision", "later", {}) == "awaited"
    assert plugin.calls == ["double", "by_name", "closure", "later"], "through the plugin's own run_tool"
    status = registry.get_status("vision")
    assert status is not None
    assert (status.state, status.success_count, status.error_count) == (State.INITIALIZED, 4, 0)
    assert registry.get("vision") is plugin


def test_the_callers_mistakes_are_value_errors_and_no_faults(plugin: Plugin, registry: PluginRegistry) -> None:
    mistakes: list[tuple[str, str, Any]] = [
        ("nobody", "double", {"n": 1}),
        ("vision", "no_such_tool", {}),
        ("vision", "double", {}),
        ("vision", "double", {"n": "text"}),
        ("vision", "double", {"n": 1, "bogus": 2}),
        ("vision", "refuses", {}),
    ]
    for plugin_id, tool, args in mistakes:
        with pytest.raises(ValueError, match=r".+"):
            run_plugin_tool(plugin_id, tool, args)
    assert registry.get_state("vision") is State.INITIALIZED


def test_the_plugins_own_exception_comes_out_and_fails_it(plugin: Plugin, registry: PluginRegistry) -> None:
    with pytest.raises(Weird, match=r"^frame 7 is empty$"):
        run_plugin_tool("vision", "raises", {})
    status = registry.get_status("vision")
    assert status is not None
    assert (status.state, status.error_count) == (State.FAILED, 1)
    assert "frame 7 is empty" in (status.reason or "")
    calls = list(plugin.calls)
    with pytest.raises(RuntimeError, match="frame 7 is empty"):
        run_plugin_tool("vision", "double", {"n": 1})
    assert plugin.calls == calls, "a FAILED plugin was executed"


def test_a_deadline_is_a_timeout_error(plugin: Plugin) -> None:
    plugin.tools["slow"] = {"handler": lambda seconds: time.sleep(seconds), "deadline_ms": 500}
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        run_plugin_tool("vision", "slow", {"seconds": 120})
    assert time.monotonic() - begun < 60


def test_a_plugin_that_exits_is_an_ordinary_error(registry: PluginRegistry) -> None:
    class Exits:
        def __init__(self) -> None:
            self.tools = {"run": {"handler": "run"}}

        def run(self) -> None:
            raise SystemExit(3)

    registry.register("exits", instance=Exits())
    with pytest.raises(RuntimeError, match="exits"):
        run_plugin_tool("exits", "run", {})


@pytest.mark.parametrize("threaded", [False, True])
def test_progress_and_context_stay_on_the_callers_thread(plugin: Plugin, threaded: bool) -> None:
    if threaded:
        plugin.tools["slow"] = {"handler": lambda: None, "deadline_ms": 100}
    request = contextvars.ContextVar("request", default="none")
    request.set("42")
    session = sqlite3.connect(":memory:")
    session.execute("create table progress(current)")

    def on_progress(current: int, total: int) -> None:
        session.execute("insert into progress values (?)", (current,))
        assert request.get() == "42"

    ran_on = run_plugin_tool("vision", "video", {"frames": 3}, on_progress)
    assert (ran_on == threading.current_thread().name) is not threaded
    assert session.execute("select count(*) from progress").fetchone() == (3,)
    session.close()


@pytest.mark.parametrize("mark", ["mark_failed", "mark_unavailable"])
@pytest.mark.parametrize("adopted", [True, False])
async def test_nothing_final_is_executed(plugin: Plugin, registry: PluginRegistry, mark: str, adopted: bool) -> None:
    if adopted:
        run_plugin_tool("vision", "double", {"n": 1})
    plugin.calls.clear()
    getattr(registry, mark)("vision", "the host says so")
    with pytest.raises(RuntimeError, match="the host says so"):
        run_plugin_tool("vision", "double", {"n": 1})
    answer = await ToolRunner().run_tool("vision", "double", {"n": 1})
    assert answer["ok"] is False
    assert "the host says so" in answer["error"]
    assert ToolRunner().run(plugin, {"tool": "double", "n": 1})["ok"] is False
    assert plugin.calls == []


def test_adopting_keeps_the_counts(plugin: Plugin, registry: PluginRegistry) -> None:
    registry.record_success("vision", 5.0)
    registry.record_error("vision")
    run_plugin_tool("vision", "double", {"n": 1})
    status = registry.get_status("vision")
    assert status is not None
    assert (status.success_count, status.error_count) == (2, 1)


def test_first_calls_at_once(registry: PluginRegistry) -> None:
    """A plugin is adopted by its first call; the others wait for that and nobody misses it on the list."""
    for n in range(20):
        registry.register(f"p{n}", instance=Plugin())
    problems: list[object] = []

    def caller() -> None:
        for n in range(20):
            try:
                assert run_plugin_tool(f"p{n}", "double", {"n": n}) == 2 * n
                assert registry.get_status(f"p{n}") is not None
            except Exception as error:
                problems.append((n, error))

    threads = [threading.Thread(target=caller) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert {status.success_count for status in registry.list_all()} == {8}


@pytest.mark.parametrize("tool", [MagicMock(return_value=5), AsyncMock(return_value=5)])
def test_a_mock_for_a_plugin(registry: PluginRegistry, tool: MagicMock) -> None:
    plugin = MagicMock()
    plugin.run_tool = tool
    registry.register("mock", instance=plugin)
    assert run_plugin_tool("mock", "anything", {"a": 1}) == 5
    tool.assert_called_once_with("anything", {"a": 1})
    assert registry.get_status("mock").success_count == 1  # type: ignore[union-attr]
    tool.side_effect = KeyError("k")
    with pytest.raises(KeyError):
        run_plugin_tool("mock", "anything", {})
    assert registry.get_state("mock") is State.FAILED
    tool.reset_mock()
    with pytest.raises(RuntimeError):
        run_plugin_tool("mock", "anything", {})
    tool.assert_not_called()


async def test_the_async_callable(plugin: Plugin) -> None:
    assert await tool_runner("closure", {"plugin_name": "vision"}) == {
        "xyxy": [1.0, 2.0, 3.0, 4.0],
        "class_name": "ball",
    }
    assert await tool_runner("double", {"plugin_name": "vision", "n": 4}) == {"result": 8}
    assert await tool_runner("array", {"plugin_name": "vision"}) == {"scores": [0.5, 1.0], "n": 3}
    assert await tool_runner("by_name", {"plugin_name": "vision", "image": "aGk="}) == {"image": "aGk="}
    with pytest.raises(ValueError, match="plugin_name"):
        await tool_runner("closure", {})
    with pytest.raises(ValueError, match="nobody"):
        await tool_runner("closure", {"plugin_name": "nobody"})


async def test_run_tool_answers_and_the_loop_goes_on(plugin: Plugin) -> None:
    answer = await ToolRunner().run_tool(
        "vision", "by_name", {"a": 1}, frame_base64="aGk=", device="cpu", annotated=False
    )
    assert answer["ok"] is True
    assert answer["result"] == {"a": 1, "frame": "aGk=", "device": "cpu", "annotated": False}
    bad = await ToolRunner().run_tool("vision", "no_such_tool", {})
    assert (bad["ok"], bad["error_type"]) == (False, "UnknownTool")
    assert bad["remedy"]
    release = threading.Event()
    plugin.tools["wait"] = {"handler": lambda: release.wait(60)}
    PluginRegistry._instance.restart("vision")  # type: ignore[union-attr]
    running = asyncio.ensure_future(ToolRunner().run_tool("vision", "wait"))
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert not running.done(), "the event loop was blocked"
    release.set()
    assert (await running)["ok"] is True


def test_run_takes_any_plugin_object() -> None:
    class Old:
        def run(self, data: Any) -> Any:
            return {"seen": data}

    assert ToolRunner().run(Old(), {"x": 1})["result"] == {"seen": {"x": 1}}
    assert ToolRunner().run(Plugin(), {"tool": "double", "n": 3})["result"] == 6
    answer = ToolRunner().run(Plugin(), {"n": 3})
    assert (answer["ok"], answer["error_type"]) == (False, "ValueError")
    mock = MagicMock()
    mock.run.side_effect = SystemExit(2)
    assert ToolRunner().run(mock, {})["error_type"] == "SystemExit"


def test_run_is_on_the_account_of_what_is_registered(registry: PluginRegistry) -> None:
    class Ocr:
        name = "ocr"

        def run(self, image: str, scale: int = 1) -> str:
            return image * scale

    registry.register("ocr")
    assert ToolRunner().run(Ocr(), {"image": "a", "scale": 3})["result"] == "aaa"
    status = registry.get_status("ocr")
    assert status is not None
    assert (status.state, status.success_count) == (State.INITIALIZED, 1)
    assert ToolRunner().run(Ocr(), {"bogus": 1})["ok"] is False
    assert registry.get_state("ocr") is State.FAILED
    assert "not executed" in ToolRunner().run(Ocr(), {"image": "a"})["error"]


async def test_an_image_for_a_tool_that_takes_bytes(registry: PluginRegistry) -> None:
    class Tracker:
        def __init__(self) -> None:
            schema = {"type": "object", "properties": {"image_bytes": {}, "device": {"type": "string"}}}
            self.tools = {"detect": {"handler": self.detect, "input_schema": schema}}

        def detect(self, image_bytes: bytes, device: str = "cpu") -> dict[str, Any]:
            return {"bytes": len(image_bytes), "device": device}

    registry.register("tracker", instance=Tracker())
    for _ in range(2):
        args = {"plugin_name": "tracker", "image": "aGVsbG8=", "device": "cuda"}
        assert await tool_runner("detect", args) == {"bytes": 5, "device": "cuda"}
    with pytest.raises(ValueError, match="base64"):
        await tool_runner("detect", {"plugin_name": "tracker", "image": "not base64!"})
    assert registry.get_state("tracker") is State.INITIALIZED


def test_jsonable() -> None:
    given = {"a": numpy.float32(0.5), "b": (Detection(xyxy=[1], class_name="x"), {3}), "c": b"hi", 4: None, "d": True}
    assert jsonable(given) == {
        "a": 0.5,
        "b": [{"xyxy": [1.0], "class_name": "x"}, [3]],
        "c": "aGk=",
        "4": None,
        "d": True,
    }
    for odd in (MagicMock(), State.FAILED, object(), time.gmtime, 2.5, True):
        assert jsonable(odd) is odd
    assert jsonable(numpy.bool_(True)) is True
    assert jsonable(numpy.zeros((2, 1), dtype=numpy.int8)) == [[0], [0]]
