"""Frozen matrices in 8 and 4 bits: their decoded values, and gradients through them."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from qalign.training.model.quantised import QuantisedLinear
from qalign.weights.codes import NF4, decode_nf4, encode_nf4
from qalign.worker.count_training import count_decode


@pytest.mark.parametrize(("kind", "error", "bytes_each"), [("int8", 0.012, 1.01), ("nf4", 0.10, 0.57)])
def test_products_and_gradients_are_close_and_memory_is_small(kind: str, error: float, bytes_each: float) -> None:
    torch.manual_seed(0)
    source = nn.Linear(512, 300, bias=False)
    layer = QuantisedLinear(source, kind)
    x, y = torch.randn(20, 512, requires_grad=True), torch.randn(20, 512, requires_grad=True)
    y.data.copy_(x.data)
    expected, found = source(x), layer(y)
    assert (found - expected).norm() / expected.norm() < error
    expected.square().sum().backward()
    found.square().sum().backward()
    assert (y.grad - x.grad).norm() / x.grad.norm() < 2 * error
    held = sum(buffer.nbytes for buffer in layer.buffers())
    assert held / source.weight.numel() < bytes_each
    assert not list(layer.parameters())


def test_gradient_is_exactly_that_of_the_decoded_weight() -> None:
    layer = QuantisedLinear(nn.Linear(70, 9, bias=False), "nf4")  # 70 is not a multiple of the block size
    x = torch.randn(4, 70, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_nf4_keeps_its_sixteen_values() -> None:
    exact = torch.tensor(NF4).repeat(3, 8) * torch.tensor([[0.5], [2.0], [7.0]])
    assert torch.allclose(decode_nf4(*encode_nf4(exact)), exact)
    assert torch.equal(decode_nf4(*encode_nf4(torch.zeros(2, 64))), torch.zeros(2, 64))


@pytest.mark.parametrize(("recomputed", "passes"), [(False, 3), (True, 2)])
def test_a_recomputed_block_decodes_its_weight_once_less(monkeypatch, recomputed: bool, passes: int) -> None:
    torch.manual_seed(0)
    layer = QuantisedLinear(nn.Linear(64, 9, bias=False), "nf4")
    layer.recomputed = recomputed
    x = torch.randn(4, 64, requires_grad=True)
    expected = (2 * layer(x) @ layer.decoded(x.dtype)).detach()
    decoded, decode = [], layer.decoded
    monkeypatch.setattr(layer, "decoded", lambda dtype: decoded.append(dtype) or decode(dtype))
    checkpoint(lambda x: layer(x).square(), x, use_reentrant=False).sum().backward()
    assert torch.equal(x.grad, expected)
    assert len(decoded) == passes


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_decoding_on_a_gpu_would_be_one_kernel(kind: str) -> None:
    assert count_decode(kind)["fused"]["kernels"] == 1
    assert count_decode(kind)["fused"]["bytes_per_entry"] <= 3.1
    assert count_decode(kind)["plain"]["bytes_per_entry"] < 21
