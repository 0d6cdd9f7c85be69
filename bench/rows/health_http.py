"""`GET /v1/plugins` of a real server under load, while every thread of every plugin hangs.

`python -m bench.rows.health_http NAME` is the server; it writes its port to stdout and ends with its stdin.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from bench import subject
from bench.harness import Effort, Goal, Result, Role, Row, percentile

if TYPE_CHECKING:
    from fastapi import FastAPI

    import plugward

ROOT = Path(__file__).resolve().parents[2]
PLUGINS, CLIENTS, TURNS = 100, 100, 6
PATH = "/v1/plugins"
OURS, MADE, KEPT = "Plugward, health_router", "FastAPI, models made anew", "FastAPI, models at hand"
BYTES = "uvicorn alone, bytes at hand"
HOW = (
    f"{PLUGINS} plugins, {CLIENTS} clients that each send `GET {PATH}` on a connection of their own as soon as the "
    "last answer is there; a server is a process of its own, uvicorn with one worker. The servers take turns, and in "
    "each the one thread of every plugin is in a call that never returns. Plugward: `health_router`. Floor: an ASGI "
    "function that sends the same body as bytes made once, so what uvicorn and the clients cost. Peers: a plain "
    "FastAPI route whose `response_model` is a list of pydantic models with the same fields and values; `at hand` "
    "answers models that never change, `made anew` makes each from its dict for each request, as a registry whose "
    "states change has to. They stand for the first host, whose code is not ours to fetch. Times are of single "
    "requests as a client sees them"
)
ROLES: dict[str, Role] = {BYTES: "floor", OURS: "plugward", MADE: "peer", KEPT: "peer"}


@dataclass
class Seen:
    """What the clients of one server have seen."""

    took_ns: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    length: int = 0

    @property
    def per_second(self) -> float:
        """Requests answered a second."""
        return len(self.took_ns) / self.seconds


def run(effort: Effort) -> Row:
    """Measure the row."""
    row = Row("health over HTTP", HOW)
    if not subject.installed():
        row.skipped.append(subject.MISSING)
        row.goals = goals({})
        return row
    with ExitStack() as servers:
        ports = {name: servers.enter_context(server(name)) for name in ROLES}
        seen = asyncio.run(load(ports, effort.soak_seconds / TURNS / len(ports)))
    for name, one in seen.items():
        if name != OURS and set(one.statuses) != {200}:
            raise RuntimeError(f"{name} answered {dict(one.statuses)}: it is no peer")
        p25, p50, p75, p99 = (percentile(one.took_ns, percent) for percent in (25, 50, 75, 99))
        note = f"{len(one.took_ns)} requests, {one.per_second:.0f} a second, bodies of {one.length / 1e3:.0f} kB"
        row.results.append(Result(name, ROLES[name], p50, p25, p75, p99, note))
        row.extra[name] = {"per_second": one.per_second, "statuses": dict(one.statuses)}
    row.goals = goals(seen)
    return row


def goals(seen: dict[str, Seen]) -> list[Goal]:
    """The row's goals."""
    wanted = ("status 200 every time", "p99 at most 100 ms", "at least 5x the requests of " + MADE)
    if not seen:
        return [Goal(one, "not measured", None) for one in wanted]
    ours = seen[OURS]
    p99 = percentile(ours.took_ns, 99)
    times = {name: ours.per_second / seen[name].per_second for name in (MADE, KEPT, BYTES)}
    answers = ", ".join(f"{count} of {status}" for status, count in sorted(ours.statuses.items()))
    return [
        Goal(wanted[0], answers, set(ours.statuses) == {200}),
        Goal(wanted[1], f"{p99 / 1e6:.1f} ms", p99 <= 100e6),
        Goal(
            wanted[2], f"{times[MADE]:.1f}x; {times[KEPT]:.1f}x {KEPT}; {times[BYTES]:.2f}x {BYTES}", times[MADE] >= 5
        ),
    ]


# --- the clients -----------------------------------------------------------------------------------------------------


async def load(ports: dict[str, int], seconds: float) -> dict[str, Seen]:
    """Load the servers in turns; the first turn is a short one and only warms them up."""
    seen = {name: Seen() for name in ports}
    for port in ports.values():
        await clients(port, seconds / 4, Seen())
    for turn in range(TURNS):
        names = list(ports)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            await clients(ports[name], seconds, seen[name])
    return seen


async def clients(port: int, seconds: float, seen: Seen) -> None:
    """Let all clients ask for some seconds; a request that is under way is waited for."""
    streams = [await asyncio.open_connection("127.0.0.1", port, limit=1 << 20) for _ in range(CLIENTS)]
    begun = time.perf_counter()
    await asyncio.gather(*(client(*stream, begun + seconds, seen) for stream in streams))
    seen.seconds += time.perf_counter() - begun
    for _reader, writer in streams:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, until: float, seen: Seen) -> None:
    """One client: ask, read the whole answer, ask again; once at least."""
    request = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    due = True
    while due:
        begun = time.perf_counter_ns()
        writer.write(request)
        try:
            status, body = await answer(reader)
        except (OSError, EOFError, asyncio.TimeoutError):
            seen.statuses[0] += 1  # no answer at all
            return
        seen.took_ns.append(time.perf_counter_ns() - begun)
        seen.statuses[status] += 1
        seen.length = len(body)
        if status == 200 and body.count(b'"RUNNING"') != PLUGINS:
            raise RuntimeError("that is not the health of a hundred plugins at work")
        due = time.perf_counter() < until


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of one answer. An HTTP library would cost more than the server that is measured."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length))


# --- the servers -----------------------------------------------------------------------------------------------------


@contextmanager
def server(name: str) -> Iterator[int]:
    """A server process, by its port. It is killed, because threads that hang cannot be asked to end."""
    command = [sys.executable, "-m", "bench.rows.health_http", name]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        try:
            said = cast("IO[bytes]", process.stdout).readline()
            if not said:
                raise RuntimeError(f"the server of {name} did not start")
            yield int(said)
        finally:
            process.kill()


def serve(name: str) -> None:
    """Be a server, until stdin ends."""
    import uvicorn

    runtime = hanging()
    apps: dict[str, Callable[[plugward.Runtime], Any]] = {
        BYTES: lambda runtime: fixed(runtime.health_json().encode()),
        OURS: ours,
        MADE: lambda runtime: plain(runtime.health(), anew=True),
        KEPT: lambda runtime: plain(runtime.health(), anew=False),
    }
    app = apps[name](runtime)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4 * CLIENTS)
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")).run(sockets=[listener])


def hanging() -> plugward.Runtime:
    """A runtime in which the only thread of each plugin is in a call that never returns."""
    runtime = subject.new_runtime()
    never = threading.Event()
    for number in range(PLUGINS):
        runtime.add_host(f"p{number:02}", {"hang": never.wait}, isolation="thread", concurrency=1, description="hangs")
        threading.Thread(target=runtime.call, args=(f"p{number:02}", "hang", {}), daemon=True).start()
    until = time.monotonic() + 30
    while any(health["state"] != "RUNNING" for health in runtime.health()):
        assert time.monotonic() < until, "the plugins do not hang"
        time.sleep(0.01)
    return runtime


def ours(runtime: plugward.Runtime) -> FastAPI:
    """Plugward's router and nothing else."""
    from fastapi import FastAPI

    from plugward.fastapi import health_router

    app = FastAPI()
    app.include_router(health_router(runtime))
    return app


def fixed(body: bytes) -> Callable[..., Awaitable[None]]:
    """The least that can be served."""
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]

    async def app(scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": body})

    return app


def plain(health: list[dict[str, Any]], *, anew: bool) -> FastAPI:
    """The same answer as a FastAPI tutorial would give it."""
    from fastapi import FastAPI

    from plugward.health import PluginHealthResponse

    app = FastAPI()
    kept = [PluginHealthResponse(**one) for one in health]

    @app.get(PATH, response_model=list[PluginHealthResponse])
    async def list_plugins() -> Any:
        return [PluginHealthResponse(**one) for one in health] if anew else kept

    return app


if __name__ == "__main__":
    serve(sys.argv[1])
