"""What a run says: one JSON object a line in `events.jsonl`, flushed at once, so that no death loses any."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class EventLog:
    """Appends on rank 0 and is silent elsewhere. A torn last line of a killed run is closed before the next event.

    `sinks` get every event after it was written: the bridge, the trackers.
    """

    def __init__(self, file: Path, rank: int) -> None:
        self.sinks: list[Callable[[dict[str, Any]], None]] = []
        self._stream = file.open("ab", buffering=0) if rank == 0 else None
        if self._stream is not None and _torn(file):
            self._stream.write(b"\n")

    def emit(self, event: str, **fields: Any) -> None:
        """A full disk must not end a run that could still train: the line is dropped, the next one tries again."""
        if self._stream is None:
            return
        entry = {"event": event, "time": time.time(), **_finite(fields)}
        try:
            self._stream.write(json.dumps(entry, allow_nan=False).encode() + b"\n")
        except OSError as error:
            print(f"events.jsonl could not be written: {error}", flush=True)
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
    """NaN and infinity become null: they never leave Python."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return value
