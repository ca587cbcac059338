"""Decides which place computes which shard. Pure: no Ray, no clock and no I/O, so every kind of loss can be tested.

The driver passes in what happened (`take`), carries out what `actions` returns, and prints what `events` holds.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median

from .shards import BUSY, CLOSED, IDLE, STARTING, Limits, Place, Shard

FACTS = ("qalign", "score_version")


@dataclass(frozen=True)
class Action:
    """What the driver does next: `start` a worker (in place of the former one), `give` it `line`, or `stop` it."""

    kind: str
    place: int
    line: dict | None = None


class Dispatcher:
    """The state of a job. `error` (`code`, `message`) is set when the job cannot continue."""

    def __init__(
        self, lines: list[dict], places: int, version: str, first_wave: int = 0, limits: Limits | None = None
    ) -> None:
        """`lines`: shards without `index`. `version`: that of qalign. `first_wave`: places that can start now.

        No shard is given out before the versions of the first wave are compared.
        """
        self.limits = limits or Limits()
        self.shards = [Shard({**line, "index": index}) for index, line in enumerate(lines)]
        self.places = [Place() for _ in range(places)]
        self.events: list[dict] = []
        self.error: dict | None = None
        self.items = 0
        self.failed_items = 0
        self._version = version
        self._first_wave = first_wave
        self._todo = deque(range(len(lines)))
        self._open = len(lines)
        self._actions = [Action("start", place) for place in range(places)]
        self._facts: tuple[str, dict] | None = None
        self._ready_since: float | None = None
        self._gate_is_open = False
        self._alone_since: float | None = None
        self._durations: list[float] = []
        self._doubles = 0
        self._last_code, self._last_reason = "RAY_JOB_FAILED", "no worker could be placed"

    @property
    def is_finished(self) -> bool:
        return self.error is not None or self._open == 0

    def names(self, outcome: str) -> list[str]:
        """The shards that ended in this way, in order."""
        return [shard.line["shard"] for shard in self.shards if shard.outcome == outcome]

    def progress(self) -> dict:
        """Counts of the job. `items` includes those of the shards at hand."""
        return {
            "event": "progress",
            "shards": len(self.shards),
            **{outcome: len(self.names(outcome)) for outcome in ("done", "failed", "aside")},
            "running": sum(place.state == BUSY for place in self.places),
            "workers": sum(place.is_ready for place in self.places),
            "starting": sum(place.state == STARTING for place in self.places),
            "items": self.items + sum(place.items for place in self.places),
            "failed_items": self.failed_items,
        }

    def take(self, number: int, event: dict, now: float) -> None:
        """Takes in an event of a place: one of its worker, `placed` (with `node`) or `lost`.

        `lost` has `reason` and `blame`: `worker` if the worker or its process ended, `node` if the node was lost.
        `lost` and `error` are the last events of a worker.
        """
        place = self.places[number]
        if place.state == CLOSED or self.is_finished:
            return
        place.heard = now
        is_own = place.state == BUSY and place.index == event.get("index")
        match event["event"]:
            case "placed":
                place.node = event["node"]
            case "ready" if place.state == STARTING:
                self._take_ready(number, event, now)
            case "progress" if is_own:
                place.items = event["items"]
            case "done" if is_own:
                self._take_done(number, event, now)
            case "failed" if is_own:
                self._take_failed(number, event)
            case "error":
                error = event["error"]
                if error["code"] == "RESUME_MISMATCH":  # the results are of other settings, as every worker would find
                    self._fail(error["code"], error["message"])
                self._end_worker(number, error["message"], "worker", error["code"], error["retry"])
            case "lost":
                self._end_worker(number, event["reason"], event["blame"])

    def actions(self, now: float) -> list[Action]:
        """What to do now. Each action is returned once."""
        for number, place in enumerate(self.places):
            if place.state == BUSY and now - place.heard > self.limits.silence_s:
                self._end_worker(number, f"no event for {self.limits.silence_s:g} s", "worker")
        self._require_workers(now)
        if self.is_finished:
            return []
        if self._passes_gate(now):
            for number, place in enumerate(self.places):
                index = self._next(now) if place.state == IDLE else None
                if index is not None:
                    self._give(number, index, now)
        actions, self._actions = self._actions, []
        return actions

    def _passes_gate(self, now: float) -> bool:
        if not self._gate_is_open and self._ready_since is not None:
            known = sum(place.was_ready or place.state == CLOSED for place in self.places)
            self._gate_is_open = known >= self._first_wave or now - self._ready_since > self.limits.gate_s
        return self._gate_is_open

    def _require_workers(self, now: float) -> None:
        if any(place.is_ready for place in self.places):
            self._alone_since = None
            return
        self._alone_since = now if self._alone_since is None else self._alone_since
        if all(place.state == CLOSED for place in self.places):
            self._fail(self._last_code, f"No worker is left. The last one ended: {self._last_reason}")
        elif now - self._alone_since > self.limits.patience_s:
            waited = f"No worker was ready for {self.limits.patience_s:g} s"
            self._fail("RAY_JOB_FAILED", f"{waited}. The last reason: {self._last_reason}")

    def _fail(self, code: str, message: str) -> None:
        if self.error is None:
            self.error = {"code": code, "message": message}

    def _next(self, now: float) -> int | None:
        """The next open shard; at the end, one that takes long and has only one worker."""
        if self._todo:
            return self._todo.popleft()
        if self._doubles >= max(1, int(len(self.shards) * self.limits.doubled)) or not self._durations:
            return None
        long = self.limits.slow * median(self._durations)
        busy = [place for place in self.places if place.state == BUSY and now - place.since > long]
        for place in sorted(busy, key=lambda one: one.since):
            shard = self.shards[place.index]
            if shard.outcome is None and len(shard.places) == 1:
                self._doubles += 1
                self.events.append({"event": "twice", "shard": shard.line["shard"], "index": place.index})
                return place.index
        return None

    def _give(self, number: int, index: int, now: float) -> None:
        place, shard = self.places[number], self.shards[index]
        place.state, place.index, place.since, place.heard = BUSY, index, now, now
        shard.places.add(number)
        self._actions.append(Action("give", number, shard.line))

    def _take_ready(self, number: int, event: dict, now: float) -> None:
        place = self.places[number]
        node, facts = place.node or f"place {number}", {name: event.get(name) for name in FACTS}
        first_node, first = self._facts or ("this job", {**facts, "qalign": self._version})
        if facts != first:
            message = (
                f"The worker on {node} has qalign {facts['qalign']} and score_version {facts['score_version']}, but "
                f"{first_node} has qalign {first['qalign']} and score_version {first['score_version']}. "
                "Install the same qalign and the same model files on all nodes."
            )
            self._close(number, message)
            if not self._gate_is_open:
                self._fail("RAY_NODES_DIFFER", message)
            return
        self._facts = self._facts or (node, facts)
        self._ready_since = now if self._ready_since is None else self._ready_since
        place.state, place.was_ready = IDLE, True
        told = {name: event.get(name) for name in (*FACTS, "device", "python", "torch")}
        self.events.append({"event": "worker", "state": "ready", "place": number, "node": node, **told})

    def _take_done(self, number: int, event: dict, now: float) -> None:
        place, shard = self.places[number], self._release(number)
        if shard.outcome is not None:
            return  # the other of its two workers was faster
        self._durations.append(now - place.since)
        self.items += event["items"]
        self.failed_items += event["failed"]
        self._settle(shard, "done", {**event, "node": place.node})

    def _take_failed(self, number: int, event: dict) -> None:
        place, shard = self.places[number], self._release(number)
        shard.failures += 1
        if event["error"]["retry"] and shard.failures < self.limits.tries:
            self._again(shard, event["error"]["message"])
        elif shard.outcome is None and not shard.places:  # with a second worker, that one decides
            self._settle(shard, "failed", {**event, "node": place.node})

    def _release(self, number: int) -> Shard:
        """Makes the place free, after it finished its shard."""
        shard, place = self._take_back(number), self.places[number]
        place.state, place.starts, place.losses = IDLE, 0, 0
        return shard

    def _take_back(self, number: int) -> Shard:
        place = self.places[number]
        shard = self.shards[place.index]
        shard.places.discard(number)
        place.index, place.items = None, 0
        return shard

    def _end_worker(self, number: int, reason: str, blame: str, code: str = "WORKER_LOST", retry: bool = True) -> None:
        place = self.places[number]
        self._last_code, self._last_reason = code, f"{reason} ({place.node or 'not placed'})"
        told = {"place": number, "node": place.node, "code": code, "reason": reason}
        self.events.append({"event": "worker", "state": "lost", **told})
        if place.index is not None:
            self._lose_shard(self._take_back(number), blame)
            place.losses += blame == "worker"
            others = sum(other.is_ready for other in self.places) > place.is_ready
            is_worn = place.losses >= self.limits.losses and others
        else:
            place.starts += blame == "worker"
            is_worn = place.starts >= self.limits.starts or not (retry or place.was_ready)
        if is_worn:
            self._close(number, reason)
        else:
            place.state, place.node = STARTING, None
            self._actions.append(Action("start", number))

    def _close(self, number: int, reason: str) -> None:
        self.places[number].state = CLOSED
        self._actions.append(Action("stop", number))
        node = self.places[number].node
        self.events.append({"event": "worker", "state": "closed", "place": number, "node": node, "reason": reason})

    def _lose_shard(self, shard: Shard, blame: str) -> None:
        if blame == "node":
            shard.nodes += 1
        else:
            shard.kills += 1
        if shard.kills < self.limits.kills and shard.nodes < self.limits.nodes:
            self._again(shard, self._last_reason)
        elif shard.outcome is None and not shard.places:
            lost = f"{shard.kills} workers and {shard.nodes} nodes were lost while they computed it"
            message = f"The shard is set aside, because {lost}. The last reason: {self._last_reason}"
            error = {"code": "WORKER_LOST", "message": message, "retry": True}
            line = {"shard": shard.line["shard"], "index": shard.line["index"]}
            self._settle(shard, "aside", {"event": "failed", **line, "error": error})

    def _again(self, shard: Shard, reason: str) -> None:
        """Puts a shard in front of the others, unless another place computes it."""
        if shard.outcome is not None or shard.places:
            return
        self._todo.appendleft(shard.line["index"])
        line = {"shard": shard.line["shard"], "index": shard.line["index"]}
        self.events.append({"event": "again", **line, "reason": reason})

    def _settle(self, shard: Shard, outcome: str, event: dict) -> None:
        shard.outcome = outcome
        self._open -= 1
        self.events.append(event)
