"""The backend of attention is chosen by device, dtype and environment."""

import logging

import pytest
import torch

from qalign.mplug_owl2.engine import attention
from qalign.mplug_owl2.engine.attention import ALLOWED, BACKENDS, choose
from qalign.weights.errors import ConfigError

CUDA = torch.device("cuda:0")


@pytest.fixture
def ampere(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(attention, "varlen", lambda: print)


def test_the_backend_of_each_model(ampere, monkeypatch):
    assert choose(CUDA, torch.bfloat16, 128, {}) == "varlen"
    assert choose(CUDA, torch.bfloat16, 12, {}) == "flash"  # the packed kernel needs multiples of 8
    assert choose(CUDA, torch.float32, 128, {}) == "efficient"
    assert choose(torch.device("cpu"), torch.float32, 128, {}) == "math"
    monkeypatch.setattr(attention, "varlen", lambda: None)
    assert choose(CUDA, torch.float16, 128, {}) == "flash"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert choose(CUDA, torch.float16, 128, {}) == "efficient"


def test_the_environment_names_a_backend(ampere, caplog):
    for named in BACKENDS[1:]:
        assert choose(CUDA, torch.bfloat16, 128, {"QALIGN_ATTENTION": named}) == named
    with caplog.at_level(logging.WARNING):
        assert choose(CUDA, torch.float32, 128, {"QALIGN_ATTENTION": "varlen"}) == "efficient"
    assert len(caplog.records) == 1
    for device in ("cpu", CUDA):
        with pytest.raises(ConfigError, match="QALIGN_ATTENTION is 'fast'"):
            choose(torch.device(device), torch.float32, 64, {"QALIGN_ATTENTION": "fast"})


def test_cudnn_runs_only_by_name():
    assert [name for name, kernels in ALLOWED.items() if "CUDNN_ATTENTION" in kernels] == ["cudnn"]
    assert set(ALLOWED) == set(BACKENDS) - {"auto"}
    assert all(hasattr(torch.nn.attention.SDPBackend, kernel) for kernels in ALLOWED.values() for kernel in kernels)


def test_packed_attention_of_torch_takes_the_arguments_of_the_engine():
    """On meta tensors, because its kernel needs CUDA."""
    attend = attention.varlen()
    if attend is None:
        pytest.skip("this torch has no varlen_attn")
    rows, keys, starts = (torch.empty(n, 2, 8, device="meta") for n in (5, 9, 3))
    starts = torch.empty(3, dtype=torch.int32, device="meta")
    assert attend(rows, keys, keys, starts, starts, 3, 5).shape == rows.shape
