"""A plugin that needs a GPU, from `load` to the caller's answer and health, for every cause of a missing one."""

import ctypes
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from python.tests.fake_machine import CPU, CUDA_12, CUDA_13, Machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the driver's stand-ins are Linux libraries")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def has_driver() -> bool:
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def no_driver(_: Machine) -> None:
    if has_driver():
        pytest.skip("this machine has an NVIDIA driver, so its absence cannot be shown")


def hidden(machine: Machine) -> None:
    machine.driver()
    machine.env["CUDA_VISIBLE_DEVICES"] = "-1"


def demanding(**gpu: object) -> Callable[[Machine], None]:
    def prepare(machine: Machine) -> None:
        machine.driver()
        machine.manifest["gpu"] = gpu

    return prepare


def with_torch(*torch: str, flags: tuple[str, ...] = ()) -> Callable[[Machine], None]:
    def prepare(machine: Machine) -> None:
        machine.driver(*flags)
        machine.torch(*torch)

    return prepare


def with_driver(*flags: str) -> Callable[[Machine], None]:
    return lambda machine: machine.driver(*flags)


CAUSES = {
    "PW-GPU-001": (no_driver, "libcuda.so.1"),
    "PW-GPU-002": (with_driver("-DCOUNT=0"), "no device"),
    "PW-GPU-003": (hidden, "CUDA_VISIBLE_DEVICES"),
    "PW-GPU-004": (with_driver("-DINIT=4"), "insufficient permissions"),
    "PW-GPU-005": (with_torch(CUDA_13), "serves CUDA up to 12.4"),
    "PW-GPU-006": (with_driver("-DINIT=18"), "different versions"),
    "PW-GPU-007": (demanding(min_compute="10.0"), "compute capability 9.0"),
    "PW-GPU-008": (demanding(min_memory_mb=90000), "80000 of 81559 MiB free"),
    "PW-GPU-009": (with_torch(CPU), "built without CUDA"),
    "PW-GPU-010": (with_torch(CUDA_12, "warnings.warn('CUDA initialization: unknown error'); return False"), "unknown"),
    "PW-GPU-011": (with_driver("-DINIT=15"), "fallen off the bus"),
    "PW-GPU-012": (with_torch(CUDA_12, "return True", "sm_75 sm_80", flags=("-DMAJOR=6", "-DMINOR=1")), "sm_75 sm_80"),
}


@pytest.mark.parametrize("code", CAUSES)
def test_every_cause_reaches_the_caller(machine: Machine, code: str) -> None:
    prepare, word = CAUSES[code]
    prepare(machine)
    told = machine.load()
    assert (told["state"], told["code"]) == ("UNAVAILABLE", code), told["findings"]
    (bad,) = [one for one in told["findings"] if not one["ok"]]
    outcome = told["outcome"]
    assert (outcome["ok"], outcome["code"], outcome["error_type"]) == (False, code, "PluginUnavailable")
    assert (outcome["http_status"], outcome["effect"]) == (503, "not_started")
    assert word in outcome["cause"]
    assert (outcome["cause"], outcome["remedy"]) == (bad["cause"], bad["remedy"])
    assert outcome["remedy"]
    assert (told["health"]["state"], told["health"]["error_count"]) == ("UNAVAILABLE", 0)
    assert bad["message"] in told["health"]["reason"]
    untouched(told)


def untouched(told: dict[str, Any], *allowed: str) -> None:
    """Nothing of a driver or of torch is left in the host."""
    mapped = [name for name in told["maps"] if re.search(r"libtorch|libc10|libcuda|libnvidia|/torch/", name)]
    assert [name for name in mapped if Path(name).name not in allowed] == []
    assert not told["torch"]


def test_a_machine_with_a_gpu(machine: Machine) -> None:
    machine.driver(cuda=True)
    imported = machine.torch(CUDA_12)
    machine.manifest["gpu"] = {"min_memory_mb": 2000, "min_compute": "7.0"}
    told = machine.load()
    assert (told["state"], told["outcome"]["ok"]) == ("INITIALIZED", True), told["findings"]
    found = [one["message"] for one in told["findings"] if one["kind"] == "gpu"]
    assert found[0] == "NVIDIA driver 550.54.15, serves CUDA 12.4"
    assert any("H100" in message for message in found)
    asked = imported.read_text().split()
    assert len(asked) == 1, "torch was asked in one process"
    assert asked != [str(told["pid"])], "and that was not the host"
    untouched(told)


def test_cuda_is_never_started_even_where_only_libcuda_can_tell_its_version(machine: Machine) -> None:
    machine.driver("-DWITHOUT_nvmlSystemGetCudaDriverVersion_v2", cuda=True)
    told = machine.load()
    assert told["state"] == "INITIALIZED", "cuInit of the stand-in aborts"
    untouched(told, "libcuda.so.1")


def test_torch_is_not_asked_where_it_does_not_matter(machine: Machine) -> None:
    machine.driver()
    imported = machine.torch(CUDA_12, "return False")
    del machine.manifest["dependencies"]
    assert machine.load()["state"] == "INITIALIZED", "a plugin that does not use torch"
    machine.manifest.update(dependencies=["torch"], requires_gpu=False)
    assert machine.load()["state"] == "INITIALIZED", "a plugin that does not need a GPU"
    assert not imported.exists()


@pytest.mark.parametrize(
    ("says", "word"),
    [
        ("return False", "no kernel image"),
        ("os.abort()", "SIGABRT"),
        ("os._exit(3)", "exit status 3"),
        ("raise ImportError('libcudart.so.12: cannot open shared object file')", "libcudart.so.12"),
    ],
)
def test_torch_that_fails_when_asked(machine: Machine, says: str, word: str) -> None:
    machine.driver()
    machine.torch(CUDA_12, says)
    told = machine.load()
    assert told["code"] == ("PW-GPU-010" if says == "return False" else "PW-PKG-005")
    assert word in told["outcome"]["cause"]
    untouched(told)


def test_answers_are_of_one_generation(machine: Machine) -> None:
    no_driver(machine)
    with machine.start() as host:
        first = host.answer()
        assert (first["state"], first["code"], first["generation"]) == ("UNAVAILABLE", "PW-GPU-001", 1)
        machine.driver()
        second = host.restart()
        assert (second["state"], second["code"], second["generation"]) == ("INITIALIZED", None, 2)
        assert second["outcome"]["result"] == {"done": True}
        (machine.libraries / "libnvidia-ml.so.1").unlink()
        third = host.restart()
        assert (third["state"], third["code"], third["generation"]) == ("UNAVAILABLE", "PW-GPU-001", 3)
        machine.driver("-DINIT=18")
        assert host.restart()["code"] == "PW-GPU-006"


def test_no_driver_is_answered_at_once(machine: Machine) -> None:
    no_driver(machine)
    with machine.start() as host:
        times = [driver_us(host.answer()), *(driver_us(host.restart()) for _ in range(10))]
    print(f"no driver: best {min(times)} us, worst {max(times)} us, goal 5000 us")
    assert min(times) < 10_000_000, "it is not waited for as for one that does not answer"


def driver_us(told: dict[str, Any]) -> int:
    (finding,) = [one for one in told["findings"] if one["kind"] == "gpu"]
    took: int = finding["took_us"]
    return took
