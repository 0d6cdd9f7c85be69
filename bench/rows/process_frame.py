"""A 1080p frame on its way to another process: copied in, and written in place."""

from __future__ import annotations

from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from bench import subject
from bench.harness import Competitor, Effort, Row, Statement, interleave, most_goal, ratio_goal
from bench.peers import processes
from bench.peers.floors import Floors
from bench.plugins.process.process import touch

HOW = (
    "a function in another process looks at one byte of a frame of 1080 x 1920 x 3 bytes. Copied: the caller has it in "
    "its own memory, the floor is a memcpy of it. In place: it lies in a lease of the worker's memory, and nothing is "
    "copied, at any size; beside it a shared_memory block and a pipe, by hand"
)
SHAPE = (1080, 1920, 3)
SMALL, LARGE = (120, 160, 3), (2160, 3840, 3)


def by_hand(name: str, pipe: Connection) -> None:
    """The worker of the peer by hand."""
    block = SharedMemory(name=name)
    frame: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = np.ndarray(SHAPE, "u1", block.buf)
    while pipe.recv_bytes():
        pipe.send_bytes(bytes([frame[0, 0, 0]]))


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("process call, 1080p frame", HOW)
    floors = Floors()
    frame, target = np.ones(SHAPE, "u1"), np.zeros(SHAPE, "u1")
    block = SharedMemory(create=True, size=frame.nbytes)
    ours, theirs = Pipe()
    hand = get_context("spawn").Process(target=by_hand, args=(block.name, theirs), daemon=True)
    hand.start()
    names = {"send": ours.send_bytes, "receive": ours.recv_bytes}
    with processes.pools(touch, frame, frame.nbytes) as peers:
        competitors: list[Competitor] = [
            floors.memcpy(target.ctypes.data, frame.ctypes.data, frame.nbytes),
            floors.futex(),
            *peers,
            Statement("shared_memory by hand", "send(b'1')\nreceive()", names),
        ]
        if subject.installed():
            competitors += plugward(frame)
        else:
            row.skipped.append(subject.MISSING)
        row.results = interleave(competitors, effort)
    ours.send_bytes(b"")
    hand.join()
    block.close()
    block.unlink()
    in_place = row.find("Plugward in place, 1080p")
    futex = row.find("futex ping-pong")
    row.goals = [
        most_goal("copied in: at most 1.15x memcpy", row.find("Plugward copied in"), row.find("memcpy"), 1.15),
        *(
            most_goal(f"in place, {size}: at most 2x the futex floor", row.find(f"Plugward in place, {size}"), futex, 2)
            for size in ("160x120", "1080p", "2160p")
        ),
        ratio_goal("in place: at least 300x faster than pebble", in_place, row.find("pebble"), 300),
    ]
    return row


def plugward(frame: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[Competitor]:
    """The frame as an argument, and leases of three sizes."""
    runtime = subject.process()
    assert runtime.call("bench", "touch", {"frame": frame}).result == 1
    call = "call('bench', 'touch', args)"
    found: list[Competitor] = [
        Statement("Plugward copied in", call, {"call": runtime.call, "args": {"frame": frame}}, "plugward")
    ]
    for name, shape in (("160x120", SMALL), ("1080p", SHAPE), ("2160p", LARGE)):
        lease = runtime.lease("bench", shape)
        lease.array[...] = 1
        names = {"call": runtime.call, "args": {"frame": lease.array}, "lease": lease}
        found.append(Statement(f"Plugward in place, {name}", call, names, "plugward"))
    return found
