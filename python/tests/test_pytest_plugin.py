"""The pytest plugin as a plugin author uses it: in a test run of its own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import plugward
from plugward.pytest_plugin import plugward_contract

AUTHORS_TESTS = """
import pytest

class Good:
    name = "good"
    def __init__(self):
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        self.tools = {"double": {"handler": self.double, "description": "twice n", "input_schema": schema}}
    def double(self, n):
        return {"twice": 2 * n}

def test_contract(plugward_contract):
    plugward_contract(Good, examples={"double": {"n": 4}})

def test_broken_contract(plugward_contract):
    class Nameless(Good):
        name = ""
    with pytest.raises(pytest.fail.Exception, match="no name"):
        plugward_contract(Nameless)

@pytest.mark.parametrize("wrong", ["raises", "exits", "unprintable", "interrupts", "recurses"])
def test_neighbours(plugward_runtime, plugward_misbehaving, wrong):
    plugward_runtime.add_plugin(Good)
    plugward_runtime.add_plugin(plugward_misbehaving[wrong])
    assert not plugward_runtime.call(wrong, "run").ok
    assert plugward_runtime.call("good", "double", {"n": 1}).result == {"twice": 2}

def test_a_runtime_of_its_own(plugward_runtime):
    assert plugward_runtime.list() == []
"""


def test_in_an_authors_own_run(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(AUTHORS_TESTS)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "plugward.pytest_plugin", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "8 passed" in ended.stdout


def test_it_costs_nothing_before_it_is_used() -> None:
    code = "import sys, plugward.pytest_plugin; print(sorted(m for m in sys.modules if m.startswith('plugward.f')))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


class Plugin:
    """Keeps the contract; the tests break it in one place each."""

    name = "mine"

    def __init__(self) -> None:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        self.tools: dict[str, Any] = {"double": {"handler": self.double, "description": "2n", "input_schema": schema}}

    def double(self, n: int) -> Any:
        return 2 * n


def broken(plugin: Any, **options: Any) -> str:
    with pytest.raises(pytest.fail.Exception) as raised:
        plugward_contract(plugin, **options)
    return str(raised.value)


def test_the_contract_is_kept() -> None:
    plugward_contract(Plugin, {"double": {"n": 1}})
    plugward_contract(Plugin())


def test_what_does_not_load() -> None:
    class Unfit(Plugin):
        def validate(self) -> bool:
            return False

    assert "does not load" in broken(Unfit)
    assert "does not load" in broken(type("Empty", (), {"name": "empty"}))


def test_what_is_not_described() -> None:
    class Silent(Plugin):
        name = ""

        def __init__(self) -> None:
            self.tools = {"double": {"handler": self.double}}

    text = broken(Silent)
    assert "no name" in text
    assert "no description" in text
    assert "no input_schema" in text


def test_what_does_not_answer() -> None:
    class Odd(Plugin):
        def double(self, n: int) -> Any:
            return object() if n else 1 / n

    assert "ZeroDivisionError" in broken(Odd, examples={"double": {"n": 0}})
    assert "JSON cannot carry" in broken(Odd, examples={"double": {"n": 1}})
    assert "no such tool" in broken(Odd, examples={"triple": {}})


def test_what_does_not_end() -> None:
    class Slow(Plugin):
        def double(self, n: int) -> Any:
            while True:
                pass

    assert "deadline" in broken(Slow, examples={"double": {"n": 0}}, deadline_ms=100)


def test_what_loads_only_once() -> None:
    made: list[int] = []

    class Once(Plugin):
        def __init__(self) -> None:
            super().__init__()
            made.append(1)
            if len(made) > 1:
                raise RuntimeError("the port is taken")

    assert "second time" in broken(Once)


def test_misbehaving_plugins_never_harm_the_host() -> None:
    from plugward._misbehaving import PLUGINS

    with plugward.Runtime(logging=False) as runtime:
        for title, plugin in PLUGINS.items():
            report = runtime.add_plugin(plugin, name=title, manifest={"isolation": "thread"})
            if report.ok:
                outcome = runtime.call(title, "run", deadline_ms=3000)
                assert outcome.ok is (title == "gives_no_data"), title
        failed = {health["name"] for health in runtime.health() if health["state"] == "FAILED"}
    assert failed == set(PLUGINS) - {"gives_no_data"}
