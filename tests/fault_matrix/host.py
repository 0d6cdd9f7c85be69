"""A host with a healthy and a bad plugin: it makes one call and writes down what it saw.

usage: host.py ROW REPORT, both files of JSON. Where the plugin ends the host there is no report.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plugward

GIVEN_UP = 5.0
"""Seconds after the deadline at which a caller that still waits is given up."""
FILES = 256
"""Files that the host may have open."""
MEMORY_MB = 200
"""What it may grow by while a plugin misbehaves."""
OWN = {0, 1, 2, os.open("/dev/null", os.O_RDONLY)}
"""Files that are the host's own."""


class Host:
    def __init__(self, row: dict[str, Any], report: Path) -> None:
        self.row, self.report = row, report
        self.runtime = plugward.Runtime(logging=False)
        self.said: dict[str, Any] = {}

    def load(self, name: str, more: dict[str, Any]) -> None:
        folder = self.report.parent / name
        folder.mkdir()
        manifest = {"name": name, "restart": {"policy": "never"}, "isolation": self.row["isolation"]} | more
        (folder / "manifest.json").write_text(json.dumps(manifest))
        (report,) = self.runtime.load(folder)
        assert report.ok, report.error

    def begin(self) -> None:
        code = {"kind": self.row["kind"], "entrypoint": self.row["entrypoint"]}
        if self.row["kind"] == "native":
            code["tools"] = [{"id": "echo"}, {"id": self.row["tool"]}]
        self.load("good", code)
        self.load("bad", code | {key: self.row[key] for key in ("limits", "permissions", "env") if key in self.row})
        self.serves("good")
        self.serves("bad")

    def serves(self, name: str) -> bool:
        return self.runtime.call(name, "echo", {}, deadline_ms=60_000).ok

    def call(self) -> None:
        deadline = self.row.get("deadline_ms", 60_000)
        # Whoever cannot be interrupted keeps its caller waiting: then this thread tells what is to be seen meanwhile.
        stuck = threading.Timer(deadline / 1e3 + GIVEN_UP, self.finish)
        stuck.daemon = True
        stuck.start()
        outcome = self.runtime.call("bad", self.row["tool"], self.row.get("args", {}), deadline_ms=deadline)
        stuck.cancel()
        self.said["answer"] = {
            "ok": outcome.ok,
            "code": outcome.code,
            "type": outcome.error_type,
            "effect": outcome.effect,
            "error": (outcome.error or "")[:2000],
            "error_length": len(outcome.error or ""),
            "remedy": outcome.remedy,
        }

    def state(self, name: str) -> str:
        health = self.runtime.plugin_health(name)
        return "gone" if health is None else str(health["state"])

    def finish(self) -> None:
        for file in self.reserve:
            with contextlib.suppress(OSError):
                os.close(file)
        health = self.runtime.plugin_health("good")
        self.said |= {
            "state": self.state("bad"),
            "siblings": self.serves("good") and health is not None and health["generation"] == 1,
            "harms": sorted(self.harms()),
        }
        if "answer" in self.said and not self.said["harms"]:
            self.said["again"] = self.runtime.restart("bad").ok and self.serves("bad")
        whole = self.report.with_suffix(".part")
        whole.write_text(json.dumps(self.said))
        whole.rename(self.report)
        os._exit(0)

    # --- the host's own things -------------------------------------------------------------------

    def look(self) -> None:
        self.before = seen()
        self.shared = memory_of("self")
        # For writing the report where the plugin has taken all descriptors.
        self.reserve = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]

    def harms(self) -> set[str]:
        before, now = self.before, seen()
        found = {key for key in ("cwd", "signals", "environment", "threads") if before[key] != now[key]}
        found |= {"closed files"} if OWN - now["files"] else set()
        found |= {"files"} if len(now["files"]) > len(before["files"]) + 50 else set()
        found |= {"children"} if now["children"] > before["children"] else set()
        found |= {"strays"} if self.strays() else set()
        found |= {"memory"} if now["memory_mb"] > before["memory_mb"] + MEMORY_MB else set()
        return found

    def strays(self) -> set[int]:
        """Processes that the plugin started and left behind: they still share its worker's memory."""
        if self.row["isolation"] != "process":
            return set()
        for _ in range(300):
            found = {pid for pid, parent in others() if parent != os.getpid() and memory_of(pid) & self.shared}
            if not found:
                break
            time.sleep(0.1)
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return found


def others() -> Iterator[tuple[int, int]]:
    """The system's living processes, but for this one, with their parents."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX" and entry.parent.name != str(os.getpid()):
                yield int(entry.parent.name), int(parent)


def memory_of(pid: int | str) -> set[str]:
    """The workers' memories that a process maps, by their inodes."""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {line.split()[4] for line in lines if "memfd:plugward" in line}


def seen() -> dict[str, Any]:
    status = Path("/proc/self/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return {
        "cwd": str(Path("/proc/self/cwd").readlink()),
        "signals": (lines["SigCgt"], lines["SigIgn"]),
        "environment": dict(os.environ),
        "threads": sorted(t.name for t in threading.enumerate() if t.name == "left behind"),
        "files": {int(entry.name) for entry in Path("/proc/self/fd").iterdir()},
        "children": sum(parent == os.getpid() for _, parent in others()),
        "memory_mb": int(lines["VmRSS"].split()[0]) >> 10,
    }


def main() -> None:
    row = json.loads(Path(sys.argv[1]).read_text())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    host = Host(row, Path(sys.argv[2]))
    host.begin()
    host.look()
    host.call()
    host.finish()


if __name__ == "__main__":
    main()
