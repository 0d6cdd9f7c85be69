"""A registry of its own for every test, reset as the host's own tests reset it."""

from collections.abc import Iterator

import pytest

from plugward.forgesyte.loader.plugin_registry import PluginRegistry, get_registry


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    PluginRegistry._instance = None
    yield
    PluginRegistry._instance = None


@pytest.fixture
def registry() -> PluginRegistry:
    return get_registry()
