"""The health endpoints answer 200 or 404, whatever the registry does."""

from collections.abc import Callable, Iterator
from unittest.mock import MagicMock, patch

import fastapi
import httpx
import pytest

from plugward.forgesyte.health import health_router
from plugward.forgesyte.health.health_model import PluginHealthResponse, PluginListResponse
from plugward.forgesyte.health.health_router import get_plugin_health, list_plugins, router
from plugward.forgesyte.lifecycle.lifecycle_state import PluginLifecycleState as State
from plugward.forgesyte.loader.plugin_registry import PluginRegistry

HERE = f"{health_router.__name__}.get_registry"
THERE = "plugward.forgesyte.loader.plugin_registry.get_registry"


@pytest.fixture
def client() -> Iterator[Callable[[str], httpx.Response]]:
    app = fastapi.FastAPI()
    app.include_router(router)

    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=app)  # raises what the application raises
        async with httpx.AsyncClient(transport=transport, base_url="http://host") as http:
            return await http.get(path)

    return ask  # type: ignore[misc]


async def test_flat_and_wrapped(client: Callable, registry: PluginRegistry) -> None:
    registry.register("b", "reads", "1.0")
    registry.register("a")
    registry.mark_failed("b", "weights")
    registry.mark_unavailable("c", "GPU")
    flat = await client("/v1/plugins")
    assert flat.status_code == 200
    assert [(p["name"], p["state"]) for p in flat.json()] == [("a", "LOADED"), ("b", "FAILED"), ("c", "UNAVAILABLE")]
    wrapped = (await client("/v1/plugins/")).json()
    assert wrapped["plugins"] == [
        {**p, "uptime_seconds": w["uptime_seconds"]} for p, w in zip(flat.json(), wrapped["plugins"], strict=True)
    ]
    assert {k: v for k, v in wrapped.items() if k != "plugins"} == {
        "total": 3,
        "available": 1,
        "failed": 1,
        "unavailable": 1,
    }


async def test_one(client: Callable, registry: PluginRegistry) -> None:
    registry.register("ocr", "reads", "1.0")
    registry.record_success("ocr", 12.5)
    answer = await client("/v1/plugins/ocr/health")
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == set(PluginHealthResponse.model_fields)
    assert (body["state"], body["success_count"], body["avg_execution_time_ms"]) == ("LOADED", 1, 12.5)
    missing = await client("/v1/plugins/nobody/health")
    assert missing.status_code == 404
    assert "nobody" in missing.json()["detail"]


@pytest.mark.parametrize("place", [HERE, THERE])
@pytest.mark.parametrize(
    "registry",
    [
        MagicMock(side_effect=RuntimeError("lock timeout")),
        MagicMock(
            return_value=MagicMock(
                list_all=MagicMock(side_effect=TimeoutError("lock")), get_status=MagicMock(side_effect=KeyError("x"))
            )
        ),
        MagicMock(return_value=MagicMock()),
        MagicMock(
            return_value=MagicMock(
                list_all=MagicMock(return_value=[object(), None]), get_status=MagicMock(return_value=7)
            )
        ),
        MagicMock(
            return_value=MagicMock(
                list_all=MagicMock(
                    return_value=[PluginHealthResponse(name="n", state="LOADED", avg_execution_time_ms=float("nan"))]  # type: ignore[arg-type]
                ),
                get_status=MagicMock(
                    return_value=PluginHealthResponse(name="n", state="LOADED", uptime_seconds=float("inf"))  # type: ignore[arg-type]
                ),
            )
        ),
    ],
)
async def test_never_500(client: Callable, place: str, registry: MagicMock) -> None:
    with patch(place, registry):
        for path in ("/v1/plugins", "/v1/plugins/", "/v1/plugins/ocr/health"):
            answer = await client(path)
            assert answer.status_code in (200, 404), (path, answer.text)
            answer.json()


async def test_the_handlers_may_be_called_themselves(registry: PluginRegistry) -> None:
    registry.register("ocr")
    listed = await list_plugins()
    assert isinstance(listed, PluginListResponse)
    assert (listed.total, listed.available) == (1, 1)
    assert (await get_plugin_health("ocr")).state is State.LOADED
    with pytest.raises(fastapi.HTTPException) as raised:
        await get_plugin_health("nobody")
    assert raised.value.status_code == 404
