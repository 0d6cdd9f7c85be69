"""A plugin whose import fails. It must still be listed, with the step and the reason."""

from __future__ import annotations

from typing import Any

import plugward_example_module_that_does_not_exist  # type: ignore[import-not-found]


class Plugin:
    """Never constructed."""

    name = "broken_import"
    tools: dict[str, dict[str, Any]] = {  # noqa: RUF012 (plugins of the first hosts look like this)
        "run": {"handler": plugward_example_module_that_does_not_exist.run, "description": "never reached"}
    }
