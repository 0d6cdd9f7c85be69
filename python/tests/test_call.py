"""The plain call: arguments, results, schemas, names."""

import enum
from typing import Any

import numpy as np
import pydantic
import pytest

import plugward
from plugward import Runtime


def echo(**args: Any) -> Any:
    return args


def fixed(a: int, b: int = 2) -> int:
    return a + b


def test_a_result_is_the_plugins_own_object(runtime: Runtime) -> None:
    kept: list[object] = []

    def give() -> object:
        kept.append(object())
        return kept[-1]

    runtime.add_host("p", {"give": give})
    outcome = runtime.call("p", "give")
    assert outcome.ok
    assert outcome.result is kept[0]
    assert (outcome.plugin, outcome.tool, outcome.effect, outcome.generation) == ("p", "give", "completed", 1)
    assert outcome.error is outcome.code is outcome.exception is outcome.traceback is None
    assert outcome.http_status == 200
    assert outcome.unwrap() is kept[0]


def test_the_dict_has_the_shape_of_the_spec(runtime: Runtime) -> None:
    runtime.add_host("p", {"fixed": fixed})
    good = runtime.call("p", "fixed", {"a": 1}).to_dict()
    assert good["ok"] is True
    assert good["result"] == 3
    bad = runtime.call("p", "nothing").to_dict()
    assert bad["ok"] is False
    assert "result" not in bad
    assert bad["error_type"] == "UnknownTool"
    assert all(bad[key] for key in ("error", "code", "cause", "remedy", "http_status"))


def test_the_arguments_are_handed_over_without_a_copy(runtime: Runtime) -> None:
    frame = np.zeros((4, 4))
    runtime.add_host("p", {"echo": lambda frame: frame})
    assert runtime.call("p", "echo", {"frame": frame}).result is frame


def test_the_callers_dict_is_not_changed(runtime: Runtime) -> None:
    def change(**args: Any) -> None:
        args["more"] = 1

    given = {"a": 1}
    for isolation in ("inline", "thread"):
        runtime.add_host(isolation, {"change": change}, isolation=isolation)  # type: ignore[arg-type]
        assert runtime.call(isolation, "change", given, progress=print).ok
    assert given == {"a": 1}


def test_any_mapping_will_do_and_nothing_else(runtime: Runtime) -> None:
    import types

    runtime.add_host("p", {"echo": echo})
    assert runtime.call("p", "echo", types.MappingProxyType({"a": 1})).result == {"a": 1}
    assert runtime.call("p", "echo").result == {}
    with pytest.raises(TypeError):
        runtime.call("p", "echo", [1])  # type: ignore[arg-type]


@pytest.mark.parametrize("isolation", ["inline", "thread"])
@pytest.mark.parametrize("args", [{"c": 1}, {}, {"a": 1, "b": 2, "c": 3}, {1: 2}])
def test_arguments_that_do_not_fit_are_the_callers_mistake(runtime: Runtime, isolation: Any, args: Any) -> None:
    runtime.add_host("p", {"fixed": fixed}, isolation=isolation)
    outcome = runtime.call("p", "fixed", args)
    assert outcome.code == "PW-CALL-003"
    assert outcome.error_type == "InvalidInput"
    health = runtime.plugin_health("p")
    assert health is not None
    assert health["state"] == "INITIALIZED"
    assert health["error_count"] == 0


def test_a_type_error_from_inside_is_the_plugins_fault(runtime: Runtime) -> None:
    runtime.add_host("p", {"bad": lambda: len(5)})  # type: ignore[arg-type]
    assert runtime.call("p", "bad").error_type == "TypeError"
    health = runtime.plugin_health("p")
    assert health is not None
    assert health["state"] == "FAILED"


SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0}, "image": {"type": "string"}},
    "required": ["n"],
    "additionalProperties": False,
}


@pytest.fixture
def checked(runtime: Runtime) -> Runtime:
    runtime.add_host("p", {"echo": echo}, schemas={"echo": {"input_schema": SCHEMA}})
    return runtime


def test_input_that_the_schema_refuses_does_not_enter_the_plugin(checked: Runtime) -> None:
    outcome = checked.call("p", "echo", {"n": -1})
    assert outcome.code == "PW-CALL-002"
    assert outcome.effect == "not_started"
    assert outcome.error is not None
    assert "/n" in outcome.error
    assert checked.call("p", "echo", {"n": 1}).ok


@pytest.mark.parametrize("image", [b"bytes", bytearray(b"x"), np.zeros(3), memoryview(b"y"), object()])
def test_values_without_a_json_form_are_not_looked_into(checked: Runtime, image: Any) -> None:
    outcome = checked.call("p", "echo", {"n": 1, "image": image})
    assert outcome.ok, outcome
    assert outcome.result["image"] is image
    assert checked.call("p", "echo", {"image": image}).code == "PW-CALL-002"


def test_a_callback_is_no_part_of_the_data(checked: Runtime) -> None:
    assert checked.call("p", "echo", {"n": 1, "progress_callback": print}).ok


def test_data_that_contains_itself_is_survived(checked: Runtime) -> None:
    loop: dict[str, Any] = {"n": 1}
    loop["image"] = loop
    assert checked.call("p", "echo", loop).code == "PW-CALL-002"


class Colour(str, enum.Enum):
    RED = "red"


def test_texts_and_numbers_of_other_classes_are_data(runtime: Runtime) -> None:
    schema = {"properties": {"c": {"enum": ["red"]}, "n": {"type": "number"}, "t": {"type": "array"}}}
    runtime.add_host("p", {"echo": echo}, schemas={"echo": {"input_schema": schema}})
    assert runtime.call("p", "echo", {"c": Colour.RED, "n": np.float64(2.5), "t": (1, 2)}).ok
    assert runtime.call("p", "echo", {"n": 10**40}).ok
    assert runtime.call("p", "echo", {"n": float("nan")}).ok


def test_a_result_that_the_schema_refuses_is_an_error(runtime: Runtime) -> None:
    runtime.add_host("p", {"bad": lambda: {"x": "no"}}, schemas={"bad": {"output_schema": {"required": ["y"]}}})
    outcome = runtime.call("p", "bad")
    assert outcome.code == "PW-CALL-004"
    assert outcome.result is None


class Model(pydantic.BaseModel):
    y: int


def test_a_result_object_is_not_looked_into(runtime: Runtime) -> None:
    runtime.add_host("p", {"m": lambda: Model(y=1)}, schemas={"m": {"output_schema": {"type": "object"}}})
    assert runtime.call("p", "m").result == Model(y=1)


def test_an_error_field_makes_a_result_an_error(runtime: Runtime) -> None:
    runtime.add_host("p", {"t": lambda: {"error": "no frames"}, "u": lambda: {"error": None}}, error_field="error")
    outcome = runtime.call("p", "t")
    assert (outcome.code, outcome.error) == ("PW-CALL-016", "no frames")
    assert runtime.call("p", "u").ok


def test_names_that_nobody_knows(runtime: Runtime) -> None:
    runtime.add_host("tracker", {"track": echo})
    assert runtime.call("traker", "track").code == "PW-REG-001"
    assert "tracker" in str(runtime.call("traker", "track").error)
    outcome = runtime.call("tracker", "trac")
    assert outcome.code == "PW-REG-002"
    assert "track" in str(outcome.error)
    assert runtime.call("\ud800", "x").code == "PW-REG-001"


@pytest.mark.parametrize("deadline", [0, -1, float("nan"), float("inf")])
def test_a_deadline_must_be_a_time(runtime: Runtime, deadline: float) -> None:
    runtime.add_host("p", {"echo": echo})
    assert runtime.call("p", "echo", deadline_ms=deadline).code == "PW-RT-005"


def test_unwrap_raises_with_the_plugins_exception_as_its_cause(runtime: Runtime) -> None:
    def fail() -> None:
        raise KeyError("k")

    runtime.add_host("p", {"fail": fail})
    outcome = runtime.call("p", "fail")
    with pytest.raises(plugward.PluginCallError) as caught:
        outcome.unwrap()
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.code == "PW-CALL-001"
    assert caught.value.outcome is outcome


def told(outcome: plugward.Outcome) -> Any:
    return outcome.result if outcome.ok else outcome.code


def test_plugins_may_call_one_another_but_not_for_ever(runtime: Runtime) -> None:
    def inner(n: int) -> Any:
        if n == 0:
            return 0
        outcome = runtime.call("p", "inner", {"n": n - 1})
        return outcome.result + 1 if outcome.ok else outcome.code

    runtime.add_host("p", {"inner": inner})
    assert runtime.call("p", "inner", {"n": 5}).result == 5
    runtime.add_host("q", {"deep": lambda: told(runtime.call("q", "deep"))}, fails_on="crash")
    assert runtime.call("q", "deep").result == "PW-CALL-017"


def test_a_plugin_that_calls_itself_beyond_its_concurrency_does_not_wait_for_itself(runtime: Runtime) -> None:
    runtime.add_host("p", {"again": lambda: runtime.call("p", "again").code}, concurrency=1)
    assert runtime.call("p", "again").result == "PW-CALL-017"


def test_concurrency_is_bounded(runtime: Runtime) -> None:
    import threading
    import time

    seen: list[int] = []
    now = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal now
        with lock:
            now += 1
            seen.append(now)
        time.sleep(0.005)
        with lock:
            now -= 1

    runtime.add_host("p", {"work": work}, concurrency=2)
    threads = [threading.Thread(target=runtime.call, args=("p", "work")) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seen) <= 2
    assert len(seen) == 12


def test_an_outcome_in_a_cycle_is_collected(runtime: Runtime) -> None:
    import gc
    import weakref

    class Marker:
        pass

    def fail(marker: Marker) -> None:
        raise ValueError("x")

    runtime.add_host("p", {"fail": fail}, fails_on="crash")

    def once() -> "weakref.ref[Marker]":
        marker = Marker()
        outcome = runtime.call("p", "fail", {"marker": marker})  # outcome -> exception -> frame -> outcome
        assert outcome.exception is not None
        return weakref.ref(marker)

    seen = once()
    gc.collect()
    assert seen() is None


def test_audit_is_refused_and_not_ignored() -> None:
    with pytest.raises(plugward.PlugwardError) as caught:
        Runtime(audit="plugward.db")
    assert caught.value.code == "PW-RT-005"
    assert "audit" in str(caught.value)


def test_options_are_checked() -> None:
    for options in ({"log_queue": 0}, {"lock_timeout": 0.0}, {"default_deadline_ms": -5.0}, {"load_timeout": -1.0}):
        with pytest.raises(plugward.PlugwardError):
            Runtime(**options)
    with pytest.raises(TypeError):
        Runtime(nothing=1)


def test_a_closed_runtime_says_so() -> None:
    runtime = Runtime(logging=False)
    runtime.add_host("p", {"echo": echo})
    runtime.close()
    runtime.close()
    assert runtime.call("p", "echo").code == "PW-RT-001"
    assert runtime.summary()["ready"] is False


def test_the_default_runtime_is_one() -> None:
    assert plugward.default_runtime() is plugward.default_runtime()
