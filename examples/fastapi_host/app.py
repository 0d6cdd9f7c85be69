"""A FastAPI server that hands its plugins to Plugward.

python examples/fastapi_host/app.py [--host 127.0.0.1] [--port 0] [--plugins FOLDER]

Everything that is Plugward is in `create_app`: make a runtime, load a folder, include two routers.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

import plugward
import plugward.fastapi

PLUGINS = Path(__file__).resolve().parent.parent / "plugins"


def create_app(plugins: Path = PLUGINS) -> FastAPI:
    """Make the server; its plugins are loaded when it starts and closed when it stops."""
    runtime = plugward.Runtime()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(runtime.load, str(plugins))
        yield
        await asyncio.to_thread(runtime.close)

    app = FastAPI(title="Plugward example host", lifespan=lifespan)
    app.state.plugward = runtime
    app.include_router(plugward.fastapi.health_router(runtime))
    app.include_router(plugward.fastapi.tools_router(runtime))
    return app


def main() -> None:
    """Serve until interrupted. Port 0 takes a free one; the address is printed once the socket is open."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--plugins", type=Path, default=PLUGINS)
    options = parser.parse_args()

    listener = socket.create_server((options.host, options.port))
    print(f"listening on http://{options.host}:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(create_app(options.plugins), log_level="warning", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
