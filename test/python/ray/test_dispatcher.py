"""The dispatcher: every shard once, whatever is lost."""

import random
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fake_pool import LOST_NODE, LOST_WORKER, READY, FakePool, done, failed

from qalign.ray.dispatcher import Dispatcher
from qalign.ray.drive import drive
from qalign.ray.shards import Limits


def run(pool: FakePool, shards: int = 8, places: int = 2, limits: Limits | None = None, wave: int | None = None):
    """Runs a job of `shards` shards. Returns the dispatcher, whether it ran through, and the events."""
    lines = [{"shard": f"s{number}"} for number in range(shards)]
    dispatcher = Dispatcher(lines, places, "0.1.0", places if wave is None else wave, limits)
    events: list[dict] = []
    ok = drive(dispatcher, pool, events.append, lambda: pool.time)
    assert pool.is_closed
    return dispatcher, ok, events


def of(events: list[dict], kind: str) -> list[dict]:
    return [event for event in events if event["event"] == kind]


def test_every_shard_is_given_once_in_order() -> None:
    pool = FakePool()
    _, ok, events = run(pool)
    assert ok and pool.written == [f"s{number}" for number in range(8)]
    assert len(pool.given) == 8 and {place for place, _ in pool.given} == {0, 1}
    assert [event["shard"] for event in of(events, "done")] == pool.written
    last = of(events, "progress")[-1]
    assert (last["done"], last["items"], last["failed_items"], last["running"]) == (8, 40, 8, 0)
    assert events[-1] == {"event": "end", "failed": [], "aside": []}


def test_a_job_without_shards_ends_at_once() -> None:
    pool = FakePool()
    _, ok, _ = run(pool, shards=0, places=1)
    assert ok and pool.starts == []


@pytest.mark.parametrize("lost", [LOST_NODE, LOST_WORKER])
def test_a_shard_of_a_lost_worker_is_given_again_first(lost: dict) -> None:
    deaths = iter([lost])
    pool = FakePool(lambda place, line: next(deaths, done(line)) if line["shard"] == "s1" else done(line))
    _, ok, events = run(pool)
    assert ok and sorted(pool.written) == [f"s{number}" for number in range(8)]
    assert [name for _, name in pool.given].count("s1") == 2
    assert [event["shard"] for event in of(events, "again")] == ["s1"]
    assert len(pool.starts) == 3


def test_a_shard_that_ends_three_workers_is_set_aside_and_named() -> None:
    pool = FakePool(lambda _, line: LOST_WORKER if line["shard"] == "s2" else done(line))
    dispatcher, ok, events = run(pool)
    assert ok and dispatcher.names("aside") == ["s2"] and len(pool.written) == 7
    assert events[-1]["aside"] == ["s2"]
    named = of(events, "failed")
    assert [event["shard"] for event in named] == ["s2"] and "3 workers" in named[0]["error"]["message"]


def test_one_place_survives_a_shard_that_ends_its_workers() -> None:
    pool = FakePool(lambda _, line: LOST_WORKER if line["shard"] in ("s0", "s3") else done(line))
    dispatcher, ok, _ = run(pool, places=1)
    assert ok and dispatcher.names("aside") == ["s0", "s3"] and len(pool.written) == 6


def test_lost_nodes_are_not_blamed_on_a_shard_so_soon() -> None:
    losses = iter([LOST_NODE] * 9)
    pool = FakePool(lambda _, line: next(losses, done(line)))
    dispatcher, ok, _ = run(pool, shards=1, places=1)
    assert ok and dispatcher.names("done") == ["s0"]
    always = FakePool(lambda _, __: LOST_NODE)
    dispatcher, ok, _ = run(always, shards=1, places=1)
    assert ok and dispatcher.names("aside") == ["s0"]


def test_failures_are_repeated_only_if_the_worker_says_so() -> None:
    pool = FakePool(
        lambda _, line: failed(line, line["shard"] == "s4") if line["shard"] in ("s3", "s4") else done(line)
    )
    dispatcher, ok, events = run(pool)
    count = Counter(name for _, name in pool.given)
    assert ok and dispatcher.names("failed") == ["s3", "s4"] and (count["s3"], count["s4"]) == (1, 3)
    assert len(of(events, "failed")) == 2


def test_a_place_that_cannot_start_is_closed_and_the_others_go_on() -> None:
    pool = FakePool(ready=lambda place: LOST_WORKER if place == 1 else READY)
    _, ok, events = run(pool)
    assert ok and len(pool.written) == 8 and pool.starts.count(1) == 3 and pool.stopped == [1]
    assert [event["place"] for event in of(events, "worker") if event["state"] == "closed"] == [1]


def test_a_place_that_ends_every_shard_is_closed_if_another_works() -> None:
    pool = FakePool(lambda place, line: LOST_WORKER if place == 0 else done(line))
    dispatcher, ok, _ = run(pool, shards=40)
    assert ok and len(dispatcher.names("done")) == 40 and 0 in pool.stopped


def test_an_error_that_cannot_be_repeated_ends_a_job_without_other_workers() -> None:
    error = {
        "event": "error",
        "error": {"code": "MODEL_NOT_FOUND", "message": "there is no such model", "retry": False},
    }
    pool = FakePool(ready=lambda _: error)
    _, ok, events = run(pool)
    assert not ok and events[-1]["event"] == "error" and events[-1]["error"]["code"] == "MODEL_NOT_FOUND"
    assert "there is no such model (node-" in events[-1]["error"]["message"] and sorted(pool.starts) == [0, 1]


def test_a_job_whose_workers_are_never_placed_ends_with_an_error() -> None:
    pool = FakePool(ready=lambda _: None)
    _, ok, events = run(pool, limits=Limits(patience_s=20))
    assert not ok and "No worker was ready for 20 s" in events[-1]["error"]["message"] and pool.time > 20


def test_a_worker_that_stays_silent_is_replaced() -> None:
    hung = iter([None] * 31)
    pool = FakePool(lambda _, line: next(hung, done(line)) if line["shard"] == "s0" else done(line))
    dispatcher, ok, events = run(pool, shards=1, places=1, limits=Limits(silence_s=30))
    assert ok and pool.starts == [0, 0] and dispatcher.names("done") == ["s0"]
    assert "no event for 30 s" in of(events, "again")[0]["reason"]


def test_the_first_wave_is_compared_before_any_shard_is_given() -> None:
    pool = FakePool(ready=lambda place: {**READY, "score_version": "w"} if place == 1 else READY)
    _, ok, events = run(pool)
    error = events[-1]["error"]
    assert not ok and error["code"] == "RAY_NODES_DIFFER" and pool.given == []
    assert "node-1" in error["message"] and "node-0" in error["message"]


def test_another_version_of_qalign_is_named() -> None:
    pool = FakePool(ready=lambda _: {**READY, "qalign": "0.0.9"})
    _, ok, events = run(pool, places=1)
    assert not ok and "node-0 has qalign 0.0.9" in events[-1]["error"]["message"]


def test_a_late_worker_with_another_version_gets_no_shard() -> None:
    pool = FakePool()
    pool._ready = lambda place: (
        READY if place == 0 else {**READY, "score_version": "w"} if len(pool.written) > 2 else None
    )
    _, ok, _ = run(pool, wave=1)
    assert ok and {place for place, _ in pool.given} == {0} and pool.stopped == [1] and len(pool.written) == 8


def test_the_first_wave_is_not_awaited_for_ever() -> None:
    pool = FakePool(ready=lambda place: READY if place == 0 else None)
    _, ok, _ = run(pool, limits=Limits(gate_s=10))
    assert ok and {place for place, _ in pool.given} == {0} and 10 < pool.time < 30


def test_a_slow_last_shard_runs_twice_and_counts_once() -> None:
    pool = FakePool(lambda place, line: None if line["shard"] == "s7" and place == 1 else done(line))
    dispatcher, ok, events = run(pool)
    assert ok and pool.written.count("s7") == 1 and len(dispatcher.names("done")) == 8
    assert [event["shard"] for event in of(events, "twice")] == ["s7"]
    assert len(of(events, "done")) == 8


def test_both_runs_of_a_shard_are_lost() -> None:
    dead: list[int] = []

    def answer(place: int, line: dict) -> dict | None:
        if line["shard"] != "s7":
            return done(line)
        if len(dead) >= 2:
            return done(line)
        if len(pool.at_hand) == 2 or (dead and place not in dead):
            dead.append(place)
            return LOST_WORKER
        return None

    pool = FakePool(answer)
    dispatcher, ok, _ = run(pool)
    assert ok and pool.written.count("s7") == 1 and len(dispatcher.names("done")) == 8


@pytest.mark.parametrize("seed", range(20))
def test_random_losses_lose_and_repeat_no_result(seed: int) -> None:
    chance = random.Random(seed)

    def answer(_: int, line: dict) -> dict | None:
        drawn = chance.random()
        if drawn < 0.05:
            return LOST_NODE
        if drawn < 0.1:
            return LOST_WORKER
        if drawn < 0.15:
            return failed(line, True)
        return None if drawn < 0.4 else done(line)

    pool = FakePool(answer, lambda _: READY if chance.random() < 0.7 else None, seed)
    dispatcher, ok, events = run(pool, shards=60, places=5)
    assert ok
    ended = dispatcher.names("done") + dispatcher.names("failed") + dispatcher.names("aside")
    assert sorted(ended) == sorted(f"s{number}" for number in range(60))
    # a lost worker never commits here, so what is done is what was written
    assert sorted(dispatcher.names("done")) == sorted(pool.written)
    told = [event["shard"] for event in events if event["event"] in ("done", "failed")]
    assert sorted(told) == sorted(ended)


def test_results_of_other_settings_end_the_job_at_once() -> None:
    error = {"code": "RESUME_MISMATCH", "message": "s1 was written with other settings", "retry": False}
    pool = FakePool(lambda place, line: {"event": "error", "error": error} if line["shard"] == "s1" else done(line))
    dispatcher, ok, events = run(pool)
    assert not ok and dispatcher.error == {"code": "RESUME_MISMATCH", "message": error["message"]}
    assert len(pool.starts) == 2 and "s1" not in pool.written
    assert events[-1]["event"] == "error" and events[-1]["error"]["message"] == error["message"]
