"""Places of a Ray cluster: one actor each. Ray restarts and retries nothing, because the dispatcher does."""

from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

from .actor import ShardActor

TAKE_S = 2.0
STOP_S = 2.0
MOST_CALLS = 4
"""`give` and `stop` must not wait behind `take`."""


@dataclass
class _Slot:
    handle: Any
    answer: Any
    """The reference of the events that are awaited."""


class RayPool:
    """Starts actors, hands them shards and collects their events."""

    def __init__(self, command: list[str], cpus: float, gpus: int) -> None:
        """`command`: the shard worker. `cpus`, `gpus`: what each actor reserves."""
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_restarts": 0, "max_task_retries": 0}
        self._actor = ray.remote(ShardActor).options(
            **options, max_concurrency=MOST_CALLS, scheduling_strategy="SPREAD"
        )
        self._command = command
        self._slots: dict[int, _Slot] = {}

    def start(self, place: int) -> None:
        """Starts an actor, and ends the one that the place had."""
        self.stop(place)
        handle = self._actor.remote(self._command)
        self._slots[place] = _Slot(handle, handle.place.remote())

    def give(self, place: int, line: dict) -> None:
        self._slots[place].handle.give.remote(line)

    def stop(self, place: int) -> None:
        """Ends the actor of a place at once; its tether ends the worker."""
        slot = self._slots.pop(place, None)
        if slot is not None:
            ray.kill(slot.handle)

    def poll(self, wait_s: float) -> list[tuple[int, dict]]:
        """The events of all places, with the number of the place."""
        answers = {slot.answer: place for place, slot in self._slots.items()}
        if not answers:
            return []
        ray.wait(list(answers), num_returns=1, timeout=wait_s, fetch_local=False)
        ready, _ = ray.wait(list(answers), num_returns=len(answers), timeout=0, fetch_local=False)
        return [(answers[answer], event) for answer in ready for event in self._events(answers[answer])]

    def _events(self, place: int) -> list[dict]:
        slot = self._slots[place]
        try:
            events = ray.get(slot.answer)
        except RayError as error:
            del self._slots[place]
            ray.kill(slot.handle)
            return [_lost(error)]
        if any(event["event"] in ("lost", "error") for event in events):
            self.stop(place)
        else:
            slot.answer = slot.handle.take.remote(TAKE_S)
        return events

    def close(self) -> None:
        """Ends all workers; the shards at hand are dropped."""
        stopping = [slot.handle.stop.remote() for slot in self._slots.values()]
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=STOP_S, fetch_local=False)
        for place in list(self._slots):
            self.stop(place)


def _lost(error: RayError) -> dict:
    """The event for an actor that does not answer.

    A lost connection is blamed on the node, because Ray reports a lost node only later.
    """
    text = " ".join(str(error).split())[:500]
    if isinstance(error, ActorUnavailableError) or "node has died" in text:
        return {"event": "lost", "reason": "the actor or its node does not answer", "blame": "node"}
    return {"event": "lost", "reason": f"the actor ended: {type(error).__name__}: {text}", "blame": "worker"}
