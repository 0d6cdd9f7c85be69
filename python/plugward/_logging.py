"""The runtime's log records in Python's `logging`, under the logger `plugward` and one child a plugin."""

from __future__ import annotations

import logging

_NAME = "plugward"


def emit(level: int, plugin: str | None, message: str, code: str | None, detail: str | None, unix_ms: int) -> None:
    """Write one record. Called on the runtime's log thread: a handler may block or raise, no call is touched."""
    logger = logging.getLogger(f"{_NAME}.{plugin}" if plugin else _NAME)
    if not logger.isEnabledFor(level):
        return
    extra = {"plugin": plugin, "code": code}
    text = f"[{plugin}] {message}" if plugin else message
    record = logger.makeRecord(logger.name, level, __file__, 0, text, (), None, None, extra)
    record.created = unix_ms / 1000
    record.msecs = float(unix_ms % 1000)
    if detail:
        record.exc_text = detail
    logger.handle(record)
