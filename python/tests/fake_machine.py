"""A host process on a machine of stand-ins: driver libraries compiled here, a torch folder made by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from python.tests.site_folder import SiteFolder

SOURCES = Path(__file__).parents[2] / "core" / "tests" / "fake_gpu"
CUDA_12 = "__version__ = '2.6.0+cu124'\ncuda = '12.4'\n"
CUDA_13 = "__version__ = '2.11.0+cu130'\ncuda = '13.0'\n"
CPU = "__version__ = '2.11.0+cpu'\ncuda = None\n"
SAYS = """
import os, types, warnings
with open({place!r}, "a") as file: file.write(f"{{os.getpid()}}\\n")
class cuda:
    @staticmethod
    def is_available():
        {body}
def zeros(n):
    raise RuntimeError("CUDA error: no kernel image")
"""

HOST = r"""
import json, os, sys
import plugward

def maps():
    with open("/proc/self/maps") as file:
        return sorted({line.split()[-1] for line in file if "/" in line})

def told(report):
    health = runtime.plugin_health("p")
    outcome = plugward.ToolRunner(runtime).run_tool("p", "one", {})
    answer = {
        "pid": os.getpid(), "state": report.state, "code": report.code, "outcome": outcome, "health": health,
        "generation": report.generation, "findings": report.findings, "maps": maps(), "torch": "torch" in sys.modules,
    }
    print(json.dumps(answer), flush=True)

with plugward.Runtime(logging=False) as runtime:
    (report,) = runtime.load(sys.argv[1])
    told(report)
    for line in sys.stdin:
        told(runtime.restart("p"))
"""


class Machine:
    """What a host sees that is started with `host`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.libraries = folder / "lib"
        self.libraries.mkdir()
        self.site = SiteFolder(folder / "site")
        self.plugin = folder / "plugin"
        self.plugin.mkdir()
        self.env: dict[str, str] = {}
        self.manifest: dict[str, Any] = {
            "name": "p", "kind": "python", "entrypoint": "plugin.py", "isolation": "thread", "requires_gpu": True,
        }  # fmt: skip
        (self.plugin / "plugin.py").write_text("class Plugin:\n    tools = {'one': lambda: {'done': True}}\n")

    def driver(self, *flags: str, cuda: bool = False) -> None:
        """Install a driver that answers as the flags say."""
        for source, library in [("nvml.c", "libnvidia-ml.so.1"), *([("cuda.c", "libcuda.so.1")] if cuda else [])]:
            command = ["cc", "-shared", "-fPIC", "-o", self.libraries / f".{library}", SOURCES / source, *flags]
            subprocess.run(command, check=True, timeout=50)
            (self.libraries / f".{library}").rename(self.libraries / library)

    def torch(self, version: str, says: str = "return True", archs: str = "") -> Path:
        """Install a torch; returns the file in which it notes the processes that import it."""
        place = self.folder / "imported"
        self.site.add("torch", "2.6.0", code=SAYS.format(place=str(place), body=says))
        folder = self.site.path / "torch"
        (folder / "version.py").write_text(version)
        (folder / "lib").mkdir()
        for name in ("libtorch_cuda.so", "libtorch_cpu.so"):
            (folder / "lib" / name).write_bytes(b"")
        (folder / "lib" / "libc10_cuda.so").write_text(f"\0{archs}\0")
        self.manifest["dependencies"] = ["torch"]
        return place

    def start(self) -> Host:
        (self.plugin / "manifest.json").write_text(json.dumps(self.manifest))
        return Host(self)

    def load(self) -> dict[str, Any]:
        """What a host is told that loads the plugin and calls it."""
        with self.start() as host:
            return host.answer()


class Host:
    """A host process."""

    def __init__(self, machine: Machine) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CUDA_", "PLUGWARD_"))}
        search = {"LD_LIBRARY_PATH": str(machine.libraries), "PYTHONPATH": str(machine.site.path)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOST, str(machine.plugin)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**kept, **search, **machine.env},
        )  # fmt: skip

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the host ended with {self._process.wait(timeout=60)}"
        found: dict[str, Any] = json.loads(line)
        return found

    def restart(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("restart\n")
        self._process.stdin.flush()
        return self.answer()

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=60)
        finally:
            self._process.kill()
            self._process.wait()
