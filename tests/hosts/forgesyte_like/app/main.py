"""python -m app.main DATABASE: serves on a free loopback port and prints it."""

import asyncio
import socket
import sys
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from typing import Any

import pydantic
import uvicorn
from fastapi import FastAPI, HTTPException

from app.jobs import Jobs
from app.plugins.health.health_router import router as health_router
from app.plugins.loader.plugin_loader import get_plugin_loader
from app.plugins.loader.startup_audit import run_startup_audit
from plugward.forgesyte.tool_runner import ToolRunner, run_plugin_tool, tool_runner

GROUP = "forgesyte.plugins"


class Run(pydantic.BaseModel):
    """One call."""

    args: dict[str, Any] = {}


def load() -> list[str]:
    """Load every installed plugin; what fails is in the registry, not in a traceback."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    for entry in found:
        get_plugin_loader().load_plugin(entry.name, entry.value)
    return [entry.name for entry in found]


@asynccontextmanager
async def lifespan(app: FastAPI):
    names = await asyncio.to_thread(load)
    app.state.audit = run_startup_audit(names)
    app.state.jobs = Jobs(sys.argv[1])
    yield
    app.state.jobs.close()


app = FastAPI(lifespan=lifespan)
app.include_router(health_router)


@app.get("/audit")
async def audit():
    return app.state.audit


@app.post("/v1/plugins/{plugin_id}/tools/{tool_name}/run")
def run(plugin_id: str, tool_name: str, body: Run):
    """Seam 2: the body of the host's service, with the exception types that make the right status."""
    try:
        return {"result": run_plugin_tool(plugin_id, tool_name, body.args)}
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
    except TimeoutError as error:
        raise HTTPException(504, str(error)) from error
    except Exception as error:
        raise HTTPException(502, f"{type(error).__name__}: {error}") from error


@app.post("/pipeline/{tool_name}")
async def pipeline(tool_name: str, body: Run):
    """Seam 3: the async callable."""
    return await tool_runner(tool_name, body.args)


@app.post("/new/{plugin_id}/{tool_name}")
async def new(plugin_id: str, tool_name: str, body: Run):
    """Seam 4: new code."""
    return await ToolRunner().run_tool(plugin_id, tool_name, body.args)


@app.post("/v1/jobs/{plugin_id}/{tool_name}")
def submit(plugin_id: str, tool_name: str, body: Run):
    return {"job": app.state.jobs.submit(plugin_id, tool_name, body.args)}


@app.get("/v1/jobs/{job}")
def look(job: str):
    found = app.state.jobs.look(job)
    if found is None:
        raise HTTPException(404, "no such job")
    return found


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)).run(sockets=[listener])
