"""The loop of the driver: events of the places in, actions out, and a line for each event that the user sees."""

import json
import sys
import time
from collections.abc import Callable
from typing import Protocol

from .dispatcher import Action, Dispatcher

POLL_S = 1.0
PROGRESS_S = 2.0
HEARTBEAT_S = 30.0
"""Progress without a change; a client takes a longer silence for a lost connection."""


class Pool(Protocol):
    """Starts workers and carries shards and events. `RayPool` and the pool of the tests implement it."""

    def start(self, place: int) -> None: ...
    def give(self, place: int, line: dict) -> None: ...
    def stop(self, place: int) -> None: ...
    def poll(self, wait_s: float) -> list[tuple[int, dict]]: ...
    def close(self) -> None: ...


def print_event(event: dict) -> None:
    """Writes a line to the log of the job."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def drive(
    dispatcher: Dispatcher,
    pool: Pool,
    emit: Callable[[dict], None] = print_event,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Runs the job to its end; the last event is `end` or `error`. Returns false after an error."""
    told_at, told = clock(), dispatcher.progress()
    emit(told)
    try:
        while True:
            for action in dispatcher.actions(clock()):
                _carry_out(action, pool)
            _tell(dispatcher, emit)
            if dispatcher.is_finished:
                break
            for place, event in pool.poll(POLL_S):
                dispatcher.take(place, event, clock())
            _tell(dispatcher, emit)
            waited = clock() - told_at
            if waited >= PROGRESS_S and (waited >= HEARTBEAT_S or dispatcher.progress() != told):
                told_at, told = clock(), dispatcher.progress()
                emit(told)
    finally:
        pool.close()
    emit(dispatcher.progress())
    if dispatcher.error is not None:
        emit({"event": "error", "error": {**dispatcher.error, "retry": False}})
        return False
    emit({"event": "end", "failed": dispatcher.names("failed"), "aside": dispatcher.names("aside")})
    return True


def _tell(dispatcher: Dispatcher, emit: Callable[[dict], None]) -> None:
    for event in dispatcher.events:
        emit(event)
    dispatcher.events.clear()


def _carry_out(action: Action, pool: Pool) -> None:
    match action.kind:
        case "start":
            pool.start(action.place)
        case "give":
            pool.give(action.place, action.line)
        case "stop":
            pool.stop(action.place)
