"""For the tests of plugin authors: a runtime for each test, misbehaving plugins, and the contract that a plugin keeps.

pytest finds this module by itself once Plugward is installed; nothing of Plugward is imported before a test asks::

    def test_my_plugin_keeps_the_contract(plugward_contract):
        plugward_contract(MyPlugin, examples={"detect": {"image": PICTURE}})

    def test_it_survives_a_bad_neighbour(plugward_runtime, plugward_misbehaving):
        plugward_runtime.add_plugin(MyPlugin)
        plugward_runtime.add_plugin(plugward_misbehaving["raises"])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from plugward import Runtime

__all__ = ["plugward_contract"]


@pytest.fixture
def plugward_runtime() -> Iterator[Runtime]:
    """A runtime of this test alone; closed when the test ends."""
    import plugward

    with plugward.Runtime() as runtime:
        yield runtime


@pytest.fixture
def plugward_misbehaving() -> dict[str, type[Any]]:
    """Plugin classes by what they do wrong, each with one tool, `run`; see `plugward._misbehaving`."""
    from plugward import _misbehaving

    return dict(_misbehaving.PLUGINS)


@pytest.fixture(name="plugward_contract")
def _contract() -> Callable[..., None]:
    """The function of that name."""
    return plugward_contract


def plugward_contract(
    plugin: Any, examples: Mapping[str, Mapping[str, Any]] | None = None, *, deadline_ms: float = 10_000
) -> None:
    """Fail the test unless `plugin`, a class or an object, is one that a host can rely on.

    It loads and says that it is fit; it has a name and described tools with usable schemas; input that a schema refuses
    does not harm it; it loads a second time; and each of `examples`, arguments by tool, is answered within
    `deadline_ms` by data that JSON can carry. Only the examples are executed.
    """
    __tracebackhide__ = True
    from plugward import _contract

    broken = _contract.broken(plugin, dict(examples or {}), deadline_ms)
    if broken:
        pytest.fail("the plugin does not keep the contract:\n" + "\n".join(f"  - {line}" for line in broken), False)
