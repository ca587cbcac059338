"""Sends Python's log records to Node as `log` messages with their level and traceback."""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error", "CRITICAL": "error"}
TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)  # of the current request
LONGEST = 16_000  # characters per message; a traceback loses its beginning, which matters least


class WireHandler(logging.Handler):
    """Sends every record as a `log` envelope."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"logger": record.name, **trace_fields(), **getattr(record, "fields", {})}
        message = self.format(record)
        self._send(
            {
                "type": "log",
                "level": LEVELS.get(record.levelname, "info"),
                "message": message[-LONGEST:],
                "fields": {
                    key: value if isinstance(value, str | int | float | bool) else str(value)
                    for key, value in fields.items()
                },
            }
        )


def trace_fields() -> dict[str, str]:
    """`trace_id` from the W3C trace context (version-trace-parent-flags) of the current request."""
    parts = (TRACEPARENT.get() or "").split("-")
    return {"trace_id": parts[1]} if len(parts) == 4 else {}


def capture(send: Callable[[dict[str, Any]], None]) -> None:
    """Send all further logging of this process, including warnings, through `send`."""
    root = logging.getLogger()
    root.handlers = [WireHandler(send)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
