"""Frozen matrices in 8 and 4 bits: their decoded values, and gradients through them."""

import pytest
import torch
from torch import nn

from qalign.training.model.quantised import QuantisedLinear
from qalign.weights.codes import NF4, decode_nf4, encode_nf4


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
