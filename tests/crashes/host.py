"""A host whose plugins crash again and again, with leases held; it looks at itself before and after.

usage: host.py CRASHES LIBRARY FOLDER, where LIBRARY is the built `worker/tests/common/bad.c` and FOLDER is the host's
own temporary folder. Prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import plugward

DEATHS = {
    "segfault": "PW-WORKER-004",
    "abort": "PW-WORKER-004",
    "exit": "PW-WORKER-005",
    "kill": "PW-WORKER-004",
    "hang": "PW-CALL-005",
}
KINDS = ("python", "native")
DEADLINE_MS = 100
FRAMES = 250
"""Leases that one worker must be able to give at the end: nearly all that it has."""
PATIENCE = 60.0
STILL = 20
"""Looks in a row that find the same: then nothing is still being given back."""
TENTHS = 10


class Host:
    def __init__(self, library: str, folder: Path) -> None:
        self.folder = folder
        self.runtime = plugward.Runtime(logging=False)
        entrypoints = {"python": f"{Path(__file__).with_name('plugin.py')}:Plugin", "native": library}
        for kind in KINDS:
            manifest: dict[str, Any] = {"name": kind, "kind": kind, "entrypoint": entrypoints[kind]}
            manifest |= {
                "isolation": "process",
                "restart": {"policy": "never"},
                "dependencies": ["numpy"][: kind == "python"],
            }
            if kind == "native":
                manifest["tools"] = [{"id": tool} for tool in ("sum", *DEATHS)]
            path = folder / f"{kind}.json"
            path.write_text(json.dumps(manifest))
            (report,) = self.runtime.load(path)
            assert report.ok, report.error

    def crash(self, n: int) -> None:
        """One death, its lease ended before it, after it, or with its array alone."""
        kind, death = KINDS[n % len(KINDS)], list(DEATHS)[n // len(KINDS) % len(DEATHS)]
        lease = self.runtime.lease(kind, (100, 100))
        frame = lease.array
        frame[...] = 1
        assert self.runtime.call(kind, "sum", {"frame": frame}, deadline_ms=60_000).ok
        deadline = DEADLINE_MS if death == "hang" else 60_000
        outcome = self.runtime.call(kind, death, {"frame": frame}, deadline_ms=deadline)
        assert outcome.code == DEATHS[death], outcome
        ended = n // 10 % 3
        if ended == 0:
            lease.end()
        report = self.runtime.restart(kind)
        assert report.ok, report.error
        if ended != 0:
            assert int(frame.sum()) == 10_000, "what the host holds stays"
            outcome = self.runtime.call(kind, "sum", {"frame": frame}, deadline_ms=60_000)
            assert outcome.code == "PW-WORKER-013", (n, death, outcome)
        if ended == 1:
            lease.end()

    def crashes(self, first: int, number: int) -> None:
        for n in range(first, first + number):
            self.crash(n)

    def settled(self, like: dict[str, Any] | None = None) -> dict[str, Any]:
        """What this process holds, once it is what it was, or stays what it is, or time is up."""
        until = time.monotonic() + PATIENCE
        same, last = 0, like
        while True:
            gc.collect()
            now = self.seen()
            alike = last is not None and all(now[key] == last[key] for key in now.keys() - {"rss_kb"})
            same = same + 1 if alike else 0
            if time.monotonic() > until or same >= (1 if like else STILL):
                return now
            last = like or now
            time.sleep(0.1)

    def seen(self) -> dict[str, Any]:
        status = Path("/proc/self/status").read_text()
        lines = dict(line.split(":", 1) for line in status.splitlines())
        maps = Path("/proc/self/maps").read_text()
        return {
            "rss_kb": int(lines["VmRSS"].split()[0]),
            "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "threads": int(lines["Threads"]),
            "children": children(),
            "shared_maps": maps.count("memfd:plugward"),
            "scratch_folders": sum(1 for _ in self.folder.glob("plugward-*")),
        }

    def leases(self) -> dict[str, int]:
        """How many frames each worker gives at once."""
        given = {}
        for kind in KINDS:
            held = [self.runtime.lease(kind, 10) for _ in range(FRAMES)]
            given[kind] = len(held)
            for lease in held:
                lease.end()
        return given


def children() -> int:
    """This process's children, zombies included. The lists of its threads would go with the threads."""
    found = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found += int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid()
    return found


def main() -> None:
    number, library, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    host = Host(library, folder)
    warm = min(max(60, number // 10), 300)
    host.crashes(0, warm)
    before = host.settled()
    begun, rss = time.monotonic(), []
    for part in range(TENTHS):
        host.crashes(warm + number * part // TENTHS, number // TENTHS)
        rss.append(host.seen()["rss_kb"])
    seconds = time.monotonic() - begun
    after = host.settled(before)
    said = {"crashes": number, "seconds": round(seconds, 1), "before": before, "after": after, "leases": host.leases()}
    said["rss_kb_on_the_way"] = rss
    host.runtime.close()
    print(json.dumps(said | {"left": sum(1 for _ in folder.glob("plugward-*"))}))


if __name__ == "__main__":
    main()
