"""Loading: every broken plugin is listed, with the step and the reason."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import plugward
from plugward import Runtime, tool


def write(folder: Path, source: str, name: str = "p", **manifest: Any) -> Path:
    import json

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plugin.py").write_text(source)
    data = {"name": name, "kind": "python", "entrypoint": "plugin.py:Plugin", **manifest}
    (folder / "manifest.json").write_text(json.dumps(data))
    return folder


GOOD = """
class Plugin:
    def __init__(self):
        self.tools = {"answer": {"handler": self.answer, "description": "says 42"}}
    def answer(self):
        return 42
"""


def test_a_plugin_from_a_folder(runtime: Runtime, tmp_path: Path) -> None:
    (report,) = runtime.load(write(tmp_path / "p", GOOD, isolation="thread"))
    assert (report.name, report.state, report.ok, report.generation) == ("p", "INITIALIZED", True, 1)
    assert runtime.call("p", "answer").result == 42
    assert runtime.list() == ["p"]
    assert runtime.tools("p")[0]["description"] == "says 42"
    assert type(runtime.instance("p")).__name__ == "Plugin"


@pytest.mark.skipif(sys.platform != "linux", reason="worker processes are for Linux")
@pytest.mark.parametrize("ending", ["os._exit(3)", "os.abort()", "ctypes.string_at(0)", "os.kill(os.getpid(), 9)"])
def test_a_plugin_from_a_manifest_that_names_no_isolation_cannot_end_the_host(
    runtime: Runtime, tmp_path: Path, ending: str
) -> None:
    source = f"""
import ctypes, os
class Plugin:
    tools = {{"end": {{"handler": "end"}}}}
    def end(self):
        {ending}
"""
    (report,) = runtime.load(write(tmp_path / "p", source))
    assert report.ok, report.error
    assert any("worker process" in assumed["message"] for assumed in report.assumptions), report.assumptions
    outcome = runtime.call("p", "end")
    assert not outcome.ok
    assert str(outcome.code).startswith("PW-WORKER-")
    assert outcome.effect == "may_have_run"


BROKEN = {
    "PW-LOAD-003": [
        "import no_such_module_anywhere",
        "raise SystemExit(3)",
        "raise KeyboardInterrupt",
        "def f(:",
        "class E(BaseException):\n    def __str__(self): raise ValueError\nraise E",
        "1/0",
    ],
    "PW-LOAD-007": ["", "Plugin_ = 1", "def __getattr__(name): raise SystemExit"],
    "PW-LOAD-004": [
        "class Plugin:\n    def __init__(self): raise ValueError('no')",
        "import sys\nclass Plugin:\n    def __init__(self): sys.exit(1)",
        "class Plugin:\n    def __init__(self, need): pass",
        GOOD + "    def on_load(self): raise ValueError('no')",
    ],
    "PW-LOAD-005": [
        GOOD + "    def validate(self): return False",
        GOOD + "    def validate(self): raise ValueError('model is empty')",
        GOOD + "    def validate(self): raise SystemExit",
    ],
    "PW-LOAD-008": [
        "class Plugin: pass",
        "class Plugin:\n    tools = {'a': {'handler': 'nothing'}}",
        "class Plugin:\n    tools = {'a': 5}",
        "class Plugin:\n    tools = {'a': {'handler': None}}",
        "class Plugin:\n    def tools(self): raise SystemExit",
    ],
    "PW-MAN-006": ["class Plugin:\n    tools = {'a': {'handler': print, 'input_schema': {'type': 'nothing'}}}"],
}


@pytest.mark.parametrize("isolation", ["thread", "inline"])
@pytest.mark.parametrize(("code", "source"), [(code, source) for code, all_ in BROKEN.items() for source in all_])
def test_every_step_has_its_own_error(runtime: Runtime, tmp_path: Path, isolation: str, code: str, source: str) -> None:
    (report,) = runtime.load(write(tmp_path / "p", source, isolation=isolation))
    assert (report.state, report.code) == ("FAILED", code), report
    assert report.error
    (health,) = runtime.health()
    assert health["state"] == "FAILED"
    assert health["reason"]
    assert runtime.call("p", "answer").code == "PW-CALL-006"


def test_the_traceback_of_an_import_names_the_line(runtime: Runtime, tmp_path: Path) -> None:
    (report,) = runtime.load(write(tmp_path / "p", "\n\nimport no_such_module_anywhere"))
    assert "no_such_module_anywhere" in str(report.error)
    assert "line 3" in str(report.traceback)


def test_what_cannot_be_read_is_listed_too(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    write(tmp_path / "good", GOOD, name="good")
    write(tmp_path / "missing", "").joinpath("plugin.py").unlink()
    states = {report.name: report.code for report in runtime.load(tmp_path)}
    assert states == {"broken": "PW-MAN-002", "good": None, "p": "PW-LOAD-007"}
    assert runtime.load(tmp_path / "nowhere")[0].code == "PW-MAN-001"


@pytest.mark.parametrize("isolation", ["thread", "inline"])
def test_an_import_that_hangs_does_not_hang_the_host(tmp_path: Path, isolation: str) -> None:
    with Runtime(logging=False, load_timeout=0.3) as runtime:
        begun = time.monotonic()
        (report,) = runtime.load(write(tmp_path / "p", "while True: pass", isolation=isolation))
        assert time.monotonic() - begun < 60
        assert report.state == "FAILED"
        assert "did not end" in str(report.error)


def test_two_plugins_may_have_helpers_of_one_name(runtime: Runtime, tmp_path: Path) -> None:
    source = """
import helper
from helper import NAME
from parts import deep
import parts.deep as again
class Plugin:
    tools = {"who": {"handler": "who"}}
    def who(self):
        import helper as late
        return [helper.NAME, NAME, late.NAME, deep.NAME, again.NAME]
"""
    for name in ("one", "two"):
        folder = write(tmp_path / name, source, name=name)
        (folder / "helper.py").write_text(f"NAME = {name!r}")
        (folder / "parts").mkdir()
        (folder / "parts" / "__init__.py").write_text("")
        (folder / "parts" / "deep.py").write_text("from helper import NAME")
    assert all(report.ok for report in runtime.load(tmp_path)), runtime.health()
    for name in ("one", "two"):
        assert runtime.call(name, "who").result == [name] * 5
    assert "helper" not in sys.modules
    assert not any(str(tmp_path) in entry for entry in sys.path)
    with pytest.raises(ImportError):
        __import__("helper")


def test_a_restart_reads_the_code_again(runtime: Runtime, tmp_path: Path) -> None:
    folder = write(tmp_path / "p", GOOD, isolation="thread")
    runtime.load(folder)
    write(folder, GOOD.replace("return 42", "return 43"), isolation="thread")
    assert runtime.restart("p").generation == 2
    assert runtime.call("p", "answer").result == 43
    loaded = [name for name in sys.modules if name.startswith("plugward_plugins.p_")]
    assert len({name.split(".")[1] for name in loaded}) == 1
    runtime.unload("p")
    assert not [name for name in sys.modules if name.startswith("plugward_plugins.p_")]


def test_a_failed_plugin_is_well_again_after_its_restart(runtime: Runtime, tmp_path: Path) -> None:
    folder = write(tmp_path / "p", "1/0")
    assert not runtime.load(folder)[0].ok
    write(folder, GOOD)
    assert runtime.restart("p").state == "INITIALIZED"


def test_a_module_of_the_environment(runtime: Runtime, tmp_path: Path) -> None:
    (report,) = runtime.load(write(tmp_path / "p", "", entrypoint="json.decoder:JSONDecoder", tools=[{"id": "decode"}]))
    assert report.ok, report
    assert runtime.call("p", "decode", {"s": "[1]"}).result == [1]


def test_run_tool_serves_the_manifests_tools(runtime: Runtime, tmp_path: Path) -> None:
    source = "class Plugin:\n    def run_tool(self, tool, args): return [tool, args]"
    runtime.load(write(tmp_path / "p", source, tools=[{"id": "a"}, {"id": "b"}]))
    assert runtime.call("p", "b", {"x": 1}).result == ["b", {"x": 1}]


def test_a_property_that_raises_does_not_break_health(runtime: Runtime, tmp_path: Path) -> None:
    source = (
        GOOD
        + """
    @property
    def name(self): raise SystemExit('no name')
    description = name
"""
    )
    (report,) = runtime.load(write(tmp_path / "p", source, description="from the manifest"))
    assert report.ok
    assert runtime.health()[0]["description"] == "from the manifest"

    class Hostile:
        @property
        def name(self) -> str:
            raise SystemExit

        description = version = name
        tools = {"t": lambda: 1}  # noqa: RUF012

    assert runtime.add_plugin(Hostile()).name == "Hostile"
    assert runtime.call("Hostile", "t").result == 1


def test_the_probe_finds_a_plugin_that_swallowed_its_trouble(runtime: Runtime, tmp_path: Path) -> None:
    probe = {"tool": "answer", "args": {}, "expect_schema": {"const": 41}}
    (report,) = runtime.load(write(tmp_path / "p", GOOD, probe=probe))
    assert report.code == "PW-LOAD-006"
    probe["expect_schema"] = {"const": 42}
    (report,) = runtime.load(write(tmp_path / "q", GOOD, name="q", probe=probe))
    assert report.ok, report


class Marked(plugward.Plugin):
    name = "marked"
    version = "1.2.3"

    def __init__(self) -> None:
        self.calls = 0

    @tool
    def count(self) -> int:
        """Count the calls.

        More text.
        """
        self.calls += 1
        return self.calls

    @tool("half", input_schema={"required": ["n"]})
    def halve(self, n: int) -> float:
        return n / 2

    @tool
    async def later(self) -> str:
        return "later"

    @tool
    @staticmethod
    def static() -> str:
        return "static"


def test_marked_methods_are_tools(runtime: Runtime) -> None:
    report = runtime.add_plugin(Marked)
    assert report.ok, report
    assert report.name == "marked"
    assert {row["id"]: row["description"] for row in runtime.tools("marked")}["count"] == "Count the calls."
    assert runtime.call("marked", "half", {"n": 3}).result == 1.5
    assert runtime.call("marked", "half", {}).code == "PW-CALL-002"
    assert runtime.call("marked", "later").result == "later"
    assert runtime.call("marked", "static").result == "static"
    assert [runtime.call("marked", "count").result for _ in range(2)] == [1, 2]
    runtime.restart("marked")
    assert runtime.call("marked", "count").result == 1, "a class is made anew"
    assert runtime.plugin_health("marked")["version"] == "1.2.3"  # type: ignore[index]


def test_on_unload_is_called_and_may_misbehave(runtime: Runtime) -> None:
    ended: list[str] = []

    class Leaving:
        tools = {"t": lambda: 1}  # noqa: RUF012

        def on_unload(self) -> None:
            ended.append("unloaded")
            raise SystemExit

    runtime.add_plugin(Leaving, name="p")
    runtime.unload("p")
    assert ended == ["unloaded"]
    assert runtime.call("p", "t").code == "PW-REG-001"


def test_a_name_is_taken_once(runtime: Runtime) -> None:
    assert runtime.add_host("p", {"t": print}).ok
    report = runtime.add_host("p", {"t": print})
    assert report.code == "PW-REG-003"
    assert runtime.plugin_health("p")["state"] == "INITIALIZED"  # type: ignore[index]


def test_process_isolation_is_given_or_refused_and_never_weakened(runtime: Runtime, tmp_path: Path) -> None:
    (report,) = runtime.load(write(tmp_path / "p", GOOD, isolation="process"))
    health = runtime.plugin_health("p")
    assert health is not None
    if sys.platform == "linux":
        assert report.ok
        assert health["isolation"] == "process"
        assert health["pid"] not in (None, os.getpid())
    else:
        assert (report.state, report.code) == ("UNAVAILABLE", "PW-LOAD-002")


def test_a_missing_package_is_found_without_an_import(runtime: Runtime, tmp_path: Path) -> None:
    (report,) = runtime.load(write(tmp_path / "p", "raise SystemExit", dependencies=["no-such-package-at-all>=2"]))
    assert (report.state, report.code) == ("UNAVAILABLE", "PW-PKG-001")
    assert "no-such-package-at-all" in str(report.error)


def install(site: Path, name: str, module: str, requires: str = "", group: str = "plugward.plugins") -> None:
    """A package as pip would leave it, without pip."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: about {name}\n{needs}")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {name}_module:Plugin\n")
    (site / f"{name}_module.py").write_text(module)


def test_entry_points(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "ep_good", GOOD)
    install(tmp_path, "ep_import", "import no_such_module_anywhere")
    install(tmp_path, "ep_exit", "import sys; sys.exit(2)")
    install(tmp_path, "ep_attribute", "")
    monkeypatch.syspath_prepend(str(tmp_path))
    reports = {report.name: report for report in runtime.load_entry_points()}
    assert {name: report.code for name, report in reports.items()} == {
        "ep_attribute": "PW-LOAD-007",
        "ep_exit": "PW-LOAD-003",
        "ep_good": None,
        "ep_import": "PW-LOAD-003",
    }
    assert runtime.call("ep_good", "answer").result == 42
    assert runtime.plugin_health("ep_good")["description"] == "about ep_good"  # type: ignore[index]
    assert len(runtime.health()) == 4
    assert runtime.load_entry_points("no.such.group") == []


def test_packages_are_checked_in_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from plugward._packages import check

    install(tmp_path, "pk_top", "", "pk_middle[extra]")
    install(tmp_path, "pk_middle", "", "pk_bottom>=3 ; extra == 'extra'")
    install(tmp_path, "pk_bottom", "")
    monkeypatch.syspath_prepend(str(tmp_path))

    def codes(*wanted: str, python: str | None = None) -> list[str | None]:
        return [told[3] for told in check(wanted, python)]

    assert codes("pk_middle") == [None]
    assert codes("pk_top") == ["PW-PKG-003"]
    assert "pk_top -> pk_middle -> pk_bottom" in check(["pk_top"], None)[0][4]
    assert codes("pk_middle[extra]") == ["PW-PKG-003"]
    assert codes("pk-bottom>=2") == ["PW-PKG-002"]
    assert codes("pk_bottom; python_version < '3'") == [None]
    assert codes("no such thing!") == ["PW-PKG-004"]
    assert codes("pk_bottom<2", "nothing-here", python=">=3.8") == [None, None, "PW-PKG-001"]
    assert codes(python=">=4") == ["PW-ENV-003"]
    assert codes(python="about 3") == ["PW-PKG-004"]
    assert "pk_bottom_module" not in sys.modules
