"""The routers: health always answers, outcomes are bodies, nothing is a 500, the event loop is never blocked."""

import asyncio
import dataclasses
import enum
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydantic
import pytest
from fastapi import FastAPI

from plugward import Runtime
from plugward.fastapi import health_router, tools_router
from python.tests.patience import until_async


class Result(pydantic.BaseModel):
    boxes: list[int]


@dataclasses.dataclass
class Box:
    xyxy: Any


class Colour(enum.Enum):
    RED = "red"


class Hostile:
    def model_dump(self) -> Any:
        raise SystemExit("from model_dump")


def app(runtime: Runtime, **options: Any) -> FastAPI:
    made = FastAPI()
    made.include_router(health_router(runtime))
    made.include_router(tools_router(runtime, **options))
    return made


@pytest.fixture
async def client(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    tools = {
        "echo": lambda **args: args,
        "fail": lambda: 1 / 0,
        "leave": lambda: sys.exit(3),
        "sleep": time.sleep,
        "model": lambda: Result(boxes=[1, 2]),
        "array": lambda: {"a": np.arange(3), "f": np.float32(0.5), "nan": float("nan"), "raw": b"x"},
        "mixed": lambda: {
            "boxes": [Box(np.ones(2, "f4")), np.zeros((1, 2), "u1")],
            "kinds": {Colour.RED, np.bool_(True)},
            "keys": {np.int64(7): np.float32("inf"), True: Path("/a"), 2**70: Colour.RED},
        },
        "hostile": Hostile,
        "object": object,
    }
    runtime.add_host("p", tools, isolation="thread", deadline_ms=60_000, fails_on="crash")
    transport = httpx.ASGITransport(app(runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as made:
        yield made


async def run(client: httpx.AsyncClient, tool: str, plugin: str = "p", **body: Any) -> Any:
    reply = await client.post(f"/v1/plugins/{plugin}/tools/{tool}/run", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_what_a_tool_answers_has_a_json_form(client: httpx.AsyncClient) -> None:
    result = (await run(client, "mixed"))["result"]
    assert result["boxes"] == [{"xyxy": [1.0, 1.0]}, [[0, 0]]]
    assert sorted(result["kinds"], key=str) == [True, "red"]
    assert result["keys"] == {"7": None, "true": "/a", str(2**70): "red"}


async def test_outcomes_are_bodies(client: httpx.AsyncClient) -> None:
    assert (await run(client, "echo", args={"x": 1}))["result"] == {"x": 1}
    assert (await run(client, "fail"))["error_type"] == "ZeroDivisionError"
    assert (await run(client, "leave"))["code"] == "PW-CALL-011"
    assert (await run(client, "nothing"))["code"] == "PW-REG-002"
    assert (await run(client, "echo", plugin="nobody"))["code"] == "PW-REG-001"
    assert (await run(client, "sleep", args={"seconds": 1}))["code"] == "PW-CALL-001"


async def test_results_that_are_no_plain_data(client: httpx.AsyncClient) -> None:
    assert (await run(client, "model"))["result"] == {"boxes": [1, 2]}
    assert (await run(client, "array"))["result"] == {"a": [0, 1, 2], "f": 0.5, "nan": None, "raw": "eA=="}
    for tool in ("object", "hostile"):
        answer = await run(client, tool)
        assert (answer["ok"], answer["code"]) == (False, "PW-CALL-015")


async def test_status_by_the_outcome(runtime: Runtime, client: httpx.AsyncClient) -> None:
    transport = httpx.ASGITransport(app(runtime, status="map"))
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as mapped:
        for path, status in (("nobody/tools/t", 404), ("p/tools/fail", 500), ("p/tools/echo", 200)):
            assert (await mapped.post(f"/v1/plugins/{path}/run", json={})).status_code == status


@pytest.mark.parametrize(
    "body", [{"args": [1]}, {"deadline_ms": 0}, {"deadline_ms": "soon"}, {"deadline_ms": True}, []]
)
async def test_bodies_that_are_wrong(client: httpx.AsyncClient, body: Any) -> None:
    reply = await client.post("/v1/plugins/p/tools/echo/run", json=body)
    assert reply.status_code == 422


async def test_health_while_everything_hangs(runtime: Runtime, client: httpx.AsyncClient) -> None:
    release = threading.Event()
    runtime.add_host("h", {"hang": lambda: release.wait(60)}, isolation="thread", concurrency=1, deadline_ms=60_000)
    hanging = [asyncio.ensure_future(run(client, "hang", plugin="h")) for _ in range(3)]
    await until_async("one hangs", lambda: runtime.plugin_health("h")["in_flight"] == 1)  # type: ignore[index]
    for path in ("/v1/plugins", "/v1/plugins/h/health", "/livez", "/readyz", "/metrics", "/"):
        assert (await client.get(path)).status_code == 200
    assert not any(call.done() for call in hanging)
    release.set()
    assert all(answer["ok"] for answer in await asyncio.gather(*hanging))


async def test_health_routes(runtime: Runtime, client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/plugins")).json()
    assert [one["name"] for one in listed] == ["p"]
    assert (await client.get("/v1/plugins/p/health")).json()["state"] == "INITIALIZED"
    assert (await client.get("/v1/plugins/nobody/health")).status_code == 404
    assert (await client.get("/v1/plugins/p/tools")).json()["tools"][0]["plugin"] == "p"
    assert (await client.get("/v1/plugins/nobody/tools")).status_code == 404
    assert (await client.get("/metrics")).headers["content-type"].startswith("application/openmetrics-text")
    runtime.close()
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/v1/plugins")).status_code == 200


async def test_the_page_escapes_what_plugins_say(runtime: Runtime, client: httpx.AsyncClient) -> None:
    runtime.add_host("x", {"t": lambda: 1}, description="<script>alert(1)</script>")
    page = (await client.get("/")).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


async def test_restart(runtime: Runtime, client: httpx.AsyncClient) -> None:
    runtime.add_host("f", {"fail": lambda: 1 / 0})
    await run(client, "fail", plugin="f")
    reply = await client.post("/v1/plugins/f/restart")
    assert reply.status_code == 200
    assert (reply.json()["state"], reply.json()["generation"]) == ("INITIALIZED", 2)
    assert (await client.post("/v1/plugins/nobody/restart")).status_code == 404


CRASHES = """
import os
class Plugin:
    def __init__(self): self.tools = {"crash": os.abort}
"""


async def test_a_client_is_told_when_to_come_again(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "crashes.py").write_text(CRASHES)
    manifest = {"name": "p", "kind": "python", "entrypoint": "crashes.py:Plugin", "isolation": "process"}
    manifest["restart"] = {"backoff_ms": [600_000, 600_000]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (report,) = await asyncio.to_thread(runtime.load, tmp_path)
    assert report.ok, report.error
    transport = httpx.ASGITransport(app=app(runtime, status="map"))
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        died = await client.post("/v1/plugins/p/tools/crash/run", json={})
        assert (died.json()["code"], "retry-after" in died.headers) == ("PW-WORKER-004", False)
        refused = await client.post("/v1/plugins/p/tools/crash/run", json={})
    assert (refused.status_code, refused.json()["code"]) == (503, "PW-SUP-002")
    wait = refused.json()["details"]["retry_after_ms"]
    assert 200 <= int(refused.headers["retry-after"]) <= 600, refused.headers
    assert 0 <= int(refused.headers["retry-after"]) * 1000 - wait < 1000


async def test_a_client_that_leaves_cancels_the_call(runtime: Runtime) -> None:
    stopped = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            stopped.set()

    runtime.add_host("p", {"wait": wait})
    sent: list[Any] = []
    messages: asyncio.Queue[Any] = asyncio.Queue()
    messages.put_nowait({"type": "http.request", "body": b"{}", "more_body": False})
    scope = {
        "type": "http", "method": "POST", "path": "/v1/plugins/p/tools/wait/run", "raw_path": b"", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "http_version": "1.1", "scheme": "http",
        "server": ("host", 80), "client": ("client", 1), "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip

    async def send(message: Any) -> None:
        sent.append(message)

    served = asyncio.ensure_future(app(runtime)(scope, messages.get, send))
    await until_async("it runs", lambda: runtime.plugin_health("p")["in_flight"] == 1)  # type: ignore[index]
    messages.put_nowait({"type": "http.disconnect"})
    await asyncio.wait_for(stopped.wait(), 60)
    await asyncio.wait_for(served, 60)
    assert runtime.plugin_health("p")["in_flight"] == 0  # type: ignore[index]
