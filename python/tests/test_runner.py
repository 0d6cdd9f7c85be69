"""ToolRunner, the sandbox and the dependency checker."""

import threading
from pathlib import Path
from typing import Any

import pytest

import plugward
from plugward import DependencyChecker, PluginSandboxRunner, Runtime, ToolRunner, run_plugin_sandboxed


def test_a_tool_by_name(runtime: Runtime) -> None:
    runtime.add_host("p", {"add": lambda a, b: a + b})
    runner = ToolRunner(runtime)
    assert runner.run_tool("p", "add", {"a": 1}, b=2)["result"] == 3
    answer = runner.run_tool("nobody", "add")
    assert (answer["ok"], answer["error_type"]) == (False, "UnknownPlugin")


def test_a_plugin_that_no_runtime_knows() -> None:
    class One:
        tools = {"only": {"handler": lambda n: n + 1}}  # noqa: RUF012

    class Bad:
        def __init__(self) -> None:
            raise ValueError("no")

    runner = ToolRunner()
    assert runner.run(One(), {"n": 1})["result"] == 2
    assert runner.run(One, n=4)["result"] == 5
    assert runner.run(Bad)["code"] == "PW-CALL-006"
    assert runner.run(One(), tool="other")["code"] == "PW-REG-002"


def test_the_sandbox() -> None:
    def fail() -> None:
        raise KeyError("x")

    good = run_plugin_sandboxed(lambda a, b: a * b, 3, b=4)
    assert (good.ok, good.result, good.error) == (True, 12, None)
    bad = run_plugin_sandboxed(fail)
    assert (bad.ok, bad.error, bad.error_type) == (False, "'x'", "KeyError")
    assert "in fail" in str(bad.traceback)
    assert bad.to_dict()["error_type"] == "KeyError"
    assert run_plugin_sandboxed(exit, 3).error_type == "SystemExit"


async def test_the_sandbox_runs_coroutines_also_inside_a_loop() -> None:
    async def tool(n: int, progress: Any) -> int:
        progress()
        return n

    seen: list[int] = []
    result = run_plugin_sandboxed(tool, 5, progress=lambda: seen.append(threading.get_ident()))
    assert (result.result, seen) == (5, [threading.get_ident()])


def test_the_sandbox_with_a_deadline() -> None:
    runner, release = PluginSandboxRunner(deadline_ms=500), threading.Event()
    result = runner.run(release.wait, 60)
    assert (result.ok, result.error_type) == (False, "DeadlineExceeded")
    runner.deadline_ms = 30_000
    assert runner.run(lambda: 5).result == 5
    release.set()


def test_the_checker(tmp_path: Path) -> None:
    checker = DependencyChecker()
    assert checker.check_package("pydantic>=2")
    assert not checker.check_package("no-such-package-at-all")
    answer = checker.check_dependencies(
        ["pydantic", "no-such-package-at-all"], requires_models=[str(tmp_path / "m.pt")]
    )
    assert answer["available"] is False
    assert answer["missing"] == ["model_0", "no-such-package-at-all"] or set(answer["missing"]) == {
        "model_0",
        "no-such-package-at-all",
    }
    assert "no-such-package-at-all" in answer["reason"]
    assert not checker.check_model(tmp_path / "nothing.pt")
    gpu = checker.check_dependencies(requires_gpu=True)
    assert gpu["available"] or "GPU" in gpu["reason"]
    assert checker.check_gpu() == gpu["available"]
    with pytest.raises(plugward.PlugwardError):
        checker.check({"name": "p", "knid": "python"})


def test_a_dependency_that_is_missing_makes_a_host_plugin_unavailable(runtime: Runtime) -> None:
    class Plugin:
        tools = {"t": print}  # noqa: RUF012

    report = runtime.add_plugin(Plugin, name="p", manifest={"dependencies": ["no-such-package-at-all"]})
    assert (report.state, report.code) == ("UNAVAILABLE", "PW-PKG-001")
    outcome = runtime.call("p", "t")
    assert (outcome.error_type, outcome.effect) == ("PluginUnavailable", "not_started")
