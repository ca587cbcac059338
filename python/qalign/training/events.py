"""The events of a run: one JSON object per line in `events.jsonl`, flushed at once, so that a crash loses none."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .process_exit import complain


class EventLog:
    """Appends events on rank 0 and does nothing on other ranks. It first ends an incomplete last line of a killed run.

    `sinks` (the bridge, the trackers) receive every event after it was written.
    """

    def __init__(self, file: Path, rank: int) -> None:
        self.sinks: list[Callable[[dict[str, Any]], None]] = []
        self._stream = file.open("ab", buffering=0) if rank == 0 else None
        self._torn = rank == 0 and _torn(file)

    def emit(self, event: str, **fields: Any) -> None:
        """Write an event. A full disk does not end the run: the line is lost or cut off, and the next event starts a
        new line."""
        if self._stream is None:
            return
        entry = {"event": event, "time": time.time(), **_finite(fields)}
        line = (b"\n" if self._torn else b"") + json.dumps(entry, allow_nan=False).encode() + b"\n"
        try:
            written = self._stream.write(line)
            if written:
                self._torn = line[written - 1 : written] != b"\n"
        except OSError as error:
            complain(f"events.jsonl could not be written: {error}")
        for sink in self.sinks:
            sink(entry)


def _torn(file: Path) -> bool:
    size = file.stat().st_size
    if size == 0:
        return False
    with file.open("rb") as stream:
        stream.seek(size - 1)
        return stream.read(1) != b"\n"


def _finite(value: Any) -> Any:
    """Replace NaN and infinity with null, because JSON has neither."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return value
