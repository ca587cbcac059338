"""The compute loop begins a request while the device computes the one before it."""

import threading

import pytest
import torch

from qalign.worker.bridge import Bridge
from qalign.worker.handlers import Deferred

STICKY = RuntimeError("CUDA error: an illegal memory access was encountered")
MEMORY = torch.OutOfMemoryError("CUDA out of memory.")


class FakeDevice:
    """Handlers whose results are ready when the test says so. `events` has everything that happens, in order."""

    overlapping = ("score",)

    def __init__(self, step):
        self.step, self.events = step, []
        self.ready, self.submit_errors, self.read_errors = set(), {}, {}
        self.on_poll = lambda id: None
        self.on_begin = lambda id: None

    def score(self, params, buffers, report):
        id = params["items"][0]["id"]
        self.events.append(f"begin {id}")
        self.on_begin(id)
        self.step()
        if id in self.submit_errors:
            raise self.submit_errors[id]

        def ready():
            self.on_poll(id)
            return id in self.ready

        def result():
            self.events.append(f"read {id}")
            if id in self.read_errors:
                raise self.read_errors[id]
            row = {"logits": [0.0, 1.0], "log_sum_exp": 2.0, "positions": 3}
            return {"items": [{"id": id, "prompts": [row]}], "timings": {"compute_ms": 1.0}}

        return Deferred(ready, result)

    def unload_model(self, params, buffers, report):
        self.events.append("unload")
        return {}


class Loop:
    def __init__(self):
        self.bridge = Bridge("ipc://@unused", "w", "t", "cpu", None, FakeDevice)
        self.device = self.bridge.handlers
        self.bridge.send = self.sent

    def sent(self, envelope):
        if "id" in envelope:
            told = envelope.get("error", {}).get("code", "result")
            self.device.events.append(f"answer {envelope['id']} {told}")
        elif envelope["type"] == "credit":
            self.device.events.append("credit")
        else:
            self.device.events.append(f"bye {envelope.get('error', {}).get('code', '')}".strip())

    def put(self, id, method="score"):
        item = {"id": id, "visuals": [], "prompts": [{"text": "p"}]}
        params = {
            "score": {"items": [item], "levels": ["good", "bad"], "buffers": []},
            "generate": {"items": [item | {"prompts": ["p"]}], "max_new_tokens": 1, "buffers": []},
            "encode": {"clip": "c", "first": 0, "buffers": [{"shape": [1, 2, 2, 3], "dtype": "uint8"}]},
            "release": {"clip": "c"},
            "load_model": {"model": "m", "device": "cuda:0", "precision": "auto", "offline": True},
        }.get(method, {})
        self.bridge._requests.put((self.bridge._session, {"id": id, "method": method, "params": params}, []))

    def run(self):
        guard = threading.Timer(10, self.bridge.drain)  # a loop that waits for ever fails instead of hanging
        guard.start()
        self.bridge._work()
        guard.cancel()
        return [event for event in self.device.events if event != "credit"]


@pytest.fixture
def loop():
    made = Loop()
    yield made
    for socket in (made.bridge._socket, made.bridge._wake_in, made.bridge._wake_out):
        socket.close(0)
    made.bridge._context.term()


def put_at_poll(loop, *ids):
    """While the device computes the first request, the others arrive, and then a drain."""

    def on_poll(id):
        loop.device.on_poll = lambda id: None
        for each in ids:
            loop.put(each)
        loop.bridge.drain()

    loop.device.on_poll = on_poll


def test_the_next_request_begins_before_the_last_is_read_and_answers_keep_their_order(loop):
    loop.put("a")
    put_at_poll(loop, "b", "c")
    assert loop.run() == [
        *["begin a", "begin b", "read a", "answer a result"],
        *["begin c", "read b", "answer b result"],
        *["read c", "answer c result", "bye"],
    ]
    assert loop.device.events.count("credit") == 3


def test_a_complete_result_is_answered_before_another_request_begins(loop):
    loop.device.ready = {"a", "b"}
    loop.put("a")
    loop.put("b")
    loop.bridge.drain()
    assert loop.run() == [
        *["begin a", "read a", "answer a result", "begin b", "read b", "answer b result", "bye"],
    ]


@pytest.mark.parametrize(("error", "code"), [(MEMORY, "OUT_OF_MEMORY"), (ValueError("x"), "WORKER_INTERNAL")])
def test_an_error_at_the_begin_of_the_next_leaves_the_last_alone(loop, error, code):
    loop.device.submit_errors = {"b": error}
    loop.put("a")
    put_at_poll(loop, "b", "c")
    assert loop.run() == [
        *["begin a", "begin b", "read a", "answer a result", f"answer b {code}"],
        *["begin c", "read c", "answer c result", "bye"],
    ]


def test_an_error_of_the_computation_belongs_to_its_request(loop):
    loop.device.read_errors = {"a": RuntimeError("CUDA error: out of memory")}
    loop.put("a")
    put_at_poll(loop, "b")
    assert loop.run() == [
        *["begin a", "begin b", "read a", "answer a OUT_OF_MEMORY", "read b", "answer b result", "bye"],
    ]


def test_a_failed_device_ends_the_loop_without_another_answer(loop):
    loop.device.submit_errors = {"b": STICKY}
    loop.device.read_errors = {"a": STICKY}
    loop.put("a")
    put_at_poll(loop, "b")
    assert loop.run() == ["begin a", "begin b", "read a", "bye DEVICE_FAILED"]


def test_a_device_that_fails_at_the_read_drops_the_next_request(loop):
    loop.device.read_errors = {"a": STICKY}
    loop.put("a")
    put_at_poll(loop, "b", "c")
    assert loop.run() == ["begin a", "begin b", "read a", "bye DEVICE_FAILED"]
    assert "credit" not in loop.device.events


def test_a_device_that_fails_at_the_begin_of_the_next_answers_the_last(loop):
    loop.device.submit_errors = {"b": STICKY}
    loop.put("a")
    put_at_poll(loop, "b", "c")
    assert loop.run() == ["begin a", "begin b", "read a", "answer a result", "bye DEVICE_FAILED"]


@pytest.mark.parametrize("method", ["load_model", "unload_model", "release", "generate", "encode"])
def test_a_device_that_fails_in_any_method_ends_the_loop(loop, method, monkeypatch):
    def fail(*args):
        raise STICKY

    monkeypatch.setattr(FakeDevice, method, fail, raising=False)
    loop.put("m", method)
    loop.put("a")
    assert loop.run() == ["bye DEVICE_FAILED"]


def test_an_error_of_the_poll_is_answered_by_the_read(loop):
    loop.device.read_errors = {"a": STICKY}

    def fail(id):
        raise STICKY

    loop.device.on_poll = fail
    loop.put("a")
    assert loop.run() == ["begin a", "read a", "bye DEVICE_FAILED"]


def test_a_cancel_of_the_next_does_not_disturb_the_last(loop):
    loop.put("a")
    put_at_poll(loop, "b")
    loop.device.on_begin = lambda id: loop.bridge._cancelled.add("b")
    assert loop.run() == ["begin a", "begin b", "read a", "answer a result", "answer b CANCELLED", "bye"]
    assert not loop.bridge._cancelled


def test_other_methods_wait_for_the_computed_request(loop):
    loop.put("a")
    put_at_poll(loop)
    loop.device.on_begin = lambda id: loop.put("u", "unload_model")
    assert loop.run()[:4] == ["begin a", "read a", "answer a result", "unload"]


def test_a_drain_answers_what_is_computed(loop):
    loop.put("a")
    put_at_poll(loop)
    assert loop.run() == ["begin a", "read a", "answer a result", "bye"]


def test_the_heartbeat_counts_while_the_device_computes(loop):
    ages = []
    loop.put("a")

    def on_poll(id):
        ages.append((loop.bridge._running, loop.bridge._last_step))
        if len(ages) == 3:
            loop.bridge.drain()

    loop.device.on_poll = on_poll
    loop.run()
    assert len(set(ages)) == 1 and ages[0][0] == "a"  # polls are no steps: a device that hangs is found
    assert loop.bridge._running is None


def test_a_new_session_gets_no_answers_of_the_last(loop):
    loop.put("a")

    def on_poll(id):
        loop.device.ready = {"b"}
        loop.bridge._session = 1
        loop.put("b")
        loop.bridge.drain()

    loop.device.on_poll = on_poll
    assert "answer a result" not in loop.run()
    assert "answer b result" in loop.device.events
