"""What the tests of the Python door share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plugward import Runtime


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime(logging=False) as made:
        yield made


@pytest.fixture
def state(runtime: Runtime) -> Callable[[str], Any]:
    def look(name: str) -> Any:
        health = runtime.plugin_health(name)
        assert health is not None
        return health["state"]

    return look
