"""Routers for a FastAPI server: health that always answers, and tools whose outcome is the body.

Every handler is async and none blocks the event loop; none answers 500, whatever a plugin does.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Body, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from plugward import _json
from plugward._page import page
from plugward.errors import PlugwardError

if TYPE_CHECKING:
    from plugward._native import Outcome
    from plugward._runtime import Runtime

__all__ = ["health_router", "tools_router"]

OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
StatusMode = Literal["ok", "map"]


def health_router(runtime: Runtime, *, prefix: str = "") -> APIRouter:
    """Routes of health: `/v1/plugins`, `/v1/plugins/{name}/health`, `/livez`, `/readyz`, `/metrics` and the page `/`.

    They are built from an immutable snapshot: no lock, no thread, no plugin code.
    """
    router = APIRouter(prefix=prefix, tags=["plugward health"])

    @router.get("/v1/plugins")
    async def list_plugins() -> Response:
        """Health of every plugin; always 200."""
        return Response(runtime.health_json(), media_type="application/json")

    @router.get("/v1/plugins/{name}/health")
    async def plugin_health(name: str) -> Response:
        """Health of one plugin; 404 if there is none of that name."""
        health = runtime.plugin_health(name)
        if health is None:
            return JSONResponse({"detail": f"no plugin named {name!r}"}, status_code=404)
        return JSONResponse(health)

    @router.get("/livez")
    async def live() -> Response:
        """The process answers."""
        return JSONResponse({"live": True})

    @router.get("/readyz")
    async def ready() -> Response:
        """200 when the runtime takes calls, else 503 with the reason."""
        summary = runtime.summary()
        return JSONResponse(summary, status_code=200 if summary["ready"] else 503)

    @router.get("/metrics")
    async def metrics() -> Response:
        """All figures, for Prometheus."""
        return PlainTextResponse(runtime.metrics(), media_type=OPEN_METRICS)

    @router.get("/", include_in_schema=False)
    async def health_page() -> Response:
        """Health for people."""
        return HTMLResponse(page(runtime.health(), runtime.summary()))

    return router


def tools_router(runtime: Runtime, *, prefix: str = "", status: StatusMode = "ok") -> APIRouter:
    """Routes that run tools and restart plugins.

    `POST /v1/plugins/{name}/tools/{tool}/run` takes `{"args": {...}, "deadline_ms": ...}` and answers the outcome. Its
    HTTP status is 200 also for an outcome that is not ok; with `status="map"` it is the outcome's `http_status`. Where
    the plugin is just being restarted (`PW-SUP-002`), `Retry-After` says when to come again.
    """
    router = APIRouter(prefix=prefix, tags=["plugward tools"])

    @router.get("/v1/plugins/{name}/tools")
    async def list_tools(name: str) -> Response:
        """The tools of one plugin."""
        if runtime.plugin_health(name) is None:
            return JSONResponse({"detail": f"no plugin named {name!r}"}, status_code=404)
        return JSONResponse({"tools": runtime.tools(name)})

    @router.post("/v1/plugins/{name}/tools/{tool}/run")
    async def run_tool(request: Request, name: str, tool: str, body: dict[str, Any] = Body(default={})) -> Response:  # noqa: B008
        """Run a tool; a client that goes away cancels the call."""
        args, deadline = _asked(body)
        outcome = await _unless_gone(request, runtime.acall(name, tool, args, deadline_ms=deadline))
        if outcome is None:
            return JSONResponse({"detail": "the client has left"}, status_code=499)
        text = await _json.encode(outcome)
        code = 200 if status == "ok" else text.http_status
        return Response(text.body, status_code=code, media_type="application/json", headers=_headers(outcome))

    @router.post("/v1/plugins/{name}/restart")
    async def restart(name: str) -> Response:
        """Begin the plugin's next generation; how its load went is the answer."""
        try:
            report = await asyncio.to_thread(runtime.restart, name)
        except PlugwardError as error:
            return JSONResponse(_json.error_dict(error), status_code=error.http_status)
        return JSONResponse({"ok": report.ok, **report.to_dict()})

    return router


def _headers(outcome: Outcome) -> dict[str, str]:
    """`Retry-After` in whole seconds, where the error knows when it is over."""
    details = outcome.details
    wait = details.get("retry_after_ms") if isinstance(details, dict) else None
    return {} if wait is None else {"Retry-After": str(max(1, math.ceil(wait / 1000)))}


def _asked(body: dict[str, Any]) -> tuple[dict[str, Any], float | None]:
    args, deadline = body.get("args"), body.get("deadline_ms")
    if args is not None and not isinstance(args, dict):
        raise HTTPException(422, "args must be an object")
    if deadline is not None and (isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or deadline <= 0):
        raise HTTPException(422, "deadline_ms must be a number above 0")
    return args or {}, deadline


async def _unless_gone(request: Request, call: Any) -> Any:
    """The outcome of `call`; `None` when the client has left before, which cancels the call."""
    work = asyncio.ensure_future(call)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        gone.cancel()
        if not work.done():
            work.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
