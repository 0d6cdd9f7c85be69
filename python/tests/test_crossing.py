"""Data on its way to and from worker processes: it arrives as it was, or is refused by name."""

from __future__ import annotations

import array
import asyncio
import dataclasses
import datetime
import enum
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import plugward

PLUGIN = """
import array, dataclasses, datetime, decimal, enum, math, pathlib, time

class Level(enum.IntEnum):
    HIGH = 3

class Colour(enum.Enum):
    RED = "red"

@dataclasses.dataclass
class Box:
    name: str
    data: object

class Plugin:
    name = "cross"

    def __init__(self):
        names = ("echo", "told", "failed", "scalars", "others", "record", "model", "bad", "viewed", "many", "nan")
        self.tools = {name: getattr(self, name) for name in (*names, "nap")}
        schema = {"type": "object", "properties": {"x": {"type": "number", "minimum": 0}}}
        self.tools["checked"] = {"handler": self.echo, "input_schema": schema}
        self.tools["promised"] = {"handler": self.nan, "output_schema": {"type": "integer"}}

    def echo(self, **args): return args
    def told(self, x): return repr(x)
    def nan(self): return math.nan
    def nap(self, x): time.sleep(0.05)
    def failed(self): return {1: 2, "error": "no luck"}

    def scalars(self):
        import numpy as np
        return {"f4": np.float32(0.1), "i8": np.int64(-7), "b": np.bool_(True), "list": [np.uint8(4), np.float64(0.5)],
                "keys": {np.int64(3): "c"}, "f2": np.float16(0.5)}

    def others(self):
        return {"level": Level.HIGH, "colour": Colour.RED, "path": pathlib.Path("/a/b"), "a": array.array("i", [1, 2])}

    def record(self):
        import numpy as np
        return [Box("a", np.arange(3, dtype="f4")), Box("b", b"bytes")]

    def model(self):
        import numpy as np, pydantic
        class Deep(pydantic.BaseModel):
            model_config = {"arbitrary_types_allowed": True}
            at: datetime.datetime
            mask: np.ndarray
            tags: set[int]
        class Model(pydantic.BaseModel):
            deep: list[Deep]
            raw: bytes
        deep = Deep(at=datetime.datetime(2020, 1, 2), mask=np.ones((2, 3), "f8"), tags={4})
        return Model(deep=[deep], raw=b"\\xff")

    def bad(self, what):
        import numpy as np
        loop = []
        loop.append(loop)
        fans = []
        fans += [fans, fans]
        return {"it": [{
            "set": {1}, "datetime": datetime.datetime.now(), "decimal": decimal.Decimal(1), "complex": 1j,
            "masked": np.ma.masked_array([1, 2], [True, False]), "dates": np.array(["2020"], "M8[D]"),
            "texts": np.array(["a"]), "objects": np.array([None]), "fields": np.zeros(1, [("a", "i4")]),
            "date": np.datetime64("2020"), "surrogate": "\\udc80", "key": {(1, 2): 3}, "loop": loop, "fans": fans,
            "mark": {"plugward.number": "nan"}, "function": len, "long": np.longdouble(1),
        }[what]]}

    def viewed(self, x):
        return type(x).__name__, x.format, x.shape, x.readonly, x.tolist()

    def many(self, n): return {str(i): i for i in range(n, 0, -1)}
"""

Load = Callable[..., plugward.Runtime]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cross")
    (made / "cross.py").write_text(PLUGIN)
    return made


def write(folder: Path, name: str = "cross", **more: Any) -> Path:
    manifest = {"name": name, "kind": "python", "entrypoint": "cross.py:Plugin", "isolation": "process"}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(manifest | {"fails_on": "crash", "restart": {"policy": "never"}} | more))
    return path


@pytest.fixture(scope="module")
def rt(folder: Path) -> Iterator[plugward.Runtime]:
    with plugward.Runtime(logging=False) as made:
        (report,) = made.load(str(write(folder)))
        assert report.ok, report.error
        yield made


def echo(rt: plugward.Runtime, value: Any) -> Any:
    return rt.call("cross", "echo", {"x": value}).unwrap()["x"]


def same(a: Any, b: Any) -> bool:
    """Equal in value and in type, NaN to NaN and -0.0 to -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(x, y) for x, y in zip(a.values(), b.values(), strict=True))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return repr(a) == repr(b)
    return bool(a == b)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text() | st.integers() | st.booleans(), inside),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PLAIN)
def test_plain_data_arrives_as_it_was(rt: plugward.Runtime, value: Any) -> None:
    assert same(echo(rt, value), value)


def test_numbers_that_json_has_no_words_for(rt: plugward.Runtime) -> None:
    for number in (2**64, 2**70, -(2**63) - 1, 10**5000, -(10**5000), math.inf, -math.inf, math.nan, -0.0, 5e-324):
        assert same(echo(rt, number), number)
    assert rt.call("cross", "told", {"x": [2**70, math.inf, math.nan]}).result == repr([2**70, math.inf, math.nan])


def test_a_schema_still_means_something(rt: plugward.Runtime) -> None:
    assert rt.call("cross", "checked", {"x": math.inf}).result == {"x": math.inf}
    assert rt.call("cross", "checked", {"x": 2**70}).result == {"x": 2**70}
    for outside in (math.nan, -math.inf, -(2**70)):
        outcome = rt.call("cross", "checked", {"x": outside})
        assert (outcome.code, outcome.effect) == ("PW-CALL-002", "not_started")
    outcome = rt.call("cross", "promised")
    assert (outcome.code, "not finite" in (outcome.error or "")) == ("PW-CALL-004", True), outcome


@pytest.mark.parametrize("isolation", ["inline", "thread"])
def test_a_schema_means_the_same_without_a_process(runtime: plugward.Runtime, isolation: Any) -> None:
    seen: list[Any] = []
    schema = {"type": "object", "properties": {"x": {"type": "number", "minimum": 0}, "n": {"type": "integer"}}}
    tools = {"t": lambda **args: seen.append(args)}
    runtime.add_host("p", tools, schemas={"t": {"input_schema": schema}}, isolation=isolation)
    for fits in ({"x": math.inf}, {"x": np.float32(0.5), "n": np.int64(3)}, {"n": 2**70}):
        assert runtime.call("p", "t", fits).ok
        assert seen.pop() == fits
    for unfit in ({"x": math.nan}, {"x": np.float32(-1)}, {"n": math.inf}, {"x": -(2**70)}):
        assert runtime.call("p", "t", unfit).code == "PW-CALL-002"
    assert not seen


def test_a_result_with_other_keys_still_reports_its_error(folder: Path) -> None:
    with plugward.Runtime(logging=False) as rt:
        (report,) = rt.load(str(write(folder, "failing", error_field="error")))
        assert report.ok, report.error
        outcome = rt.call("failing", "failed")
        assert (outcome.code, outcome.error) == ("PW-CALL-016", "no luck")


def test_the_order_of_a_dict_is_kept(rt: plugward.Runtime) -> None:
    assert list(rt.call("cross", "many", {"n": 50}).result) == [str(n) for n in range(50, 0, -1)]


def test_numbers_of_numpy_are_numbers(rt: plugward.Runtime) -> None:
    result = rt.call("cross", "scalars").unwrap()
    kept = {"f4": float(np.float32(0.1)), "i8": -7, "b": True, "list": [4, 0.5], "keys": {3: "c"}, "f2": 0.5}
    assert same(result, kept)
    assert same(echo(rt, [np.float32(0.5), np.int64(2**62), np.bool_(False)]), [0.5, 2**62, False])


class Level(enum.IntEnum):
    LOW = 1


class Colour(enum.Enum):
    RED = "red"


def test_enumerations_and_paths_are_what_they_mean(rt: plugward.Runtime) -> None:
    result = rt.call("cross", "others").unwrap()
    assert result == {"level": 3, "colour": "red", "path": "/a/b", "a": array.array("i", [1, 2])}
    assert same(echo(rt, [Level.LOW, Colour.RED, Path("/x")]), [1, "red", "/x"])


@pytest.mark.parametrize("letter", "bBhHiIlLqQfd")
def test_typed_arrays_keep_their_type(rt: plugward.Runtime, letter: str) -> None:
    for values in ([1, 2, 3], []):
        back = echo(rt, array.array(letter, values))
        assert isinstance(back, array.array)
        assert (back.typecode, back.tolist()) == (letter, values)


def test_dataclasses_and_models_are_dumped_with_their_arrays(rt: plugward.Runtime) -> None:
    first, second = rt.call("cross", "record").unwrap()
    assert (first["name"], first["data"].tolist(), second) == ("a", [0, 1, 2], {"name": "b", "data": b"bytes"})
    model = rt.call("cross", "model").unwrap()
    (deep,) = model["deep"]
    assert (deep["at"], deep["tags"], deep["mask"].shape, model["raw"]) == ("2020-01-02T00:00:00", [4], (2, 3), b"\xff")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("set", ["set", "list(...)"]),
        ("datetime", ["datetime.datetime", ".isoformat()"]),
        ("decimal", ["decimal.Decimal", "str(...)"]),
        ("complex", ["complex"]),
        ("masked", ["numpy.ma", "mask", ".filled"]),
        ("dates", ["datetime64[D]", ".view('i8')"]),
        ("date", ["numpy.datetime64"]),
        ("texts", ["<U1", ".tolist()"]),
        ("objects", ["object", ".tolist()"]),
        ("fields", ["('a', '<i4')", "fields"]),
        ("long", ["numpy.longdouble"]),
        ("surrogate", ["surrogate"]),
        ("key", ["tuple", "pairs"]),
        ("loop", ["nested more than"]),
        ("fans", ["nested more than"]),
        ("mark", ["plugward.number"]),
        ("function", ["builtin_function_or_method"]),
    ],
)
def test_a_result_that_cannot_cross_is_refused_by_place_type_and_remedy(
    rt: plugward.Runtime, what: str, words: list[str]
) -> None:
    outcome = rt.call("cross", "bad", {"what": what})
    assert outcome.code == "PW-CALL-015", outcome
    assert all(word in (outcome.error or "") for word in ["/it/0", *words]), outcome.error


@dataclasses.dataclass
class Record:
    x: int


def test_an_argument_that_cannot_cross_is_refused_likewise(rt: plugward.Runtime) -> None:
    circular: list[Any] = []
    circular.append(circular)
    masked = np.ma.masked_array([1], [True])
    for value, word in (
        ({1, 2}, "set"),
        (datetime.date(2020, 1, 1), "isoformat"),
        (Record(1), "asdict"),
        ("\udc80", "surrogate"),
        ({"\udc80": 1}, "surrogate"),
        ({None: 1, (1,): 2}, "tuple"),
        (masked, "mask"),
        (np.array(["a"]), "tolist"),
        (circular, "nested"),
        (memoryview(np.zeros(3, ">f8")), ">d"),
    ):
        outcome = rt.call("cross", "echo", {"a": [value]})
        assert (outcome.code, outcome.effect) == ("PW-CALL-002", "not_started"), outcome
        assert "/a/0" in (outcome.error or ""), outcome.error
        assert word in (outcome.error or ""), outcome.error


def test_deep_data_arrives_or_is_refused(rt: plugward.Runtime) -> None:
    for depth in range(100, 140):
        value: Any = 2**70
        for at in range(depth):
            value = [value] if at % 3 else {1: value}
        outcome = rt.call("cross", "echo", {"x": value})
        assert (outcome.code == "PW-CALL-002") if not outcome.ok else outcome.result == {"x": value}, outcome


def test_a_memoryview_keeps_its_shape_and_format(rt: plugward.Runtime) -> None:
    for made in (np.arange(12, dtype="d").reshape(3, 4), np.ones((2, 2, 2), "?"), np.arange(3, dtype="i2")):
        view = memoryview(made)
        told = rt.call("cross", "viewed", {"x": view}).unwrap()
        assert told == ["memoryview", view.format, list(view.shape), True, view.tolist()]
        back = echo(rt, view)
        assert (type(back), back.format, back.shape, back.tolist()) == (
            memoryview,
            view.format,
            view.shape,
            made.tolist(),
        )
        assert echo(rt, memoryview(made)[::2]).tolist() == made[::2].tolist()
    one = memoryview(b"12345678").cast("d", ())
    assert (echo(rt, one).shape, echo(rt, one).tolist()) == ((), one.tolist())
    assert echo(rt, memoryview(array.array("l", []))).format == "l"


class Lent:
    """Speaks DLPack and nothing else."""

    def __init__(self, array: Any, device: tuple[Any, int] | None = None) -> None:
        self.array = array
        self.device = device or array.__dlpack_device__()
        self.asked: list[Any] = []

    def __dlpack__(self, **asked: Any) -> Any:
        self.asked.append(asked.get("max_version"))
        return self.array.__dlpack__(**asked)

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self.device


def test_what_speaks_dlpack_crosses(rt: plugward.Runtime) -> None:
    plain = np.arange(24, dtype="f4").reshape(2, 3, 4)
    fixed = plain.copy()
    fixed.flags.writeable = False
    for source in (plain, plain[:, ::-1, ::2], plain.T, fixed, np.array(3.5), plain[:0]):
        lent = Lent(source)
        back = echo(rt, lent)
        assert type(back) is np.ndarray
        assert (back.shape, back.dtype, back.tolist()) == (source.shape, source.dtype, source.tolist())
        assert lent.asked[0] is not None, "numpy 2 asks for a versioned capsule"


def test_dlpack_of_another_device_is_refused(rt: plugward.Runtime) -> None:
    for device, word in (((2, 1), "CUDA:1"), ((99, 0), "device kind 99")):
        outcome = rt.call("cross", "echo", {"x": Lent(np.zeros(1), device)})
        assert (outcome.code, outcome.effect) == ("PW-CALL-002", "not_started")
        assert word in (outcome.error or ""), outcome.error


class Old(Lent):
    """Knows no versions, as numpy before 2.1."""

    def __dlpack__(self) -> Any:  # type: ignore[override]
        return self.array.__dlpack__()


def test_dlpack_without_versions_crosses(rt: plugward.Runtime) -> None:
    assert echo(rt, Old(np.arange(3))).tolist() == [0, 1, 2]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter without packages."""
    place = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    return place / "bin" / "python"


def test_an_array_without_numpy_is_a_memoryview(folder: Path, bare: Path) -> None:
    with plugward.Runtime(logging=False) as rt:
        (report,) = rt.load(str(write(folder, "bare", python=str(bare))))
        assert report.ok, report.error
        frame = np.arange(24, dtype="f4").reshape(2, 3, 4)
        told = rt.call("bare", "viewed", {"x": frame}).unwrap()
        assert told == ["memoryview", "f", [2, 3, 4], True, frame.tolist()]
        back = rt.call("bare", "echo", {"x": frame}).unwrap()["x"]
        assert (type(back), back.tolist()) == (memoryview, frame.tolist())
        assert rt.call("bare", "viewed", {"x": np.zeros(0, "u1")}).unwrap()[2] == [0]
        for unknown in (np.zeros(3, "f2"), np.zeros(3, "c8"), np.zeros((0, 3))):
            outcome = rt.call("bare", "viewed", {"x": unknown})
            assert (outcome.code, outcome.effect) == ("PW-CALL-002", "not_started"), outcome
            assert "numpy" in (outcome.error or "")
            assert str(bare.parent) in (outcome.error or ""), outcome.error
        assert rt.call("bare", "echo", {"x": 2**70, "y": array.array("d", [1])}).ok


def test_a_module_that_comes_later_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with plugward.Runtime(logging=False) as rt:
        later, again = tmp_path / "later", tmp_path / "again"
        for place in (later, again):
            place.mkdir()
        (later / "came_later.py").write_text(PLUGIN)
        (again / "came_again.py").write_text("X = 7\n")
        monkeypatch.syspath_prepend(str(later))
        manifest = write(tmp_path, "late", entrypoint="came_later:Plugin")
        (report,) = rt.load(str(manifest))
        assert report.ok, report.error
        (later / "came_later.py").write_text("import came_again\n" + PLUGIN)
        monkeypatch.syspath_prepend(str(again))
        report = rt.restart("late")
        assert report.ok, report.error
        assert rt.call("late", "echo", {"x": 1}).ok


async def test_a_thousand_by_name_over_four_workers_hold_no_thread_each(folder: Path) -> None:
    with plugward.Runtime(logging=False) as rt:
        for n in range(4):
            (report,) = rt.load(str(write(folder, f"by{n}", limits={"concurrency": 2, "queue": 1000})))
            assert report.ok, report.error
        runner = plugward.ToolRunner(rt)
        assert (await runner.arun_tool("by0", "echo", {"x": 0}))["ok"]  # what the first call starts is there
        before = threads()
        calls = [asyncio.ensure_future(runner.arun_tool(f"by{n % 4}", "echo", {"x": n})) for n in range(1000)]
        most = before
        while not all(call.done() for call in calls):
            await asyncio.sleep(0.01)
            most = max(most, threads())
        assert [call.result()["result"] for call in calls] == [{"x": n} for n in range(1000)]
        assert most <= before + 2


def threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


async def test_a_full_queue_names_the_line_that_raises_it(folder: Path) -> None:
    with plugward.Runtime(logging=False) as rt:
        path = write(folder, "full", limits={"concurrency": 1})
        (report,) = rt.load(str(path))
        assert report.ok, report.error
        outcomes = await asyncio.gather(*(rt.acall("full", "nap", {"x": n}) for n in range(250)))
        refused = [outcome for outcome in outcomes if not outcome.ok]
        assert refused
        for outcome in refused:
            assert (outcome.code, outcome.retryable, outcome.effect) == ("PW-CALL-009", True, "not_started")
            assert "limits.queue = 64" in (outcome.error or ""), outcome.error
            assert "raise limits.queue (now 64)" in (outcome.remedy or "")
            assert str(path) in (outcome.remedy or "")


CRASHER = """
import ctypes, sys, threading, time

class Plugin:
    name = "crasher"
    def __init__(self): self.tools = {"crash": self.crash}
    def crash(self):
        for n in range(30): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        for n in range(35): print("my own word", n, file=sys.stderr)
        sys.stderr.flush()
        self.deep(50)
    def deep(self, n): return self.deep(n - 1) if n else ctypes.string_at(0)
"""


def test_a_crash_keeps_the_plugins_words_and_the_threads_traceback(tmp_path: Path) -> None:
    (tmp_path / "crasher.py").write_text(CRASHER)
    with plugward.Runtime(logging=False) as rt:
        limits = {"concurrency": 16}
        (report,) = rt.load(str(write(tmp_path, "crasher", entrypoint="crasher.py:Plugin", limits=limits)))
        assert report.ok, report.error
        outcome = rt.call("crasher", "crash")
    assert outcome.code == "PW-WORKER-004", outcome
    lines = outcome.details["last_lines"]
    assert [f"my own word {n}" for n in range(35)] == lines[-35:]
    trace = outcome.traceback or ""
    assert all(word in trace for word in ("my own word 0", "Segmentation fault", "in deep", "in crash", "string_at"))
    assert "<no Python frame>" not in trace
