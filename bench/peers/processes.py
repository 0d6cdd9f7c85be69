"""Other ways to call a function in another process."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pebble import ProcessPool

from bench.harness import Competitor, Role, Statement

NODE = Path(__file__).resolve().parents[1] / "node" / "ipc.mjs"
NO_NODE = "NODE CHILD_PROCESS WAS NOT MEASURED: node is missing"


class Node:
    """A Node program with a child of its own, which times messages there and back."""

    role: Role = "peer"
    name = "Node child_process"

    def __init__(self, size: int) -> None:
        """Start it; messages have `size` bytes."""
        command = ["node", str(NODE), str(size)]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def singles(self, number: int) -> list[float]:
        """Nanoseconds of each of `number` messages."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps({"number": number}) + "\n")
        self._child.stdin.flush()
        took: list[float] = json.loads(self._child.stdout.readline())
        return took

    def batch(self, number: int) -> float:
        """Seconds for `number` messages in a row."""
        return sum(self.singles(number)) / 1e9

    def close(self) -> None:
        """End it."""
        self._child.communicate()


@contextmanager
def pools(function: Any, argument: Any, node_bytes: int) -> Iterator[list[Competitor]]:
    """One worker of each kind, ready; all of them end with the block."""
    # A fork would copy the threads' locks of whoever was measured before.
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pebble = stack.enter_context(ProcessPool(max_workers=1, context=spawn))
        executor = stack.enter_context(ProcessPoolExecutor(max_workers=1, mp_context=spawn))
        pool = stack.enter_context(spawn.Pool(1))
        names = {"f": function, "x": argument}
        found: list[Competitor] = [
            Statement("pebble", "schedule(f, args=(x,)).result()", {**names, "schedule": pebble.schedule}),
            Statement("ProcessPoolExecutor", "submit(f, x).result()", {**names, "submit": executor.submit}),
            Statement("multiprocessing.Pool", "apply(f, (x,))", {**names, "apply": pool.apply}),
        ]
        if shutil.which("node") is not None:
            node = Node(node_bytes)
            stack.callback(node.close)
            found.append(node)
        yield found
