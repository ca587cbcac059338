"""A pool without Ray for tests of the dispatcher: workers of one step a shard, which a test can let die."""

import random
from collections.abc import Callable

READY = {"event": "ready", "qalign": "0.1.0", "score_version": "v", "device": "cpu", "python": "3.11", "torch": "2.13"}
LOST_NODE = {"event": "lost", "reason": "the node is gone", "blame": "node"}
LOST_WORKER = {"event": "lost", "reason": "killed", "blame": "worker"}


def done(line: dict, commit: str = "written") -> dict:
    output = f"out/{line['shard']}"
    return {"event": "done", **line, "output": output, "items": 5, "failed": 1, "seconds": 1.0, "commit": commit}


def failed(line: dict, retry: bool) -> dict:
    error = {"code": "MEDIA_CORRUPT", "message": "damaged", "retry": retry}
    return {"event": "failed", "shard": line["shard"], "index": line["index"], "error": error}


class FakePool:
    """Every worker is placed and ready at the next `poll`, and answers a shard with `answer(place, line)`.

    Without an answer the shard stays at hand. `ready(place)` is the first event. A commit happens once: `written` lists
    the shards in the order of their commits. `clock` counts polls.
    """

    def __init__(
        self,
        answer: Callable[[int, dict], dict | None] | None = None,
        ready: Callable[[int], dict | None] = lambda _: READY,
        seed: int = 0,
    ) -> None:
        self._answer = answer or (lambda _, line: done(line))
        self._ready = ready
        self._random = random.Random(seed)
        self.given: list[tuple[int, str]] = []
        self.starts: list[int] = []
        self.stopped: list[int] = []
        self.written: list[str] = []
        self.is_closed = False
        self.time = 0.0
        self._fresh: set[int] = set()
        self.at_hand: dict[int, dict] = {}

    def start(self, place: int) -> None:
        self.starts.append(place)
        self.at_hand.pop(place, None)
        self._fresh.add(place)

    def give(self, place: int, line: dict) -> None:
        assert place not in self.at_hand and place not in self._fresh
        self.given.append((place, line["shard"]))
        self.at_hand[place] = line

    def stop(self, place: int) -> None:
        self.stopped.append(place)
        self._fresh.discard(place)
        self.at_hand.pop(place, None)

    def poll(self, wait_s: float) -> list[tuple[int, dict]]:
        self.time += wait_s
        events: list[tuple[int, dict]] = []
        for place in sorted(self._fresh):
            first = self._ready(place)
            if first is not None:
                self._fresh.discard(place)
                events += [(place, {"event": "placed", "node": f"node-{place}"}), (place, first)]
        for place, line in list(self.at_hand.items()):
            event = self._answer(place, line)
            if event is None:
                continue
            if event["event"] == "done":
                if line["shard"] in self.written:
                    event = {**event, "commit": "present"}
                else:
                    self.written.append(line["shard"])
            self.at_hand.pop(place, None)
            events.append((place, event))
        self._random.shuffle(events)
        return sorted(events, key=lambda one: one[1]["event"] != "placed")

    def close(self) -> None:
        self.is_closed = True
