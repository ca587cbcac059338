"""A load that runs out of memory returns what it took, and the worker reports the memory of its GPU."""

import gc
import json
import queue
import weakref
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from qalign.mplug_owl2.engine import load as loading
from qalign.mplug_owl2.engine import memory
from qalign.mplug_owl2.engine.memory import DeviceMemory, device_memory, is_out_of_memory
from qalign.worker import handlers as handling
from qalign.worker.bridge import Bridge
from qalign.worker.dispatch import dispatch
from qalign.worker.handlers import Handlers

TINY = "../test/fixtures/golden/tiny_a/model"
PARAMS = {"model": TINY, "device": "cpu", "precision": "auto", "offline": True}
GPU = DeviceMemory(10, 20, 30, 40, 50)


@pytest.fixture
def handlers(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[3] / "python")
    return Handlers(lambda: None)


def ask(handlers, method="load_model", params=PARAMS):
    return dispatch(handlers, {"id": "1", "method": method, "params": params}, [], lambda progress: None)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
    ],
)
def test_a_load_without_room_returns_its_memory_and_the_next_load_works(handlers, monkeypatch, error):
    models, load = [], loading.load_checkpoint

    def half(*args, **options):
        model = load(*args, **options)
        models.append(weakref.ref(model))
        raise type(error)(*error.args)  # an error that is kept also keeps its frames

    monkeypatch.setattr(loading, "load_checkpoint", half)
    gc.disable()  # only the load itself collects
    try:
        answer = ask(handlers)
    finally:
        gc.enable()
    assert answer["error"]["code"] == "OUT_OF_MEMORY"
    assert "its weights need 0.00 GB in fp32, and" in answer["error"]["message"]
    assert "GB were free" in answer["error"]["message"]
    assert models[0]() is None
    monkeypatch.setattr(loading, "load_checkpoint", load)
    assert ask(handlers)["result"]["model"]["precision"] == "fp32"


def test_weights_that_do_not_fit_are_refused_before_they_are_read(handlers, monkeypatch):
    monkeypatch.setattr(loading, "pick_device", lambda name: torch.device("cuda", 0))
    monkeypatch.setattr(loading, "free_bytes", lambda device: 1000)
    monkeypatch.setattr(loading, "load_checkpoint", lambda *args, **options: pytest.fail("it was read"))
    answer = ask(handlers, params={**PARAMS, "device": "cuda:0", "precision": "bf16"})
    assert answer["error"]["code"] == "OUT_OF_MEMORY"
    assert "does not fit into the memory of cuda:0" in answer["error"]["message"]


def test_an_unloaded_model_is_freed_at_once(handlers):
    ask(handlers)
    model = weakref.ref(handlers._scorer.model)
    gc.disable()
    try:
        ask(handlers, "unload_model", {})
    finally:
        gc.enable()
    assert model() is None


def test_a_failed_load_is_freed_by_the_next(handlers, monkeypatch):
    collected = []
    monkeypatch.setattr(handling, "give_back", lambda: collected.append(1))
    assert "error" in ask(handlers, params={**PARAMS, "model": "../nowhere/at-all"})
    assert not collected
    ask(handlers)
    assert collected == [1]


def test_a_cpu_reports_no_memory_of_a_device(handlers):
    assert device_memory(torch.device("cpu")) is None
    assert "device_memory" not in ask(handlers)["result"]
    assert handlers.device_memory is None


def test_the_memory_of_a_gpu_is_in_the_result_of_the_load_and_follows_requests(handlers, monkeypatch):
    now = [GPU]
    monkeypatch.setattr(handling, "device_memory", lambda device: now[0])
    assert ask(handlers)["result"]["device_memory"] == asdict(GPU)
    now[0] = DeviceMemory(11, 21, 31, 41, 51)
    size = handlers._scorer.info.image_size
    item = {"id": "a", "visuals": [{"frames": 1}], "prompts": [{"text": "<|image|>rate it:"}]}
    params = {"items": [item], "levels": ["good", "bad"], "buffers": [{"shape": [1, size, size, 3], "dtype": "uint8"}]}
    request = {"id": "2", "method": "score", "params": params}
    dispatch(handlers, request, [bytes(size * size * 3)], lambda progress: None)
    assert handlers.device_memory == asdict(GPU), "measured less than half a second ago"
    handlers._measured = 0.0
    assert "result" in dispatch(handlers, request, [bytes(size * size * 3)], lambda progress: None)
    assert handlers.device_memory == asdict(now[0])
    ask(handlers, "unload_model", {})
    assert handlers.device_memory is None


def test_an_error_of_the_measurement_ends_the_worker(handlers, monkeypatch):
    def fail(device):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(handling, "device_memory", fail)
    assert ask(handlers)["error"]["code"] == "DEVICE_FAILED"


@pytest.mark.parametrize("held", [None, asdict(GPU)])
def test_a_pong_has_the_memory_of_a_gpu(held):
    class Idle:
        def __init__(self, step):
            self.device_memory = held

    class Frame:
        def __init__(self, message):
            self.bytes = json.dumps(message).encode()

    bridge = Bridge("ipc://@unused", "w", "t", "cpu", None, Idle)
    told = queue.SimpleQueue()
    bridge.send = told.put
    bridge._receive([Frame({"type": "ping", "seq": 4})])
    pong = told.get_nowait()
    assert pong["seq"] == 4 and pong.get("device_memory") == held
    for socket in (bridge._socket, bridge._wake_in, bridge._wake_out):
        socket.close(0)
    bridge._context.term()


def test_the_numbers_of_torch_are_used(monkeypatch):
    numbers = {"memory_allocated": 10, "memory_reserved": 20, "max_memory_allocated": 30, "mem_get_info": (40, 50)}
    for name, value in numbers.items():
        monkeypatch.setattr(memory.torch.cuda, name, lambda device, value=value: value)
    assert device_memory(torch.device("cuda", 0)) == GPU


def test_errors_of_memory_are_told_from_others():
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"))
    assert is_out_of_memory(RuntimeError("Triton Error [CUDA]: out of memory"))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_out_of_memory(ValueError("CUDA error: out of memory"))
