"""The exceptions that Plugward raises, and the ones that plugins may raise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugward._native import Outcome

__all__ = ["CallCancelled", "DeadlineExceeded", "InvalidInput", "PluginCallError", "PlugwardError"]


class DeadlineExceeded(BaseException):
    """Raised inside a plugin's call whose deadline has passed.

    It derives from `BaseException`, so that a plugin's `except Exception` does not keep the call alive.
    """


class CallCancelled(BaseException):
    """Raised inside a plugin's call that its caller has cancelled; a coroutine gets `asyncio.CancelledError`.

    A call that has not ended a second later is ended by force, where it has a worker process of its own.
    """


class InvalidInput(ValueError):  # noqa: N818 (the name that plugins use)
    """Raised by a plugin that refuses its input: the caller's mistake, not a fault of the plugin."""


class PlugwardError(Exception):
    """What went wrong in the use of Plugward itself, why, and what to do about it."""

    code: str
    error_type: str
    cause: str
    remedy: str
    retryable: bool
    http_status: int
    details: Any

    def __init__(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Take the message and the fields of the error catalogue."""
        super().__init__(message)
        known = dict(fields or {})
        self.code = known.get("code", "PW-RT-003")
        self.error_type = known.get("error_type", "InternalError")
        self.cause = known.get("cause", "")
        self.remedy = known.get("remedy", "")
        self.retryable = known.get("retryable", False)
        self.http_status = known.get("http_status", 500)
        self.details = known.get("details")


class PluginCallError(PlugwardError):
    """Raised by `Outcome.unwrap`; the plugin's own exception is its `__cause__`."""

    outcome: Outcome

    def __init__(self, message: str, fields: Mapping[str, Any] | None = None) -> None:
        """Take the message, the fields of the error, and the outcome."""
        super().__init__(message, fields)
        if fields and "outcome" in fields:
            self.outcome = fields["outcome"]
